"""A GiB and a reader that stops: the daemon holds no more than its watermarks, whichever side stops."""

import contextlib
import threading
import time

from tests.integration.harness.client import dial, get, read_until
from tests.integration.harness.daemon import Daemon, one_cluster
from tests.integration.harness.program import Program
from tests.integration.harness.upstream import Upstream, reply
from tests.integration.process import wait_for

GIB = 1 << 30
GROWTH_BYTES = 8 << 20
PIECE = b"x" * 1048576
ENDLESS = {"route": {"timeout": "0s"}}


def resting(read, limit_s=15.0):
    """Wait until the number that ``read()`` returns stands still for half a second; return it."""
    until = time.monotonic() + limit_s
    last, since = read(), time.monotonic()
    while time.monotonic() - since < 0.5:
        assert time.monotonic() < until, f"still moving after {limit_s} s, at {last}"
        time.sleep(0.05)
        now = read()
        if now != last:
            last, since = now, time.monotonic()
    return last


def highest(daemon):
    """Return the highest resident memory that the daemon has ever had, in bytes."""
    with open(f"/proc/{daemon.process.pid}/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


def warm(daemon, target):
    """Have everything that is made with the first requests made; return the highest memory."""
    for _ in range(3):
        with dial(daemon.port, get(target)) as client:
            read_until(client, b"\r\n\r\n")
    return highest(daemon)


def test_reader_that_stops_in_a_download_of_a_gib():
    with Program() as program, Daemon(one_cluster(program.address, **ENDLESS)) as daemon:
        before = warm(daemon, "/big?3000000")
        with contextlib.ExitStack() as stack:
            for _ in range(4):
                client = stack.enter_context(dial(daemon.port, get(f"/big?{GIB}"), receive_bytes=65536))
                read_until(client, b"xxx")
            resting(daemon.cpu_s)
            assert highest(daemon) - before < GROWTH_BYTES
            for _ in range(64):
                client.recv(262144)
            resting(daemon.cpu_s)
            assert highest(daemon) - before < GROWTH_BYTES
        daemon.settled()


def test_upstream_that_stops_in_an_upload_of_a_gib():
    upload_of_a_gib(b"content-length: %d" % GIB, PIECE)


def test_upstream_that_stops_in_a_chunked_upload_of_a_gib():
    upload_of_a_gib(b"transfer-encoding: chunked", b"100000\r\n%b\r\n" % PIECE)


def upload_of_a_gib(framing, piece):
    """Send a GiB to an upstream that reads nothing, then goes on for a while."""
    going = threading.Event()

    def script(peer):
        if b" /warm " in peer.head():
            peer.send(reply())
            return
        going.wait(30)
        for _ in range(32):
            peer.read(1048576)
        ended.wait(30)

    ended = threading.Event()
    with Upstream(script) as upstream, Daemon(one_cluster(upstream.address, **ENDLESS)) as daemon:
        before = warm(daemon, "/warm")
        with dial(daemon.port, b"POST /up HTTP/1.1\r\nhost: a\r\n%b\r\n\r\n" % framing) as client:
            sent = []
            thread = threading.Thread(target=pour, args=(client, piece, sent), daemon=True)
            thread.start()
            held = resting(lambda: len(sent))
            assert held < 64, "a GiB was taken though nobody read it"
            assert highest(daemon) - before < GROWTH_BYTES
            going.set()
            wait_for(lambda: len(sent) > held + 16, "the upload to go on")
            resting(lambda: len(sent))
            assert highest(daemon) - before < GROWTH_BYTES
            client.shutdown(2)
            thread.join()
        ended.set()
        daemon.settled()


def pour(client, piece, sent):
    """Send pieces until it cannot be done any more."""
    with contextlib.suppress(OSError):
        for _ in range(1024):
            client.sendall(piece)
            sent.append(1)


def test_a_gib_flows_through_with_flat_memory():
    """Nobody stops: 512 MiB are read as they come."""
    with Program() as program, Daemon(one_cluster(program.address, **ENDLESS)) as daemon:
        before = warm(daemon, "/big?3000000")
        with dial(daemon.port, get(f"/big?{GIB >> 1}")) as client:
            left = (GIB >> 1) - len(read_until(client, b"\r\n\r\n").partition(b"\r\n\r\n")[2])
            buffer = bytearray(1048576)
            while left:
                count = client.recv_into(buffer)
                assert count, f"{left} bytes missing"
                left -= count
        assert highest(daemon) - before < GROWTH_BYTES
        daemon.settled()
