"""What a reload and the end do to single requests; test_nothing_lost.py has what they do to many.

MESHD_RELOADS=100 MESHD_RELOAD_S=60 pytest -s -k measured tests/integration/test_reload_under_load.py
makes that many reloads in that time and prints what was measured.
"""

import http.client
import os
import re
import statistics
import subprocess
import sys
import threading
import time

import pytest

from tests.integration.harness.client import ask, dial, get, read_to_end
from tests.integration.harness.daemon import Daemon, document
from tests.integration.harness.program import Program
from tests.integration.harness.upstream import Upstream, reply
from tests.integration.process import wait_for

RELOADS = int(os.environ.get("MESHD_RELOADS", "0"))
RELOAD_S = float(os.environ.get("MESHD_RELOAD_S", "60"))
LATE = re.compile(r"reactor: (\d+) ms late")


class Load:
    """Keep-alive clients, each asking on end; ``opened`` counts connections, ``lost`` is what failed."""

    def __init__(self, port, count=4, target="/up", pause_s=0.0):
        self.opened, self.answers, self.lost, self.bodies = 0, 0, [], {}
        self._port, self._target, self._pause_s = port, target, pause_s
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _run(self):
        connection = None
        while not self._is_over.wait(self._pause_s) if self._pause_s else not self._is_over.is_set():
            if connection is None:
                self.opened += 1
                connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
            connection = self._ask(connection)
        if connection is not None:
            connection.close()

    def _ask(self, connection):
        """Ask once; return the connection, or None where it is of no use any more."""
        try:
            connection.request("GET", self._target)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.lost.append(repr(error))
            return None
        self.answers += 1
        self.bodies[body] = self.bodies.get(body, 0) + 1
        if answer.status != 200:
            self.lost.append(answer.status)
        return None if answer.will_close else connection

    def warm(self, count=50):
        """Wait for some answers."""
        before = self.answers
        wait_for(lambda: self.answers >= before + count, "answers")

    def stop(self):
        """End it."""
        self._is_over.set()
        for thread in self._threads:
            thread.join()


def mesh(upstream, word="one", cluster="up", **top):
    """Return a configuration: /word is answered here, /moved by one of two clusters, the rest by ``up``."""
    routes = [{"match": {"path": "/word"}, "direct_response": {"status": 200, "body": word}},
              {"match": {"path": "/moved"}, "cluster": cluster}, {"match": {"prefix": "/"}, "cluster": "up"}]
    clusters = [{"name": name, "endpoints": [{"address": address}]} for name, address in upstream.items()]
    return document(routes, clusters, **top)


def same_port(daemon, configuration):
    """Return a configuration that listens where the daemon does."""
    configuration["listeners"][0]["address"] = f"127.0.0.1:{daemon.port}"
    return configuration


@pytest.fixture
def upstreams():
    """Yield two upstreams that say who they are."""
    with Upstream.saying(reply(b"up")) as up, Upstream.saying(reply(b"other")) as other:
        yield {"up": up.address, "other": other.address}


def info(daemon):
    """Return /server_info."""
    return daemon.json("/server_info")


def test_changed_routes_serve_the_next_request_of_an_open_connection(upstreams):
    with Daemon(mesh(upstreams)) as daemon:
        connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=30)
        load = Load(daemon.port)
        load.warm()
        for word, cluster, body in (("a", "other", b"other"), ("b", "up", b"up"), ("c", "other", b"other")):
            daemon.write(same_port(daemon, mesh(upstreams, word, cluster)))
            assert daemon.reload()["accepted"]
            connection.request("GET", "/moved")
            sock = connection.sock
            assert connection.getresponse().read() == body
            connection.request("GET", "/word")
            assert connection.getresponse().read() == word.encode()
            assert connection.sock is sock
        connection.close()
        load.stop()
        assert (load.lost, load.opened, set(load.bodies)) == ([], 4, {b"up"})
        daemon.settled()


def test_request_in_flight_finishes_on_the_configuration_that_it_began_with(upstreams):
    going = threading.Event()

    def script(peer):
        peer.head()
        going.wait(20)
        peer.send(reply(b"late"))

    with Upstream(script) as slow:
        both = upstreams | {"up": slow.address}
        with Daemon(mesh(both)) as daemon, dial(daemon.port, get("/x", connection="close")) as client:
            wait_for(lambda: slow.accepted, "the request")
            only = {"up": upstreams["up"], "other": upstreams["other"]}
            daemon.write(same_port(daemon, mesh(only)))
            assert daemon.reload()["accepted"]
            assert ask(daemon.port, "/x")[2] == b"up"
            going.set()
            assert read_to_end(client)[0].endswith(b"\r\n\r\nlate")
            daemon.settled()


