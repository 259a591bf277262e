"""The process under overload: refused with flag and Retry-After, nothing dies, the admin API answers all the while."""

import contextlib
import os
import shutil
import statistics
import subprocess
import threading
import time

import pytest

from tests.integration.harness.client import ask, dial, get, read_until, status, timed
from tests.integration.harness.daemon import Daemon, document, one_cluster
from tests.integration.harness.upstream import Upstream, reply
from tests.integration.process import Load, wait_for

MIB = 1024 * 1024
ADMIN_S = 0.1
"""What a look at the admin API may take, in the middle of many: single ones also wait for this machine's other work."""
REFUSAL_MS = 10

PLUGIN = '''
import time
from meshd.api import CONTINUE, PluginType, hookimpl

class Greedy:
    """/burn computes for 20 ms, /hoard keeps 1 MiB, until the log files are opened anew."""

    def __init__(self, config, site):
        self.hoard = []
        site.on_reopen(self.hoard.clear)

    def on_request(self, exchange):
        if exchange.request.path == b"/burn":
            until = time.perf_counter() + 0.02
            while time.perf_counter() < until:
                pass
        elif exchange.request.path == b"/hoard":
            self.hoard.append(bytes(b"x" * 1048576))
        return CONTINUE

@hookimpl
def meshd_plugins():
    return [PluginType(kind="http_filter", name="greedy", build=Greedy)]
'''


@pytest.fixture
def greedy(tmp_path):
    """Return a function(overload) -> configuration with the greedy filter; everything is answered ``ok`` here."""
    folder = tmp_path / "plugins"
    folder.mkdir(mode=0o755)
    (folder / "greedy.py").write_text(PLUGIN)
    (folder / "greedy.py").chmod(0o644)

    def configuration(**overload):
        made = document([{"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": "ok"}}], [])
        made["listeners"][0]["filters"].insert(0, {"greedy": {}})
        return {**made, "plugins": {"dir": str(folder), "watchdog": {"enabled": False}}, "overload": overload}

    return configuration


