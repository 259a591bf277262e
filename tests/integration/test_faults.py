"""What breaks around the daemon breaks nothing else: the right answer, flag and counter, and nothing is left over."""

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time

import pytest

from tests.integration.harness.client import ask, at_once, dial, get, read_to_end, read_until, status, timed
from tests.integration.harness.daemon import Daemon, MODE, document, one_cluster
from tests.integration.harness.program import Program
from tests.integration.harness.upstream import Upstream, reply
from tests.integration.process import free_port, wait_for

BEFORE = "upstream_reset_before_response_started"

one_log = pytest.mark.skipif(
    MODE == "workers", reason="counts the descriptors of one log; each worker opens its own with its first line")


def ok():
    """Return an upstream that answers ``ok``."""
    return Upstream.saying(reply())


def dead_address():
    """Return an address where nobody listens."""
    return f"127.0.0.1:{free_port()}"


@contextlib.contextmanager
def black_hole():
    """Yield an address where connects hang: the accept queue is full, the kernel drops what comes."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        probe = stack.enter_context(socket.socket())
        probe.settimeout(0.3)
        try:
            probe.connect(listener.getsockname())
        except TimeoutError:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        else:
            pytest.skip("this kernel lets connections past a full backlog")


# An upstream that dies


@pytest.mark.parametrize("path", ["/length", "/chunked"])
def test_killed_upstream_never_makes_a_whole_looking_answer(path):
    with Program() as program, Daemon(one_cluster(program.address)) as daemon:
        with dial(daemon.port, get(path)) as client:
            read_until(client, b"xxxx")
            program.kill()
            data, _ = read_to_end(client)
        assert len(data) < 100_000
        assert not data.endswith(b"0\r\n\r\n")
        entry = daemon.access(path=path)
        assert (entry["status"], entry["flags"]) == (200, "UC")
        assert entry["details"] == "upstream_reset_after_response_started{connection_termination}"
        assert status(daemon.port, "/again") == 503
        assert daemon.access(path="/again")["flags"] == "UF,URX"
        daemon.settled()


def test_reset_in_an_until_close_body_never_looks_whole():
    def script(peer):
        peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\npart")
        ready.wait(20)
        peer.reset()

    ready = threading.Event()
    with Upstream(script) as upstream, Daemon(one_cluster(upstream.address)) as daemon:
        old_request = b"GET /old HTTP/1.0\r\nhost: a\r\n\r\n"
        with dial(daemon.port, get("/close")) as client, dial(daemon.port, old_request) as old:
            read_until(client, b"part")
            read_until(old, b"part")
            ready.set()
            assert not read_to_end(client)[0].endswith(b"0\r\n\r\n")
            assert read_to_end(old)[1], "a body until the close was cut without a reset"
        assert daemon.access(path="/close")["flags"] == "UC"
        daemon.settled()


def test_until_close_body_is_whole_at_a_close():
    def script(peer):
        peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nall of it")

    with Upstream(script) as upstream, Daemon(one_cluster(upstream.address)) as daemon:
        assert ask(daemon.port)[::2] == (200, b"all of it")
        daemon.settled()


def test_reset_after_accept_is_503_uc():
    script = lambda peer: (peer.head(), peer.reset())
    with Upstream(script) as upstream, Daemon(one_cluster(upstream.address)) as daemon:
        assert status(daemon.port, "/r") == 503
        entry = daemon.access(path="/r")
        assert (entry["flags"], entry["details"]) == ("UC", BEFORE + "{connection_termination}")
        assert upstream.accepted == 1
        daemon.settled()


def test_reset_is_retried_elsewhere_where_the_policy_says_so():
    retry = {"retry": {"retry": {"retry_on": ["reset"], "attempts": 2}}}
    with Upstream(lambda peer: (peer.head(), peer.reset())) as bad, ok() as good:
        with Daemon(one_cluster(bad.address, good.address, route=retry)) as daemon:
            assert at_once(60, status, daemon.port, workers=2) == [200] * 60
            assert bad.accepted > 10
            assert daemon.metric("envoy_cluster_upstream_rq_retry") == bad.accepted
            daemon.settled()


# Connects that fail


def test_refused_connect_loses_nothing_where_another_endpoint_is_there():
    with ok() as upstream, Daemon(one_cluster(dead_address(), upstream.address)) as daemon:
        assert at_once(200, status, daemon.port, workers=2) == [200] * 200
        failed = daemon.metric("envoy_cluster_upstream_cx_connect_fail")
        assert failed >= 90
        assert daemon.metric("envoy_cluster_upstream_rq_retry") == failed
        assert daemon.metric("envoy_cluster_upstream_rq_total") == 200 + failed
        daemon.settled()


def test_refused_connect_alone_is_503_uf():
    with Daemon(one_cluster(dead_address(), route={"retry": {"retry": {"attempts": 0}}})) as daemon:
        assert status(daemon.port, "/f") == 503
        entry = daemon.access(path="/f")
        assert (entry["flags"], entry["details"]) == ("UF", BEFORE + "{connection_failure}")
        assert "connection refused" in entry["reason"]
        assert daemon.metric("envoy_cluster_upstream_cx_connect_fail") == 1
        daemon.settled()


def test_connect_into_a_black_hole_ends_at_its_timeout():
    routes = [{"match": {"prefix": "/lone"}, "cluster": "lone", "retry": {"retry": {"attempts": 0}}},
              {"match": {"prefix": "/"}, "cluster": "pair"}]
    with black_hole() as hole, ok() as upstream:
        clusters = [{"name": name, "endpoints": [{"address": one} for one in addresses], "connect_timeout": "1s"}
                    for name, addresses in (("lone", [hole]), ("pair", [hole, upstream.address]))]
        with Daemon(document(routes, clusters)) as daemon:
            found, seconds = timed(status, daemon.port, "/lone")
            assert found == 503
            assert 0.9 < seconds < 3.0
            entry = daemon.access(path="/lone")
            assert (entry["flags"], entry["reason"]) == ("UF", "connect timed out after 1 s")
            assert at_once(4, status, daemon.port, "/pair", workers=4) == [200] * 4
            assert daemon.metric("envoy_cluster_upstream_cx_connect_fail", cluster_name="pair") >= 1
            daemon.settled()


# An upstream that hangs


def test_stopped_upstream_is_504_ut():
    with Program() as program, Daemon(one_cluster(program.address, route={"timeout": "500ms"})) as daemon:
        assert status(daemon.port) == 200
        program.stop()
        found, seconds = timed(status, daemon.port, "/stopped")
        program.go_on()
        assert found == 504
        assert 0.45 < seconds < 3.0
        entry = daemon.access(path="/stopped")
        assert (entry["flags"], entry["details"]) == ("UT", "response_timeout")
        assert daemon.metric("envoy_cluster_upstream_rq_timeout") == 1
        assert status(daemon.port) == 200
        daemon.settled()


def test_upstream_of_one_byte_a_second_holds_up_nobody_else():
    with Program() as program, Daemon(one_cluster(program.address)) as daemon:
        with contextlib.ExitStack() as stack:
            slow = [stack.enter_context(dial(daemon.port, get("/drip"))) for _ in range(5)]
            for client in slow:
                read_until(client, b"\r\n\r\n")
            found, seconds = timed(at_once, 200, status, daemon.port)
            assert found == [200] * 200
            assert seconds < 5
        wait_for(lambda: len(daemon.accesses(path="/drip", flags="DC")) == 5, "the slow ones' end")
        daemon.settled()


# The daemon's own means run out


def test_without_descriptors_clients_wait_and_the_admin_api_answers():
    configuration = lambda upstream: one_cluster(upstream.address, overload={"max_wait": "1m"})
    with ok() as upstream, Daemon(configuration(upstream), prefix=["prlimit", "--nofile=96:96"]) as daemon:
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(dial(daemon.port)) for _ in range(120)]
            wait_for(lambda: not daemon.json("/listeners")["listeners"][0]["accepting"], "no more to be accepted")
            clients[0].sendall(get("/served"))
            assert b" 200 OK" in read_until(clients[0], b"ok")
            begin, used = time.monotonic(), daemon.cpu_s()
            late = dial(daemon.port, get("/late"))
            stack.enter_context(late)
            late.settimeout(1.0)
            with pytest.raises(TimeoutError):
                late.recv(1)
            assert daemon.is_ready()
            assert (daemon.cpu_s() - used) / (time.monotonic() - begin) < 0.3
            for client in clients:
                client.close()
            late.settimeout(20)
            assert b" 200 OK" in read_until(late, b"ok")
        assert status(daemon.port) == 200
        daemon.settled()


def log_to(path, **buffer):
    """Return telemetry with an access log at ``path``."""
    return ["prometheus", {"access_log": {"path": path, "buffer": {"flush_interval": "10ms", **buffer}}}]


def dropped(daemon):
    """Return how many lines of the access log were not written."""
    return daemon.metric("meshd_access_log_dropped_total")


@one_log
def test_full_device_under_the_access_log_costs_lines_and_no_traffic():
    with ok() as upstream, Daemon(one_cluster(upstream.address, telemetry=log_to("/dev/full"))) as daemon:
        assert at_once(200, status, daemon.port) == [200] * 200
        wait_for(lambda: dropped(daemon) == 200, "the dropped lines")
        assert daemon.metric("meshd_access_log_errors_total") >= 1
        assert "no space left on device" in daemon.log().lower()
        daemon.idle_fds += 1  # the log's own
        daemon.settled()


def test_full_disk_under_the_access_log_costs_lines_until_there_is_room(tmp_path):
    mount = [shutil.which("mount") or "mount", "-t", "tmpfs", "-o", "size=64k", "none", tmp_path]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no right to mount a small tmpfs")
    try:
        ballast = tmp_path / "ballast"
        log = tmp_path / "access.log"
        with ok() as upstream, Daemon(one_cluster(upstream.address, telemetry=log_to(str(log)))) as daemon:
            assert status(daemon.port, "/first") == 200
            wait_for(lambda: log.exists() and b"/first" in log.read_bytes(), "the first line")
            with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
                while file.write(b"x" * 4096):
                    pass
            assert at_once(100, status, daemon.port, "/" + "x" * 100) == [200] * 100
            wait_for(lambda: dropped(daemon) > 0, "dropped lines")
            ballast.unlink()
            assert status(daemon.port, "/last") == 200
            wait_for(lambda: b"/last" in log.read_bytes(), "the last line")
            assert all(line.startswith(b"[") for line in log.read_bytes().splitlines()[-1:])
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)


def is_on_time(daemon):
    """Say whether the reactor is nowhere 50 ms late (the watchdog's figure) while lines are dropped.

    A write that blocks is late each time; what a busy machine takes away is not, so one round on time is proof.
    """
    late, before = daemon.metric("meshd_reactor_late_total"), dropped(daemon)
    assert at_once(40, status, daemon.port, "/" + "x" * 200, workers=2) == [200] * 40
    wait_for(lambda: dropped(daemon) > before, "dropped lines")
    return daemon.metric("meshd_reactor_late_total") == late


@one_log
def test_access_log_pipe_that_nobody_reads_stops_no_traffic(tmp_path):
    path = str(tmp_path / "fifo")
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        telemetry = log_to(path, limit="16KiB")
        with ok() as upstream, Daemon(one_cluster(upstream.address, telemetry=telemetry)) as daemon:
            found, seconds = timed(at_once, 600, status, daemon.port, "/" + "x" * 200)
            assert found == [200] * 600
            wait_for(lambda: daemon.metric("meshd_access_log_dropped_total", reason="overflow") > 50, "dropped lines")
            assert seconds < 20
            assert any(is_on_time(daemon) for _ in range(10)), "the reactor waits for the reader of the log"
            daemon.idle_fds += 1
            daemon.settled()
    finally:
        os.close(reader)


# All of it


def test_many_faults_at_once_leave_nothing_behind():
    """Killed, refused and reset upstreams under load, and clients that leave: afterwards every gauge is back at 0."""
    retry = {"retry": {"retry": {"retry_on": ["connect-failure", "reset"], "attempts": 2}}, "timeout": "2s"}
    with Program() as program, ok() as good, Upstream(lambda peer: (peer.head(), peer.reset())) as bad:
        with Daemon(one_cluster(program.address, good.address, bad.address, dead_address(), route=retry)) as daemon:
            threading.Timer(0.3, program.kill).start()
            begin = time.monotonic()
            while time.monotonic() - begin < 1.5:
                for path in ("/chunked", "/silent", "/big?300000"):
                    dial(daemon.port, get(path)).close()
                assert set(at_once(8, status, daemon.port)) <= {200, 503}
            daemon.settled()
            assert status(daemon.port) in (200, 503)