def test_term_waits_for_a_reader_that_is_not_done(upstreams):
    """The answer has left the exchange and stands in the connection's buffer when the daemon is told to end."""
    with Program() as program, Daemon(mesh(upstreams | {"up": program.address})) as daemon:
        with dial(daemon.port, get("/big?6000000"), receive_bytes=65536) as client:
            time.sleep(0.3)
            daemon.signal("TERM")
            daemon.logged("draining")
            size = 0
            while piece := client.recv(65536):
                size += len(piece)
                time.sleep(0.005)
        assert size > 6_000_000
        assert daemon.process.wait(20) == 0


class Probe:
    """A process that asks /word every 2 ms and takes the time, so that nothing of this one is in it."""

    CODE = """
import socket, sys, time
sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
print(flush=True)
took, until = [], time.monotonic() + float(sys.argv[2])
while time.monotonic() < until:
    begin = time.monotonic()
    sock.sendall(b"GET /word HTTP/1.1\\r\\nhost: a\\r\\n\\r\\n")
    assert sock.recv(65536).startswith(b"HTTP/1.1 200")
    took.append((time.monotonic() - begin) * 1e3)
    time.sleep(0.002)
took.sort()
median, most = took[len(took) // 2], took[int(len(took) * 0.999)]
print(len(took), f"{median:.1f} {most:.1f} {took[-1]:.1f}", sum(ms > 20 for ms in took))
"""

    def __init__(self, port, seconds):
        self.process = subprocess.Popen([sys.executable, "-S", "-c", self.CODE, str(port), str(seconds)],
                                        stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()

    def __str__(self):
        count, median, most, longest, over = self.process.communicate(timeout=120)[0].split()
        return f"{count} probes: median {median} ms, 99.9 % {most} ms, longest {longest} ms, {over} over 20 ms"


@pytest.mark.skipif(not RELOADS, reason="opt-in: MESHD_RELOADS=100")
@pytest.mark.timeout(300)
def test_measured_reloads(upstreams):
    """Reload at a steady pace under load, and print what was lost, reconnects, memory, lateness without and with."""
    watched = {"plugins": {"watchdog": {"late": "20ms"}}}
    with Daemon(mesh(upstreams, **watched)) as daemon:
        load = Load(daemon.port, count=4, pause_s=0.005)
        load.warm()
        quiet, quiet_late = str(Probe(daemon.port, 10)), daemon.metric("meshd_reactor_lag_seconds_count")
        for number in range(5):
            daemon.write(same_port(daemon, mesh(upstreams, f"warm {number}", **watched)))
            daemon.reload()
        first, begin, took = info(daemon)["generation"], time.monotonic(), []
        before, late = daemon.resident_bytes(), daemon.metric("meshd_reactor_lag_seconds_count")
        probe = Probe(daemon.port, RELOAD_S)
        for number in range(RELOADS):
            time.sleep(max(0.0, begin + number * RELOAD_S / RELOADS - time.monotonic()))
            daemon.write(same_port(daemon, mesh(upstreams, f"word {number}", **watched)))
            started = time.monotonic()
            assert daemon.reload()["accepted"]
            took.append(time.monotonic() - started)
        seconds = time.monotonic() - begin
        load.stop()
        growth = daemon.resident_bytes() / before - 1
        late = daemon.metric("meshd_reactor_lag_seconds_count") - late
        worst = max(map(int, LATE.findall(daemon.log())), default=0)
        print(f"\n{RELOADS} reloads in {seconds:.1f} s (median {statistics.median(took) * 1e3:.0f} ms, "
              f"longest {max(took) * 1e3:.0f} ms), {load.answers} requests, lost {len(load.lost)}, "
              f"closed connections {load.opened - 4}, resident {before >> 10} KiB {growth:+.1%}\n"
              f"without reloads: {quiet}, {quiet_late:.0f} batches over 20 ms\n"
              f"with reloads: {probe}, {late:.0f} batches over 20 ms, worst in the log {worst} ms")
        assert info(daemon)["generation"] == first + RELOADS
        assert (load.lost, load.opened) == ([], 4)
        assert growth < 0.05
