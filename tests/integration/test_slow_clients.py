"""Clients that are slow, silent or gone: cut at their timeouts, told apart in the log, and nothing is left of them."""

import contextlib
import statistics
import threading
import time

import pytest

from tests.integration.harness.client import dial, get, read_to_end, read_until, status, timed
from tests.integration.harness.daemon import Daemon, one_cluster
from tests.integration.harness.program import Program
from tests.integration.harness.upstream import Upstream, reply
from tests.integration.process import wait_for


def test_200_slow_clients_are_cut_at_their_timeouts_and_others_are_served():
    timeouts = {"headers": "1s", "send": "1s", "body_gap": "1s"}
    with Program() as program, Daemon(one_cluster(program.address, listener={"timeouts": timeouts})) as daemon:
        with contextlib.ExitStack() as stack:
            post = b"POST /silent HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf"
            heads = [stack.enter_context(dial(daemon.port, b"GET /head HTTP/1.1\r\nho")) for _ in range(80)]
            bodies = [stack.enter_context(dial(daemon.port, post)) for _ in range(40)]
            readers = [stack.enter_context(dial(daemon.port, get("/big?8000000"), 4096)) for _ in range(80)]
            begin = time.monotonic()
            found = [timed(status, daemon.port) for _ in range(100)]
            assert {answer for answer, _ in found} == {200}
            assert statistics.median(seconds for _, seconds in found) < 0.5
            for client in heads + bodies:
                assert read_to_end(client)[0].startswith(b"HTTP/1.1 408 ")
            wait_for(lambda: daemon.metric("envoy_listener_downstream_cx_active") == 0, "all to be cut", 10)
            assert time.monotonic() - begin > 0.9
            for client in readers:
                assert len(read_to_end(client)[0]) < 8_000_000
        wait_for(lambda: len(daemon.accesses(details="request_header_timeout", status=408)) == 80, "a line for each")
        wait_for(lambda: len(daemon.accesses(details="request_body_timeout", status=408)) == 40, "a line for each")
        wait_for(lambda: len(daemon.accesses(details="downstream_send_timeout", flags="DC")) == 80, "a line for each")
        daemon.settled()


SIZES = range(100_000, 6_000_000, 150_000)
"""From answers that fit into the kernel's buffers to those that do not: some end with their last bytes unsent."""


@pytest.mark.parametrize("fields", [{}, {"connection": "close"}], ids=["keep-alive", "close"])
def test_clients_that_never_read_are_cut_wherever_their_answer_ends(fields):
    timeouts = {"send": "1s", "idle": "1s"}
    with Program() as program, Daemon(one_cluster(program.address, listener={"timeouts": timeouts})) as daemon:
        with contextlib.ExitStack() as stack:
            for size in SIZES:
                stack.enter_context(dial(daemon.port, get(f"/big?{size}", **fields), 4096))
            wait_for(lambda: daemon.metric("envoy_http_downstream_rq_total") == len(SIZES), "all requests")
            daemon.settled()


def test_clients_that_read_late_get_all_wherever_their_answer_ends():
    with Program() as program, Daemon(one_cluster(program.address)) as daemon:
        with contextlib.ExitStack() as stack:
            requests = [get(f"/big?{size}", connection="close") for size in SIZES]
            clients = [stack.enter_context(dial(daemon.port, request, 4096)) for request in requests]
            wait_for(lambda: daemon.metric("envoy_http_downstream_rq_total") == len(SIZES), "all requests")
            time.sleep(1.5)  # longer than a connection lingers
            for client, size in zip(clients, SIZES):
                data, was_reset = read_to_end(client)
                assert (len(data.partition(b"\r\n\r\n")[2]), was_reset) == (size, False)
        daemon.settled()


@pytest.mark.parametrize("idle", ["10s", "0s"])
def test_silent_stream_ends_at_its_own_timeout(idle):
    timeouts = {"stream_idle": "500ms", "idle": idle, "headers": "0s"}
    with Program() as program:
        with Daemon(one_cluster(program.address, route={"timeout": "0s"}, listener={"timeouts": timeouts})) as daemon:
            found, seconds = timed(status, daemon.port, "/silent")
            assert (found, daemon.access(path="/silent")["flags"]) == (408, "SI")
            assert 0.45 < seconds < 3.0
            daemon.settled()


def test_switched_off_timers_keep_the_processor_cold():
    timeouts = {name: "0s" for name in ("headers", "body_gap", "stream_idle", "send")} | {"idle": "300ms"}
    with Upstream.saying(reply()) as up, Daemon(one_cluster(up.address, listener={"timeouts": timeouts})) as daemon:
        with dial(daemon.port, b"GET / HTTP/1.1\r\nho") as client:
            time.sleep(0.6)
            used = daemon.cpu_s()
            time.sleep(0.6)
            assert daemon.cpu_s() - used < 0.2
            client.sendall(b"st: a\r\n\r\n")
            assert b" 200 OK" in read_until(client, b"ok")
        daemon.settled()


def test_client_that_leaves_while_it_waits_is_dc_and_the_upstream_is_told():
    gone = threading.Event()
    with Upstream(lambda peer: (peer.head(), peer.wait_end(), gone.set())) as upstream:
        with Daemon(one_cluster(upstream.address)) as daemon:
            with dial(daemon.port, get("/gone")):
                wait_for(lambda: upstream.accepted == 1, "the request")
            assert gone.wait(10)
            entry = daemon.access(path="/gone")
            assert (entry["status"], entry["flags"], entry["details"]) == (0, "DC", "downstream_remote_disconnect")
            daemon.settled()


def test_client_that_leaves_in_a_download_is_dc_and_the_upstream_is_told():
    gone = threading.Event()

    def script(peer):
        try:
            peer.head()
            peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
            while True:
                peer.send(b"x" * 65536)
        finally:
            gone.set()

    with Upstream(script) as upstream, Daemon(one_cluster(upstream.address)) as daemon:
        with dial(daemon.port, get("/gone"), receive_bytes=4096) as client:
            read_until(client, b"xxx")
        assert gone.wait(10)
        entry = daemon.access(path="/gone")
        assert (entry["status"], entry["flags"]) == (200, "DC")
        daemon.settled()


def test_client_that_leaves_in_an_upload_is_dc_and_the_upstream_is_told():
    gone = threading.Event()
    with Upstream(lambda peer: (peer.head(), peer.wait_end(), gone.set())) as upstream:
        with Daemon(one_cluster(upstream.address)) as daemon:
            with dial(daemon.port, b"POST /gone HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\nbegin"):
                wait_for(lambda: upstream.accepted == 1, "the request")
            assert gone.wait(10)
            entry = daemon.access(path="/gone")
            assert (entry["flags"], entry["received"]) == ("DC", 5)
            daemon.settled()
