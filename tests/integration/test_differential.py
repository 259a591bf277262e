"""The same route tables in ``explain``, in the real meshd and in the real Envoy: each request takes the same route.

Fifty tables are fifty listeners of one daemon and of one Envoy; a failure names the seed's table, the request and what
the three say.
"""

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest import TestCase

from meshd.cli.ctl_explain import Asleep
from meshd.explain.answer import explain
from meshd.explain.asked import asked
from meshd.runtime.site import finish
from tests.integration.harness.case import CLUSTERS, Drawing
from tests.integration.harness.daemon import Daemon
from tests.integration.harness.envoy import Envoy, different_ports, envoy_program

SEED = 20240
CASES = 50
REQUESTS = 20


class Echo(BaseHTTPRequestHandler):
    """Says which cluster was asked, and what for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """Answer."""
        self.send_response(200)
        target = self.requestline.split(" ")[1]  # ``path`` has lost slashes at its beginning
        for name, value in (("x-cluster", self.server.name), ("x-path", target), ("x-host", self.headers["host"])):
            self.send_header(name, value)
        self.send_header("content-length", "0")
        self.end_headers()

    do_POST = do_PUT = do_DELETE = do_GET

    def log_message(self, *args):
        """Say nothing."""


class Echoes:
    """One server for each cluster; ``ports`` by cluster."""

    def __init__(self):
        self.servers = []
        for name in CLUSTERS:
            server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
            server.name, server.daemon_threads, server.block_on_close = name, True, False
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.servers.append(server)
        self.ports = {server.name: server.server_address[1] for server in self.servers}

    def close(self):
        """Serve no more."""
        for server in self.servers:
            server.shutdown()
            server.server_close()


def send(connection, request):
    """Send one request; return what became of it."""
    connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
    for name, value in (("host", request.host), *request.fields):
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    answer.read()
    if answer.getheader("x-cluster"):
        path, host = answer.getheader("x-path"), answer.getheader("x-host")
        return answer.getheader("x-route"), answer.getheader("x-cluster"), path, host.lower()
    return answer.getheader("x-route"), answer.status, answer.getheader("location")


def told(runtime, case, port, request):
    """Return what explain says would become of a request, and its whole answer."""
    headers = [f"host: {request.host}", *(f"{name}: {value}" for name, value in request.fields)]
    found = finish(explain(runtime, asked(
        request.method, f"http://127.0.0.1:{port}{request.target}", headers, listener=case.name)))
    result = found["result"]
    route = (found.get("route") or {}).get("name")
    if result["kind"] == "forward":
        sent = next(one for one in found["upstream"])
        return (route, sent["cluster"], sent["path"], sent["host"]), found
    location = dict(result.get("headers", ())).get("location")
    return (route, result["status"], location), found


class DifferentialTest(TestCase):
    def setUp(self):
        program = envoy_program()
        drawing = Drawing(SEED)
        self.cases = [drawing.case("public" if number == 0 else f"case-{number}") for number in range(CASES)]
        self.requests = [[drawing.request() for _ in range(REQUESTS)] for _ in self.cases]
        ports = different_ports(2 * CASES)
        self.ours, self.theirs = ports[:CASES], ports[CASES:]
        self.echoes = Echoes()
        self.addCleanup(self.echoes.close)
        listeners = [case.envoy(port) for case, port in zip(self.cases, self.theirs)]
        places = {name: ("127.0.0.1", port) for name, port in self.echoes.ports.items()}
        self.envoy = Envoy(program, listeners, places)
        self.addCleanup(self.envoy.close)

    def configuration(self):
        """Return meshd's configuration."""
        clusters = [{"name": name, "endpoints": [{"address": f"127.0.0.1:{port}"}]}
                    for name, port in self.echoes.ports.items()]
        return {"listeners": [case.native(port) for case, port in zip(self.cases, self.ours)], "clusters": clusters}

    def test_a_thousand_requests_take_the_same_route_in_explain_in_meshd_and_in_envoy(self):
        differences, routes = [], set()
        with Daemon(self.configuration()) as daemon:
            asleep = Asleep([daemon.path])
            self.assertTrue(asleep.is_valid, asleep.faults)
            for case, port, other, requests in zip(self.cases, self.ours, self.theirs, self.requests):
                ours = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                theirs = http.client.HTTPConnection("127.0.0.1", other, timeout=10)
                for request in requests:
                    words, found = told(asleep.runtime, case, port, request)
                    row = {"explain": words, "meshd": send(ours, request), "envoy": send(theirs, request)}
                    routes.add(words[0])
                    if len(set(row.values())) > 1:
                        differences.append((case.name, request, row, found.get("passed_over")))
                ours.close()
                theirs.close()
        text = "\n".join(f"{name}: {request}\n  {row}\n" for name, request, row, _ in differences[:20])
        self.assertFalse(differences, f"{len(differences)} differ, the first:\n{text}")
        self.assertGreater(len(routes), CASES, "the requests meet too few of the routes to tell anything")
