"""meshd, HAProxy and Envoy as HTTP/2 servers in front of a small backend, for the conformance cases."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest import SkipTest

from tests.h2.runner import BIG, SMALL, SocketTalk, run
from tests.integration.harness.daemon import Daemon, document
from tests.integration.harness.envoy import Envoy, different_ports, envoy_program
from tests.integration.process import wait_for

TYPES = "type.googleapis.com/envoy.extensions.filters"
WINDOW = 65535
HAPROXY = """
global
    log /dev/null local0
defaults
    mode http
    timeout connect 5s
    timeout client 10s
    timeout server 10s
frontend f
    bind 127.0.0.1:{front} proto h2
    default_backend b
backend b
    server s 127.0.0.1:{back}
"""


class Handler(BaseHTTPRequestHandler):
    """Reads a request with its body, answers as the sessions in memory do."""

    protocol_version = "HTTP/1.1"

    def handle_one_request(self) -> None:
        """Serve any method."""
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        self._read_body()
        body = BIG if self.path == "/big" else SMALL
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _read_body(self) -> None:
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
                self.rfile.read(size + 2)
            while self.rfile.readline() not in (b"\r\n", b""):
                pass
        else:
            self.rfile.read(int(self.headers.get("content-length", 0)))

    def log_message(self, *arguments) -> None:
        """Say nothing."""

    def handle(self) -> None:
        """Serve a connection; what a proxy cuts short is no fault."""
        with contextlib.suppress(OSError, ValueError):
            super().handle()


class Server(ThreadingHTTPServer):
    """Takes many connections at once."""

    daemon_threads = True
    request_queue_size = 128


@contextlib.contextmanager
def backend():
    """Yield the port of an HTTP/1.1 server."""
    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def deaf():
    """Yield a port where no connection is made: whoever asks for one waits."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(3):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield server.getsockname()[1]


@contextlib.contextmanager
def meshd(back: int, engine: str = "auto"):
    """Yield the address of a daemon; it takes nothing of what is for /hold."""
    http2 = {"engine": engine, "initial_stream_window_size": WINDOW, "initial_connection_window_size": WINDOW,
             "max_concurrent_streams": 10}
    with deaf() as nowhere:
        routes = [{"match": {"path": "/hold"}, "cluster": "hold"}, {"match": {"prefix": "/"}, "cluster": "up"}]
        clusters = [{"name": name, "endpoints": [{"address": f"127.0.0.1:{port}"}]}
                    for name, port in (("hold", nowhere), ("up", back))]
        with Daemon(document(routes, clusters, listener={"http": {"http2": http2}})) as daemon:
            yield "127.0.0.1", daemon.port
            daemon.settled()


@contextlib.contextmanager
def run_haproxy(configuration: str, port: int):
    """Run HAProxy until it listens at ``port``; skips without one."""
    program = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise SkipTest("HAProxy is not installed")
    with tempfile.TemporaryDirectory(prefix="meshd-haproxy-") as folder:
        path = os.path.join(folder, "haproxy.cfg")
        with open(path, "w") as file:
            file.write(configuration)
        process = subprocess.Popen([program, "-db", "-f", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: process.poll() is not None or _listens(port), "HAProxy", 30)
            assert process.poll() is None, "HAProxy has ended"
            yield process
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def haproxy(back: int):
    """Yield the address of an HAProxy; skips without one."""
    [front] = different_ports(1)
    with run_haproxy(HAPROXY.format(front=front, back=back), front):
        yield "127.0.0.1", front


def _listens(port: int) -> bool:
    try:
        SocketTalk(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def envoy(back: int):
    """Yield the address of an Envoy; skips without one."""
    program = envoy_program()
    front, plain = different_ports(2)
    routes = [{"match": {"prefix": "/"}, "route": {"cluster": "b"}}]
    listeners = [envoy_listener(front, "HTTP2", routes), envoy_listener(plain, "HTTP1", routes)]
    proxy = Envoy(program, listeners, {"b": ("127.0.0.1", back)})
    try:
        yield "127.0.0.1", front
    finally:
        proxy.close()


def envoy_listener(port: int, codec: str, routes: list[dict]) -> dict:
    """Return a listener in Envoy's words."""
    table = {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": routes}]}
    manager = {
        "@type": f"{TYPES}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "s", "delayed_close_timeout": "0s", "codec_type": codec, "route_config": table,
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {
            "@type": f"{TYPES}.http.router.v3.Router"}}],
    }
    return {"name": f"l{port}", "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
            "filter_chains": [{"filters": [{
                "name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}]}


def judge(address: tuple[str, int], cases, at_once: int = 8, is_ours: bool = False) -> dict[str, str]:
    """Return the outcome of each case against a server: "" for passed."""
    with ThreadPoolExecutor(at_once) as pool:
        return dict(pool.map(
            lambda case: (case.id, run(case, SocketTalk(address, 4.0, not is_ours, is_ours))), cases))
