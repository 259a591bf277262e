"""Four small services as the tutorial of every mesh has them: productpage, details, ratings, and three reviews."""

import collections
import http.client
import http.server
import json
import os
import threading
import time

from tests.integration.harness.daemon import Daemon
from tests.integration.process import free_port

SERVICES = {"productpage": ("v1",), "details": ("v1",), "ratings": ("v1",), "reviews": ("v1", "v2", "v3")}


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with who it is and what it got; ``/delay/MS`` waits first, ``/status/N`` answers so."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        server = self.server
        with server.lock:
            server.asked += 1
            server.seen.append((self.headers.get("host", ""), self.path))
            server.active += 1
            server.most = max(server.most, server.active)
        words = self.path.partition("?")[0].split("/")
        if "delay" in words:
            time.sleep(int(words[words.index("delay") + 1]) / 1000)
        status = int(words[words.index("status") + 1]) if "status" in words else server.status
        said = json.dumps({"service": server.service, "version": server.version, "path": self.path,
                           "headers": {key.lower(): value for key, value in self.headers.items()},
                           "body": body.decode("latin-1")}).encode()
        with server.lock:
            server.active -= 1
        self.send_response(status)
        self.send_header("content-length", str(len(said)))
        self.send_header("x-version", server.version)
        self.end_headers()
        self.wfile.write(said)

    do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = do_GET


class Server(http.server.ThreadingHTTPServer):
    """One version of a service; ``most`` is how many requests it had at once, ``seen`` the Host and path of the last.

    ``status`` is what it answers where the path does not say.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, service, version):
        super().__init__(("127.0.0.1", 0), Echo)
        self.service, self.version = service, version
        self.asked = self.active = self.most = 0
        self.status = 200
        self.seen = collections.deque(maxlen=1000)
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        """A client that goes away is none of our business."""


class Bookinfo:
    """All services, and documents that say where they are."""

    def __init__(self, services=None):
        self.servers = {(name, version): Server(name, version)
                        for name, versions in (services or SERVICES).items() for version in versions}

    def close(self):
        for server in self.servers.values():
            server.shutdown()
            server.server_close()

    def entries(self):
        """Return ServiceEntry and DestinationRule documents: service NAME on port 9080, a subset for each version."""
        by_name = {}
        for (name, version), server in self.servers.items():
            by_name.setdefault(name, []).append((version, server.server_port))
        for name, versions in by_name.items():
            yield {"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": name}, "spec": {
                "hosts": [name], "location": "MESH_INTERNAL", "resolution": "STATIC",
                "ports": [{"number": 9080, "name": "http", "protocol": "HTTP"}],
                "endpoints": [{"address": "127.0.0.1", "ports": {"http": port}, "labels": {"version": version}}
                              for version, port in versions]}}
            yield {"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": name},
                   "spec": {"host": name, "subsets": [{"name": version, "labels": {"version": version}}
                                                      for version, _ in versions]}}


    def cluster(self):
        """Return documents as a cluster has them: Services, one WorkloadEntry for each version, DestinationRules."""
        for (name, version), server in self.servers.items():
            yield {"apiVersion": "networking.istio.io/v1", "kind": "WorkloadEntry",
                   "metadata": {"name": f"{name}-{version}"},
                   "spec": {"address": "127.0.0.1", "labels": {"app": name, "version": version},
                            "ports": {"http": server.server_port}}}
        for name in {name for name, _ in self.servers}:
            yield {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {
                "selector": {"app": name}, "ports": [{"name": "http", "port": 9080}]}}
            yield {"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": name},
                   "spec": {"host": name, "subsets": [{"name": version, "labels": {"version": version}}
                                                      for one, version in self.servers if one == name]}}


GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: bookinfo-gateway}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ["*"]
"""

SIDECAR = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default}
spec:
  egress:
  - port: {number: 9080, name: http, protocol: HTTP}
    bind: 127.0.0.1
    captureMode: NONE
    hosts: ["*/*"]
"""


class Proxy(Daemon):
    """A daemon with a folder of documents; ``texts`` are YAML, ``values`` plain Python, ``named`` maps names to YAML.

    ``port`` is the documents' port that ``get`` asks, and ``more_ports`` are others: ``own`` maps all to those bound.
    ``node`` is more of this proxy, its locality say.
    """

    def __init__(self, texts, values=(), *, role="ingress", port=80, more_ports=(), named=None, node=(), **options):
        self.role, self.more = role, dict(node)
        self.own = {one: free_port() for one in (port, *more_ports)}
        self.texts, self.values, self.named = list(texts), list(values), dict(named or {})
        super().__init__(None, **options)
        self.port = self.own[port]

    def write(self, configuration):
        """Write the folder of documents and the native file that names it."""
        numbered = enumerate((*self.texts, *map(json.dumps, self.values)))
        for name, text in (*((f"{place:03}", text) for place, text in numbered), *self.named.items()):
            self.put(name, text)
        super().write(configuration or {
            "node": {"id": "test", "role": self.role, "ports": {str(key): value for key, value in self.own.items()},
                     **self.more},
            "documents": ["mesh.d"]})

    def put(self, name, text):
        """Write one file of documents over the old one."""
        documents = os.path.join(self.folder, "mesh.d")
        os.makedirs(documents, exist_ok=True)
        path = os.path.join(documents, f"{name}.yaml")
        with open(path + ".new", "w") as file:
            file.write(text)
        os.rename(path + ".new", path)

    def apply(self, name, text):
        """Write one file of documents and reload."""
        self.put(name, text)
        outcome = self.reload()
        assert outcome["accepted"], outcome

    def get(self, path, headers=(), method="GET", body=None, host=None, port=None):
        """Return (status, headers, body decoded from JSON where it is JSON); ``port`` is the gateway's or sidecar's."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=30)
        try:
            connection.request(method, path, body, {**({"host": host} if host else {}), **dict(headers)})
            answer = connection.getresponse()
            data = answer.read()
            found = json.loads(data) if data[:1] == b"{" else data
            return answer.status, {key.lower(): value for key, value in answer.getheaders()}, found
        finally:
            connection.close()
