"""A real daemon in a process of its own: free ports, admin API on a unix socket, access log as JSON.

    with Daemon(one_cluster(upstream.address)) as daemon:
        socket.create_connection(("127.0.0.1", daemon.port))

Leaving the ``with`` ends it by SIGTERM and fails where it did not end with 0, or where its log has a traceback.
``MESHD_TEST_MODE`` runs the same tests otherwise: ``workers`` with two workers, ``upgraded`` after an upgrade.
"""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from tests.integration.process import free_port, kill_all, wait_for

LOG_FIELDS = {
    "method": "%REQ(:METHOD)%", "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%", "status": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%", "details": "%RESPONSE_CODE_DETAILS%", "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "upstream": "%UPSTREAM_HOST%", "duration": "%DURATION%", "sent": "%BYTES_SENT%", "received": "%BYTES_RECEIVED%",
    "reason": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
}
MODE = os.environ.get("MESHD_TEST_MODE", "")
HAND_OVER = """
import os, sys
names, numbers = sys.argv[1], [os.dup(int(number)) for number in sys.argv[2].split(",")]
moved = [os.dup2(os.dup(number), 100 + place) for place, number in enumerate(numbers)]
for place, number in enumerate(moved):
    os.dup2(number, 3 + place, inheritable=True)
    os.set_inheritable(number, False)
os.environ.update(LISTEN_FDS=str(len(moved)), LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES=names)
os.execvp(sys.argv[3], sys.argv[3:])
"""
"""Becomes the command that follows the names and numbers of descriptors, with these as systemd would hand them over."""
CRIES = ("Traceback", "bug:", "Unhandled", "Segmentation")
SERIES = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$")


def one_cluster(*addresses, route=(), cluster=(), listener=(), **top):
    """Return a configuration: everything that comes in at ``public`` goes to the cluster ``up``."""
    endpoints = [{"address": address} for address in addresses]
    return document([{"match": {"prefix": "/"}, "cluster": "up", **dict(route)}],
                    [{"name": "up", "endpoints": endpoints, **dict(cluster)}], listener=listener, **top)


def document(routes, clusters, listener=(), **top):
    """Return a configuration with one listener ``public`` on a free port, and one virtual host."""
    router = {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]}
    address = f"127.0.0.1:{free_port()}"
    listen = {"name": "public", "address": address, "filters": [{"router": router}], **dict(listener)}
    clusters = [{"pool": {"idle_timeout": "300ms"}, **cluster} for cluster in clusters]
    return {"node": {"id": "test"}, "listeners": [listen], "clusters": clusters, **top}


def _command(pid):
    """Return the command line of a process."""
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read()


