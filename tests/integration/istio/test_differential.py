"""The same Istio documents in ``explain``, in the real meshd and, as Istio's control plane renders them, in the real
Envoy: each request takes the same route to the same cluster, and the upstream sees the same.

25 tables are gateways of one daemon, 25 are egress listeners of one sidecar, all are listeners of one Envoy; a failure
names the seed's table, the request and what the three say.
"""

import contextlib
import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest import TestCase

from meshd.cli.ctl_explain import Asleep
from meshd.explain.answer import explain
from meshd.explain.asked import asked
from meshd.runtime.site import finish
from tests.integration.harness.daemon import Daemon
from tests.integration.harness.envoy import Envoy, different_ports, envoy_program
from tests.integration.harness.istio_case import ANSWER, LABELS, NEW, PORTS, IstioDrawing, clusters_of, documents, text
from tests.integration.harness.istio_envoy import envoy_listener

SEED = 2
CASES = 25
"""Of each role."""
REQUESTS = 20


class Echo(BaseHTTPRequestHandler):
    """Says at which address it was asked, and what for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """Answer."""
        seen = {name.lower(): ",".join(self.headers.get_all(name)) for name in set(self.headers.keys())
                if name.lower().startswith("x-") and len(name) == 3 or name.lower() == NEW}
        self.send_response(200)
        self.send_header("x-place", f"{self.connection.getsockname()[0]} {self.server.side}")
        self.send_header("x-path", self.requestline.split(" ")[1])  # ``path`` has lost slashes at its beginning
        self.send_header("x-host", self.headers["host"])
        self.send_header("x-seen", json.dumps(seen, sort_keys=True))
        self.send_header(ANSWER, "u")
        self.send_header("content-length", "0")
        self.end_headers()

    do_POST = do_PUT = do_DELETE = do_GET

    def log_message(self, *args):
        """Say nothing."""


class Echoes:
    """All upstreams: servers on every address of loopback. ``clusters`` maps what they say to a cluster's name."""

    def __init__(self):
        self.servers = []
        for side in range(len(PORTS)):
            server = ThreadingHTTPServer(("0.0.0.0", 0), Echo)
            server.side, server.daemon_threads, server.block_on_close = side, True, False
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.servers.append(server)
        self.ports = tuple(server.server_address[1] for server in self.servers)
        self.places = {name: (address, self.ports[side]) for name, (address, side) in clusters_of().items()}
        self.clusters = {f"{address} {side}": name for name, (address, side) in clusters_of().items()}

    def close(self):
        """Serve no more."""
        for server in self.servers:
            server.shutdown()
            server.server_close()


class Mesh(Daemon):
    """A daemon of one role with its tables as documents."""

    def __init__(self, tables, echoes, port):
        self.tables, self.echoes, self.bound = tables, echoes, port
        super().__init__(None)

    def write(self, configuration):
        """Write the documents and the native file that names them."""
        with open(f"{self.folder}/documents.yaml", "w") as file:
            file.write(text(documents(self.tables, self.echoes.ports)))
        super().write(configuration or {"node": node(self.tables[0].role, self.bound),
                                        "documents": ["documents.yaml"]})


def node(role, port):
    """Return the ``node`` section; ``port`` is bound for all those of the documents."""
    return {"id": "test", "role": role, "labels": LABELS, "ports": {str(one): port for one in PORTS}}


def send(connection, request, clusters):
    """Send one request; return what explain can tell of what became of it, and the rest."""
    connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
    for name, value in (("host", request.host), *request.fields):
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    own = {name: ",".join(answer.headers.get_all(name, ())) for name in (ANSWER, NEW)}
    route, place = answer.getheader("x-route"), answer.getheader("x-place")
    if place:
        path, host = answer.getheader("x-path"), answer.getheader("x-host")
        return (route, clusters[place], path, host.lower()), (own, answer.getheader("x-seen"))
    return (route, answer.status, answer.getheader("location")), (own, body if answer.status == 200 else b"")


def told(runtime, table, request):
    """Return what explain says would become of a request, and its whole answer."""
    headers = [f"host: {request.host}", *(f"{name}: {value}" for name, value in request.fields)]
    found = finish(explain(runtime, asked(
        request.method, f"http://{table.bind}:{table.port}{request.target}", headers, listener=table.listener)))
    result = found["result"]
    route = (found.get("route") or {}).get("name")
    if result["kind"] == "forward":
        sent = next(one for one in found["upstream"])
        return (route if route != "default" else None, sent["cluster"], sent["path"], sent["host"]), found
    return (route, result["status"], dict(result.get("headers", ())).get("location")), found


def agree(words, mine, reference):
    """Say whether all three did the same. What meshd answers for want of an upstream has no edits of the route, and so
    no name of it (docs/differences.md).
    """
    if mine[0] == (None, 503, None):
        return words == reference[0] and words[1] == 503
    return words == mine[0] == reference[0] and mine == reference


class DifferentialTest(TestCase):
    def setUp(self):
        self.program = envoy_program()
        drawing = IstioDrawing(SEED)
        roles = ["ingress"] * CASES + ["sidecar"] * CASES
        self.tables = [drawing.table(number, role) for number, role in enumerate(roles)]
        self.requests = [[drawing.request_to(table) for _ in range(REQUESTS)] for table in self.tables]
        self.echoes = Echoes()
        self.addCleanup(self.echoes.close)

    def test_a_thousand_requests_take_the_same_route_in_explain_in_meshd_and_in_envoy(self):
        port, theirs = different_ports(2)  # each table has an address of its own
        listeners = [envoy_listener(table, table.bind, theirs) for table in self.tables]
        differences, routes, clusters = [], set(), set()
        with contextlib.ExitStack() as stack:
            envoy = stack.enter_context(contextlib.closing(Envoy(self.program, listeners, self.echoes.places)))
            self.assertIsNone(envoy.process.poll())
            for role in ("ingress", "sidecar"):
                tables = [(table, asks) for table, asks in zip(self.tables, self.requests) if table.role == role]
                daemon = stack.enter_context(Mesh([table for table, _ in tables], self.echoes, port))
                asleep = Asleep([daemon.path])
                self.assertTrue(asleep.is_valid, asleep.faults)
                for table, requests in tables:
                    ours = http.client.HTTPConnection(table.bind, port, timeout=10)
                    other = http.client.HTTPConnection(table.bind, theirs, timeout=10)
                    for request in requests:
                        words, _ = told(asleep.runtime, table, request)
                        mine = send(ours, request, self.echoes.clusters)
                        reference = send(other, request, self.echoes.clusters)
                        routes.add(words[0])
                        clusters.add(words[1])
                        if not agree(words, mine, reference):
                            row = {"explain": words, "meshd": mine, "envoy": reference}
                            differences.append((table.name, role, request, row))
                    ours.close()
                    other.close()
        rows = "\n".join(f"{name} {role}: {request}\n  {row}\n" for name, role, request, row in differences[:20])
        self.assertFalse(differences, f"{len(differences)} differ, the first:\n{rows}")
        self.assertGreater(len(routes), 3 * CASES, "the requests meet too few of the routes to tell anything")
        self.assertGreater(len(clusters), len(self.echoes.places) * 2 // 3)
