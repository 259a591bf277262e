"""A real daemon in a process of its own, on free ports of loopback, for the integration tests."""

import contextlib
import http.client
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time

CONFIG = """
admin: {{address: "127.0.0.1:{admin}"}}
node: {{id: web-1}}
drain: {{grace: {grace}, deadline: {deadline}}}
listeners:
  - name: public
    address: 127.0.0.1:{port}
    filters:
      - router:
          virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
                - {{match: {{path: /direct}}, direct_response: {{status: 200, body: "{word}"}}}}
                - {{match: {{prefix: /}}, cluster: up}}
clusters:
  - name: up
    endpoints: [{{address: "127.0.0.1:{upstream}"}}]
telemetry:
  - access_log: {{path: {log}}}
"""


def _drawn():
    """Yield this process's ports among those that test in parallel, in any order, none again before all."""
    number, count = (int(os.environ.get(f"PYTEST_XDIST_{name}", one).lstrip("gw"))
                     for name, one in (("WORKER", "0"), ("WORKER_COUNT", "1")))
    ports = list(range(11000 + number, 32000, count))
    random.SystemRandom().shuffle(ports)
    yield from itertools.cycle(ports)


_PORTS = _drawn()
_TURN = threading.Lock()


def free_port():
    """Return a free port of loopback below those that the kernel gives to clients, so that none takes it meanwhile."""
    while True:
        with _TURN:
            port = next(_PORTS)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def wait_for(condition, what, limit_s=15.0):
    """Return the first true answer of ``condition()``; fails after ``limit_s``."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {limit_s} s for {what}")


def kill_all(folder):
    """Kill every process whose command line names a folder: heirs are nobody's children."""
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if folder.encode() in file.read() and int(pid) != os.getpid():
                    os.kill(int(pid), signal.SIGKILL)


class Upstream:
    """Answers requests; one for /slow waits until ``release`` is set, ``waiting`` counts them."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self.socket.getsockname()[1]
        self.release = threading.Event()
        self.waiting = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        """Accept no more."""
        self.release.set()
        self.socket.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        data = b""
        with client:
            while True:
                while b"\r\n\r\n" not in data:
                    piece = client.recv(65536)
                    if not piece:
                        return
                    data += piece
                head, _, data = data.partition(b"\r\n\r\n")
                if head.startswith(b"GET /slow"):
                    self.waiting += 1
                    self.release.wait(20)
                client.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")


class Daemon:
    """``python -m meshd.cli.daemon`` with a configuration file in ``folder``."""

    def __init__(self, folder, upstream_port, *arguments, more="", **values):
        self.folder = folder
        self.port, self.admin = free_port(), free_port()
        self.path = os.path.join(folder, "mesh.yaml")
        self.log_path = os.path.join(folder, "access.log")
        self.values = {"port": self.port, "admin": self.admin, "upstream": upstream_port, "log": self.log_path,
                       "grace": "0s", "deadline": "10s", "word": "one", **values}
        self.more = more
        self.write()
        self.errors = open(os.path.join(folder, "stderr"), "w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "meshd.cli.daemon", "-c", self.path, *arguments], stderr=self.errors,
            stdout=subprocess.DEVNULL)

    def write(self, text=None, **values):
        """Write the configuration, with other values or another text."""
        self.values.update(values)
        with open(self.path + ".new", "w") as file:
            file.write(CONFIG.format(**self.values) + self.more if text is None else text)
        os.rename(self.path + ".new", self.path)

    def ready(self):
        """Wait until it serves."""
        wait_for(lambda: self.process.poll() is not None or self.is_ready(), "the daemon")
        assert self.process.poll() is None, self.stderr()
        return self

    def is_ready(self):
        """Say whether /ready answers 200."""
        try:
            return self.ask("GET", "/ready", self.admin)[0] == 200
        except OSError:
            return False

    def ask(self, method, target, port=None):
        """Return (status, body) of one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=20)
        try:
            connection.request(method, target)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def info(self):
        """Return /server_info."""
        return json.loads(self.ask("GET", "/server_info", self.admin)[1])

    def signal(self, name):
        """Send SIGNAME."""
        self.process.send_signal(getattr(signal, f"SIG{name}"))

    def stderr(self):
        """Return what it has logged."""
        with open(self.errors.name) as file:
            return file.read()

    def logged(self, text):
        """Wait for a text in the log."""
        wait_for(lambda: text in self.stderr(), f"{text!r} in the log")

    def ended(self, limit_s=15.0):
        """Return the exit code."""
        return self.process.wait(limit_s)

    def close(self):
        """End it, however it is."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        kill_all(self.folder)
        self.errors.close()


class Load:
    """Keep-alive clients in threads that ask without a pause; ``failures`` are all answers that were not 200."""

    def __init__(self, port, count=4, target="/direct"):
        self.failures, self.answers, self._ended = [], 0, threading.Event()
        self._port, self._target = port, target
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def stop(self):
        """Stop asking."""
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        while not self._ended.is_set():
            try:
                connection.request("GET", self._target)
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    self.failures.append(answer.status)
                self.answers += 1
            except OSError as error:
                self.failures.append(repr(error))
                connection.close()
            except http.client.HTTPException as error:
                self.failures.append(repr(error))
                connection.close()
        connection.close()