class Local(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self):
        """Connect to the path."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Daemon:
    """``port`` is that of the first listener. ``prefix`` is a command before the daemon's (prlimit, say), ``python``
    the interpreter that has meshd.

    ``sockets`` are (name, socket) that are handed over as systemd does; ``admin`` is the path of the admin API's.
    """

    def __init__(self, configuration, *, prefix=(), access_log=None, arguments=(), environment=(), sockets=(),
                 admin=None, python=sys.executable):
        self.folder = tempfile.mkdtemp(prefix="meshd-")
        self.python = python
        self.generations = set()  # the processes that have taken over (``shape.taken_over``)
        self.path = os.path.join(self.folder, "mesh.yaml")
        self.admin = admin or os.path.join(self.folder, "admin")
        self.access_path = os.path.join(self.folder, "access.log") if access_log is None else access_log
        self.log_path = os.path.join(self.folder, "stderr")
        self.write(configuration)
        numbers = [sock.fileno() for _, sock in sockets]
        if sockets:
            names = ":".join(name for name, _ in sockets)
            prefix = [sys.executable, "-c", HAND_OVER, names, ",".join(map(str, numbers)), *prefix]
        with open(self.log_path, "w") as log:
            self.process = subprocess.Popen(
                [*prefix, python, "-m", "meshd.cli.daemon", "-c", self.path, *arguments], stderr=log,
                stdout=subprocess.DEVNULL, env={**os.environ, **dict(environment)}, pass_fds=numbers)
        try:
            wait_for(lambda: self.process.poll() is not None or self.is_ready(), "the daemon", 30)
            assert self.process.poll() is None, self.log()
            if MODE == "upgraded":
                self.upgrade()
            rows = self.json("/listeners")["listeners"]
            places = {row["name"]: row["bound"].rpartition(":")[2] for row in rows}
            self.ports = {name: int(place) for name, place in places.items() if place.isdigit()}
        except BaseException:
            self.kill()
            raise
        self.port = self.ports.get("public") or next(iter(self.ports.values()), None)
        wait_for(self.is_whole, "all workers", 30)
        self.pids = self.carriers()
        self.idle_fds = self.fds()

    # Configuration

    def write(self, configuration):
        """Write the file: a dict gets the admin address and the access log; a text is written as it is."""
        if not isinstance(configuration, str):
            log = {"access_log": {"path": self.access_path, "json": LOG_FIELDS, "buffer": {"flush_interval": "10ms"}}}
            configuration = json.dumps({
                "admin": {"address": f"unix:{self.admin}"}, "telemetry": ["prometheus", log],
                "drain": {"deadline": "10s"}, **({"workers": 2} if MODE == "workers" else {}), **configuration},
                indent=1)
        with open(self.path + ".new", "w") as file:
            file.write(configuration)
        os.rename(self.path + ".new", self.path)

    def reload(self):
        """Reload by the admin API; return the outcome."""
        return json.loads(self.ask("/reload", "POST")[1])

    def upgrade(self):
        """Hand over to a new generation; wait until the old one has ended."""
        outcome = json.loads(self.ask("/upgrade", "POST")[1])
        assert outcome["accepted"], outcome["summary"]
        old = self.process.pid
        wait_for(lambda: b"meshd.host.waiter" in _command(old), "the end of the old generation")
        self.pids = self.carriers()

    def carriers(self):
        """Return the processes that carry traffic."""
        rows = self.json("/server_info")["workers"]
        return [row["pid"] for row in rows if row.get("state", "serving") == "serving"]

    def is_whole(self):
        """Say whether every worker serves, beside the first that does."""
        rows = self.json("/server_info")["workers"]
        return all(row.get("state", "serving") == "serving" for row in rows if row["index"] is not None)

    # What it tells

    def ask(self, target, method="GET"):
        """Return (status, body) of the admin API when the daemon has ended the connection."""
        connection = Local(self.admin)
        try:
            connection.request(method, target, headers={"connection": "close"})
            with connection.sock.dup() as sock:
                answer = connection.getresponse()
                found = answer.status, answer.read()
                with contextlib.suppress(OSError):
                    sock.recv(1)
            return found
        finally:
            connection.close()

    def ctl(self, *arguments):
        """Return (exit code, output) of meshctl."""
        command = [self.python, "-m", "meshd.cli.ctl", "--admin", f"unix:{self.admin}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr

    def is_ready(self):
        """Say whether /ready answers 200."""
        try:
            return self.ask("/ready")[0] == 200
        except OSError:
            return False

    def json(self, target):
        """Return a page of the admin API as JSON."""
        return json.loads(self.ask(f"{target}{'&' if '?' in target else '?'}format=json")[1])

    def metric(self, name, **labels):
        """Return the sum of the series of a metric that have these labels; 0 where there is none."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        total = 0.0
        for line in self.ask("/metrics")[1].decode().splitlines():
            found = SERIES.match(line)
            if found and found[1] == name and all(text in (found[2] or "") for text in wanted):
                total += float(found[3])
        return total

    def accesses(self, **wanted):
        """Return the access log's entries that have these values."""
        if not os.path.exists(self.access_path):
            return []
        with open(self.access_path) as file:
            rows = [json.loads(line) for line in file.read().splitlines(keepends=True) if line.endswith("\n")]
        return [row for row in rows if all(row[key] == value for key, value in wanted.items())]

    def access(self, **wanted):
        """Wait for an entry of the access log and return the last one."""
        return wait_for(lambda: self.accesses(**wanted), f"{wanted} in the access log")[-1]

    def log(self):
        """Return what it has logged."""
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def logged(self, text):
        """Wait for a text in the log."""
        wait_for(lambda: text in self.log(), f"{text!r} in the log")

    # The process

    def fds(self):
        """Return how many descriptors it has open, the access log's not counted (it is opened with the first line).

        They are counted while a connection to the admin API is open: those before it are closed when it is answered.
        """
        count = -1
        connection = Local(self.admin)
        with contextlib.closing(connection):
            connection.request("GET", "/ready")
            connection.getresponse().read()
            for pid in self.pids:
                for name in os.listdir(f"/proc/{pid}/fd"):
                    with contextlib.suppress(OSError):
                        count += os.readlink(f"/proc/{pid}/fd/{name}") != self.access_path
        return count

    def resident_bytes(self):
        """Return its resident memory."""
        total = 0
        for pid in self.pids:
            with open(f"/proc/{pid}/statm") as file:
                total += int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return total

    def cpu_s(self):
        """Return the CPU seconds that it has used."""
        ticks = 0
        for pid in self.pids:
            with open(f"/proc/{pid}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def signal(self, name):
        """Send SIGNAME."""
        self.process.send_signal(getattr(signal, f"SIG{name}"))

    # Ends

    def leaks(self):
        """Return what is still held though no client is there: {what: how much}, empty when all is well."""
        gauges = ("envoy_listener_downstream_cx_active", "envoy_http_downstream_rq_active",
                  "envoy_cluster_upstream_cx_active", "envoy_cluster_upstream_rq_active")
        self.pids = self.carriers()  # a worker may have been replaced
        found = {"fds": max(0, self.fds() - self.idle_fds)} | {name: self.metric(name) for name in gauges}
        for row in self.json("/clusters")["clusters"]:
            found |= {f"{row['name']} {name}": state["used"] for name, state in row["circuit_breaker"].items()}
            found |= {f"{row['name']} {point['address']}": point["active_requests"] for point in row["endpoints"]}
        return {name: value for name, value in found.items() if value}

    def settled(self, limit_s=10.0):
        """Wait until nothing is held any more; fails with what is."""
        until = time.monotonic() + limit_s
        while found := self.leaks():
            assert time.monotonic() < until, f"held after {limit_s} s: {found}"
            time.sleep(0.05)

    def cries(self):
        """Return the lines of the log that must never be there."""
        return [line for line in self.log().splitlines() if any(cry in line for cry in CRIES)]

    def stop(self):
        """End it by SIGTERM and judge how it ended."""
        try:
            if self.process.poll() is None:
                self.signal("TERM")
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
            assert self.process.returncode == 0, self.log()
            assert not self.cries(), self.log()
        finally:
            self.kill()

    def kill(self):
        """End it, however it is, and clean up."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        kill_all(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            self.stop()
        else:
            sys.stderr.write(self.log()[-4000:])
            self.kill()
