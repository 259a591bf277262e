"""A server in a process of its own, to be killed and stopped: ``Backend().start()``.

As a program (``python backend.py PORT``) it answers everything with ``name=PORT``; ``/set?status=500`` changes how it
answers from then on: ``status`` of all, ``health`` of /healthz, ``immediate=1`` sends the header that ends traffic.
"""

import contextlib
import http.client
import os
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit


def main(port):
    """Serve on ``port`` of loopback."""
    settings = {"status": "200", "health": "200", "immediate": ""}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            """Answer."""
            place = urlsplit(self.path)
            if place.path == "/set":
                settings.update(parse_qsl(place.query, keep_blank_values=True))
            name = "health" if place.path == "/healthz" else "status"
            body = f"name={port}".encode()
            self.send_response(200 if place.path == "/set" else int(settings[name]))
            if settings["immediate"] and place.path != "/set":
                self.send_header("x-envoy-immediate-health-check-fail", "true")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 200
        daemon_threads = True

    Server(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]))


class Backend:
    """``address`` is where it serves, once started; it may be killed and started again there."""

    def __init__(self):
        from tests.integration.process import free_port

        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.process = None

    def start(self):
        """Begin; wait until it answers."""
        from tests.integration.process import wait_for

        self.process = subprocess.Popen([sys.executable, os.path.abspath(__file__), str(self.port)])
        wait_for(self.answers, "the backend")
        return self

    def answers(self):
        """Say whether it does."""
        try:
            return self.set() == 200
        except OSError:
            return False

    def set(self, **settings):
        """Change how it answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        with contextlib.closing(connection):
            connection.request("GET", "/set?" + "&".join(f"{name}={value}" for name, value in settings.items()))
            return connection.getresponse().status

    def signal(self, name):
        """Send SIGNAME."""
        self.process.send_signal(getattr(signal, f"SIG{name}"))

    def kill(self):
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
