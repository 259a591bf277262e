"""Clients that stop reading, and thousands that send their heads slowly, beside the mixed load (faults 11 and 12)."""

import contextlib
import resource
import select
import socket
import time

import pytest

from tests.integration.faults.scene import best_p99, fleet, mixed
from tests.integration.faults.table import LIMITS
from tests.integration.harness.client import dial, get, read_until
from tests.integration.harness.daemon import Daemon, document
from tests.integration.harness.program import Program
from tests.integration.process import wait_for
from tests.integration.test_memory import highest, resting

pytestmark = pytest.mark.timeout(300)

READERS = 100
EIGHT_MIB = 8 << 20
SLOW_BYTE_S = 1.0
SPARE_S = 0.005


@contextlib.contextmanager
def two_clusters(program, echoes, **options):
    """Yield a daemon: /big goes to the program, all else to the echoes."""
    routes = [{"match": {"path": "/big", "methods": ["GET"]}, "cluster": "large", "timeout": "0s"},
              {"match": {"prefix": "/"}, "cluster": "up"}]
    clusters = [{"name": "large", "endpoints": [{"address": program.address}]},
                {"name": "up", "endpoints": [{"address": echo.address} for echo in echoes]}]
    with Daemon(document(routes, clusters), **options) as daemon:
        yield daemon


def test_clients_that_stop_reading_hold_little_memory_and_nobody_up():
    with Program() as program, fleet(2) as echoes, two_clusters(program, echoes) as daemon:
        with mixed(daemon) as load, contextlib.ExitStack() as stack:
            with dial(daemon.port, get(f"/big?{EIGHT_MIB}")) as client:
                read_until(client, b"xxx")
            load.warm(600)
            before = highest(daemon)
            for _ in range(READERS):
                client = stack.enter_context(dial(daemon.port, get(f"/big?{EIGHT_MIB}"), receive_bytes=65536))
                read_until(client, b"xxx")
            load.warm(600)
            held = highest(daemon) - before
            load.stop().assert_nothing_lost()
            resting(daemon.cpu_s)
            assert held / READERS < LIMITS["client_bytes"], f"{held / READERS / 1024:.0f} KiB each"
        wait_for(lambda: len(daemon.accesses(flags="DC", path=f"/big?{EIGHT_MIB}")) == READERS + 1, "their ends")
        daemon.settled()


class SlowHeads:
    """So many clients that send a byte of their heads now and then; ``cut`` has (seconds until the end, answer)."""

    def __init__(self, port):
        self.poll = select.epoll()
        self.open, self.cut = {}, []
        for _ in range(LIMITS["heads"]):
            sock = socket.create_connection(("127.0.0.1", port), 20)
            sock.sendall(b"GET /slow HTTP/1.1\r\nhost: a\r\nx")
            sock.setblocking(False)
            self.open[sock.fileno()] = (sock, time.monotonic())
            self.poll.register(sock, select.EPOLLIN)
        self._next = time.monotonic() + SLOW_BYTE_S

    def turn(self):
        """Send a byte on each that is due one; note those that have ended."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + SLOW_BYTE_S
            for sock, _ in self.open.values():
                with contextlib.suppress(OSError):
                    sock.send(b"x")
        for number, _ in self.poll.poll(0.05):
            sock, since = self.open.pop(number)
            self.cut.append((time.monotonic() - since, sock.recv(4096)))
            self.poll.unregister(sock)
            sock.close()

    def close(self):
        """Close what is left."""
        for sock, _ in self.open.values():
            sock.close()
        self.poll.close()


@pytest.fixture
def descriptors():
    """Let this process have two for each slow client."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * LIMITS["heads"] + 2000
    if hard not in (-1, resource.RLIM_INFINITY) and hard < wanted:
        pytest.skip(f"expected {wanted} descriptors, got {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_thousands_of_slow_heads_are_cut_in_time_and_hold_nobody_up(descriptors):
    with Program() as program, fleet(2) as echoes, two_clusters(program, echoes) as daemon:
        limit_s = LIMITS["heads_p99"] * best_p99(daemon, lambda found: False, rounds=3) + SPARE_S
        slow = SlowHeads(daemon.port)
        with contextlib.closing(slow):
            opened = time.monotonic()
            beside_s = best_p99(daemon, lambda found: found < limit_s, rounds=4)
            while slow.open and time.monotonic() < opened + LIMITS["head_s"] + 5:
                slow.turn()
            assert not slow.open, f"{len(slow.open)} are still open"
        assert beside_s < limit_s
        assert {answer[:13] for _, answer in slow.cut} == {b"HTTP/1.1 408 "}
        seconds = sorted(took_s for took_s, _ in slow.cut)
        assert LIMITS["head_s"] - 1 < seconds[0], seconds[0]
        assert seconds[-1] < LIMITS["head_s"] + 3, seconds[-1]
        wanted = {"status": 408, "flags": "DPE", "details": "request_header_timeout"}
        wait_for(lambda: len(daemon.accesses(**wanted)) == LIMITS["heads"], "a line for each")
        daemon.settled()