@contextlib.contextmanager
def load(port, path, connections):
    """Keep ``connections`` clients asking without a pause: wrk, or threads where it is not installed."""
    wrk = shutil.which("wrk")
    if wrk is None:
        clients = Load(port, min(connections, 32), path)
        try:
            yield
        finally:
            clients.stop()
        return
    command = [wrk, "-t1", f"-c{connections}", "-d60s", "--timeout", "30s", f"http://127.0.0.1:{port}{path}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def admin_s(daemon, page="/ready", count=21):
    """Return the seconds that looks at a page take, in the middle; each is a connection of its own, and answers 200."""
    times = []
    for _ in range(count):
        (found, _), seconds = timed(daemon.ask, page)
        assert found == 200
        times.append(seconds)
    return statistics.median(times)


def actions(daemon):
    """Return the actions in force."""
    return daemon.json("/server_info")["overload"]["actions"]


def is_active(daemon, action):
    """Say whether an action is in force."""
    return action in actions(daemon)


# The admin API


@pytest.mark.parametrize("connections", [64, 512])
def test_the_admin_api_answers_under_saturating_load(connections):
    with Upstream.saying(reply()) as upstream, Daemon(one_cluster(upstream.address)) as daemon:
        with load(daemon.port, "/", connections):
            wait_for(lambda: daemon.metric("envoy_http_downstream_rq_total") > 300, "the load")
            assert {page: admin_s(daemon, page) < ADMIN_S for page in ("/ready", "/healthz", "/metrics")} == {
                "/ready": True, "/healthz": True, "/metrics": True}
        daemon.settled(30)


# Lag


def test_a_filter_that_computes_makes_the_reactor_late_and_requests_are_refused(greedy):
    lag = {"stop_accepting_requests": "400ms", "stop_accepting_connections": "0s"}
    with Daemon(greedy(lag=lag)) as daemon:
        with load(daemon.port, "/burn", 64):
            daemon.logged("overload: stop_accepting_requests begins: the reactor is ")
            entry = daemon.access(flags="OM")
            assert (entry["status"], entry["details"]) == (503, "overload")
            assert admin_s(daemon, count=11) < 5 * ADMIN_S  # one filter's 20 ms may stand before each of three turns
        daemon.logged("overload: stop_accepting_requests ends after ")
        refused = daemon.metric("envoy_http_downstream_rq_overload_close")
        assert refused == len(wait_for(lambda: len(found := daemon.accesses(flags="OM")) == refused and found, "log"))
        assert statistics.median(int(row["duration"]) for row in daemon.accesses(flags="OM")) < REFUSAL_MS
        assert status(daemon.port) == 200
        assert daemon.metric("envoy_overload_active") == 0
        daemon.settled()


def test_a_busy_proxy_that_is_not_late_refuses_nothing():
    with Upstream.saying(reply()) as upstream, Daemon(one_cluster(upstream.address)) as daemon:
        clients = Load(daemon.port, 8, "/")
        wait_for(lambda: clients.answers > 2000, "2000 answers", 60)
        clients.stop()
        assert clients.failures == []
        assert "overload:" not in daemon.log()
        daemon.settled()


def test_one_long_pause_is_the_watchdogs_matter(tmp_path, greedy):
    configuration = greedy(lag={"stop_accepting_requests": "500ms", "stop_accepting_connections": "500ms"})
    plugin = tmp_path / "plugins" / "greedy.py"
    plugin.write_text(PLUGIN.replace("+ 0.02", "+ 3.0"))
    configuration["plugins"]["watchdog"] = {"enabled": True}
    with Daemon(configuration) as daemon:
        assert status(daemon.port, "/burn") == 200
        daemon.logged("late: blocked by plugin 'greedy'")
        wait_for(lambda: daemon.json("/server_info")["overload"]["resources"]["lag"]["last_s"] < 0.5, "its end")
        assert status(daemon.port) == 200
        assert "overload:" not in daemon.log()


# Descriptors (fault 18)


def test_without_descriptors_clients_wait_and_are_then_told():
    overload = {"max_wait": "3s"}
    with Upstream.saying(reply()) as upstream:
        with Daemon(one_cluster(upstream.address, overload=overload), prefix=["prlimit", "--nofile=96:96"]) as daemon:
            with contextlib.ExitStack() as stack:
                clients = [stack.enter_context(dial(daemon.port)) for _ in range(120)]
                wait_for(lambda: not daemon.json("/listeners")["listeners"][0]["accepting"], "no more to be accepted")
                clients[0].sendall(get("/served"))
                assert b" 200 OK" in read_until(clients[0], b"ok")
                begin, used = time.monotonic(), daemon.cpu_s()
                late = stack.enter_context(dial(daemon.port, get("/late")))
                late.settimeout(1.0)
                with pytest.raises(TimeoutError):
                    late.recv(1)
                late.settimeout(30)
                answer = read_until(late, b"overloaded\n")
                assert answer.startswith(b"HTTP/1.1 503 ")
                assert b"\r\nretry-after: 1\r\n" in answer
                wait_for(lambda: time.monotonic() - begin > 8, "some time")
                assert (daemon.cpu_s() - used) / (time.monotonic() - begin) < 0.1
                assert [status(daemon.port, "/told") for _ in range(3)] == [503] * 3
                wait_for(lambda: len(daemon.accesses(path="/told")) == 3, "their entries")
                entries = daemon.accesses(path="/told")
                assert {(entry["flags"], entry["details"]) for entry in entries} == {("OM", "overload")}
                assert min(int(entry["duration"]) for entry in entries) < REFUSAL_MS
                assert admin_s(daemon) < ADMIN_S
                assert admin_s(daemon, "/metrics") < ADMIN_S
                assert daemon.metric("envoy_listener_downstream_cx_overload_reject") >= 2
                assert is_active(daemon, "stop_accepting_connections")
                clients[1].sendall(get("/still"))  # the first may have been ended with its answer
                assert b" 200 OK" in read_until(clients[1], b"ok")
            wait_for(lambda: status(daemon.port) == 200, "clients to be taken again")
            daemon.settled()
            assert "overload: stop_accepting_connections begins: " in daemon.log()


# Memory (fault 19)


def own_group():
    """Return this process's folder in the tree of version 1's memory controller, or None."""
    with open("/proc/self/cgroup") as groups, open("/proc/self/mountinfo") as mounts:
        paths = [line.rstrip("\n").split(":", 2)[2] for line in groups if line.split(":")[1] == "memory"]
        folders = [line.split()[4] for line in mounts if " - cgroup " in line and line.endswith("memory\n")]
    return folders[0] + paths[0] if paths and folders else None


@contextlib.contextmanager
def memory_group(limit_bytes):
    """Yield a new group with this limit; skips where none can be made: version 1, or version 2 with the controller."""
    base = own_group()
    is_old = base is not None
    base = base or "/sys/fs/cgroup"
    folder = os.path.join(base, f"meshd-test-{os.getpid()}-{threading.get_ident()}")
    limit = "memory.limit_in_bytes" if is_old else "memory.max"
    try:
        os.mkdir(folder)
    except OSError as error:
        pytest.skip(f"no right to make a cgroup: {error}")
    try:
        try:
            with open(os.path.join(folder, limit), "w") as file:
                file.write(str(limit_bytes))
        except OSError as error:
            pytest.skip(f"no cgroup with a limit of memory: {error}")
        yield folder
    finally:
        os.rmdir(folder)


def kills(folder):
    """Return how often the kernel has killed in this group."""
    for name in ("memory.events", "memory.oom_control"):
        with contextlib.suppress(OSError), open(os.path.join(folder, name)) as file:
            return sum(int(line.split()[1]) for line in file if line.startswith("oom_kill "))
    return 0


def fill(daemon, most=1000):
    """Ask for memory until it is refused, at most 100 MiB/s: what no proxy could see in time is the kernel's matter.

    Return the answer that refused it.
    """
    for _ in range(most):
        time.sleep(0.01)
        answer = ask(daemon.port, "/hoard")
        if answer[0] != 200:
            return answer
    raise AssertionError("nothing was refused")


def survives(daemon):
    """Fill the memory; see that it is refused, that the admin API answers, and that all is well when it is free."""
    found, headers, body = fill(daemon)
    assert (found, headers["retry-after"], headers["connection"]) == (503, "1", "close")
    assert body == b"the proxy is overloaded\n"
    for _ in range(50):
        assert status(daemon.port, "/hoard") == 503
    assert admin_s(daemon) < ADMIN_S
    assert admin_s(daemon, "/metrics") < ADMIN_S
    assert is_active(daemon, "stop_accepting_requests")
    assert is_active(daemon, "disable_http_keepalive")
    assert daemon.access(path="/hoard", flags="OM")["details"] == "overload"
    assert daemon.metric("envoy_overload_pressure", resource="memory") >= 90
    assert daemon.metric("envoy_overload_active", action="stop_accepting_requests") == 1
    daemon.ask("/reopen_logs", "POST")
    wait_for(lambda: status(daemon.port) == 200, "the memory to be free again")
    wait_for(lambda: not actions(daemon), "the end of all actions")


def test_near_the_limit_of_its_cgroup_requests_are_refused_and_nothing_is_killed(greedy):
    with memory_group(160 * MIB) as folder:
        prefix = ["sh", "-c", f"echo $$ > {folder}/cgroup.procs; exec \"$@\"", "sh"]
        with Daemon(greedy(interval="20ms"), prefix=prefix) as daemon:
            survives(daemon)
            assert daemon.json("/server_info")["overload"]["resources"]["memory"]["limit_bytes"] == 160 * MIB
            assert kills(folder) == 0


def test_near_a_configured_limit_requests_are_refused(greedy):
    with Daemon(greedy(memory={"limit": "160MiB"})) as daemon:
        survives(daemon)


def test_keep_alive_goes_first(greedy):
    thresholds = {"stop_accepting_requests": 0, "stop_accepting_connections": 0}
    with Daemon(greedy(memory={"limit": "160MiB", **thresholds})) as daemon:
        wait_for(lambda: ask(daemon.port, "/hoard")[1]["connection"] == "close", "connection: close")
        assert status(daemon.port) == 200
        assert daemon.metric("envoy_http_downstream_cx_overload_disable_keepalive") >= 1
        assert daemon.metric("envoy_http_downstream_rq_overload_close") == 0


def test_the_recycle_limit_is_told(greedy):
    with Daemon(greedy(memory={"recycle": "100MiB"})) as daemon:
        for _ in range(100):
            assert status(daemon.port, "/hoard") == 200
        daemon.logged("MiB of memory are resident: recycle at 100.0 MiB")
        assert daemon.log().count("recycle at") == 1


def test_a_reload_changes_the_thresholds(greedy):
    configuration = greedy(memory={"limit": "4GiB"})
    with Daemon(configuration) as daemon:
        assert status(daemon.port) == 200
        daemon.write({**configuration, "overload": {"retry_after": "9s", "memory": {"limit": "2MiB"}}})
        assert daemon.reload()["accepted"]
        wait_for(lambda: is_active(daemon, "stop_accepting_requests"), "the action")
        with dial(daemon.port, get("/")) as client:
            client.settimeout(30)
            assert b"\r\nretry-after: 9\r\n" in read_until(client, b"overloaded\n")
        daemon.signal("USR2")
        daemon.logged("dump: overload ")
        assert daemon.is_ready()
        daemon.write(configuration)
        assert daemon.reload()["accepted"]
        wait_for(lambda: status(daemon.port) == 200, "the end")
