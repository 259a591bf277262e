"""An isolated filter does what it does in process, and whatever it does wrong costs only the requests that meet it."""

import os
import shutil
import signal

import pytest

from tests.integration.harness.client import ask, at_once, dial, read_until
from tests.integration.harness.upstream import Upstream, reply
from tests.integration.isolated import Beside, Mesh, configuration, folder
from tests.integration.process import wait_for

pytestmark = pytest.mark.timeout(300)
ROOMY = {"mode": "process", "timeout": "20s"}
"""For what is not about time: the machine may be busy."""


@pytest.fixture
def world():
    """Return (upstream, function that starts a daemon with the bad plugin)."""
    upstream, where, made = Upstream.saying(reply(b"ok")), folder(), []

    def start(**options):
        daemon = Mesh(configuration(upstream.address, where, **options), environment={"MESHD_TEST": "1"})
        daemon.where = where
        made.append(daemon)
        return daemon

    yield upstream, start
    for daemon in made:
        daemon.kill()
    upstream.close()
    shutil.rmtree(where)


def header(answer, name):
    return answer[1].get(name)


def is_gone(pid):
    """Say whether a process has ended; it may still wait for whoever inherited it."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


# What it can do


def test_it_changes_requests_and_responses_as_in_process(world):
    upstream, start = world
    with start(isolation=ROOMY) as daemon:
        answer = ask(daemon.port, "/change", headers={"x-client-seen": "forged"})
        assert answer[0] == 200
        assert header(answer, "x-child").endswith(" one") and header(answer, "x-note") == "{'n': 1}"
        assert int(header(answer, "x-child").split()[0]) == daemon.child() != daemon.process.pid
        head = upstream.heads[-1].lower()
        assert head.startswith(b"get /changed?a=b http/1.1\r\n")
        assert b"\r\nx-client-seen: 127.0.0.1\r\n" in head and b"\r\nx-route: all\r\n" in head and b"forged" not in head


def test_it_replies(world):
    _, start = world
    with start(isolation=ROOMY) as daemon:
        answer = ask(daemon.port, "/reply")
        assert (answer[0], answer[2], header(answer, "x-pot")) == (418, b"tea\n", "brown")
        assert daemon.access(path="/reply")["details"] == "bad_tea"


def test_it_reads_a_body_and_uses_threads(world):
    _, start = world
    with start(isolation=ROOMY) as daemon:
        assert ask(daemon.port, "/body", "POST", b"x" * 900)[2] == b"900"
        assert ask(daemon.port, "/body", "POST", b"x" * 1001)[2] == b"0"
        assert ask(daemon.port, "/body")[2] == b"0"
        slow = dial(daemon.port, b"POST /body HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n")
        assert ask(daemon.port, "/body", "POST", b"x")[2] == b"1"
        slow.sendall(b"abc")
        assert read_until(slow, b"\r\n\r\n3")


def test_its_log_prints_and_metrics_come_to_the_daemons(world):
    _, start = world
    with start(isolation=ROOMY) as daemon:
        assert ask(daemon.port, "/print")[0] == ask(daemon.port, "/complete")[0] == 200
        for text in ("meshd.plugin.bad: printed by a stranger", "warn meshd.plugin.bad: logged by a stranger",
                     "info meshd.plugin.bad: complete 200"):
            daemon.logged(text)
        wait_for(lambda: daemon.metric("bad_requests_total", value="one") == 2, "the counter")
        assert daemon.metric("bad_sizes_sum") == 4 and daemon.metric("bad_sizes_bucket", le="1") == 0
        assert daemon.metric("bad_active") == 5


def test_it_has_no_socket_of_the_daemons_and_no_plugin_but_its_own(world):
    _, start = world
    with start(isolation=ROOMY) as daemon:
        held = [dial(daemon.port) for _ in range(5)]
        kinds = ask(daemon.port, "/fds")[2].decode().split()
        assert kinds.count("socket") == 3, kinds  # the channel, standard output and error
        assert set(kinds) <= {"socket", "anon_inode", "pipe", "/dev/null"}
        modules = ask(daemon.port, "/modules")[2].decode().split()
        assert "meshd_plugin_bad" in modules and not [name for name in modules if name.startswith("meshd_plugins.")]
        for sock in held:
            sock.close()


def test_a_body_transform_is_refused_the_moment_it_is_asked_for(world):
    _, start = world
    with start(isolation=ROOMY) as daemon:
        assert ask(daemon.port, "/transform", "POST", b"x")[0] == 500
        daemon.logged("plugin bad (bad of file bad.py): on_request: PluginError: PluginError: transform_request: not "
                      "available to an isolated filter")


@pytest.mark.parametrize("fails, text", [
    ("start", "http_filter bad: start: RuntimeError: no luck"),
    ("cluster", "cluster 'up': not available to an isolated filter"),
])
def test_what_cannot_start_refuses_the_configuration_and_leaves_no_child(world, fails, text):
    upstream, start = world
    with start(isolation=ROOMY) as daemon:
        pid = daemon.child()
        outcome = daemon.change(configuration(upstream.address, daemon.where, bad={"fails": fails}, isolation=ROOMY))
        assert not outcome["accepted"] and text in str(outcome["faults"])
        assert daemon.child() == pid and ask(daemon.port, "/")[0] in (200, 404)
        wait_for(lambda: daemon.children() == {pid}, "the end of the other child")


# What it does wrong


@pytest.mark.parametrize("on_error, status", [("fail-closed", 500), ("fail-open", 200)])
def test_one_that_raises_costs_its_own_request(world, on_error, status):
    _, start = world
    with start(isolation=ROOMY, on_error=on_error) as daemon:
        paths = ("/", "/raise", "/raise-back", "/smuggle", "/stop", "/")
        assert [ask(daemon.port, path)[0] for path in paths] == [200, status, status, status, status, 200]
        assert daemon.metric("meshd_plugin_errors_total", plugin="bad", hook="on_request") == 3
        assert daemon.metric("meshd_plugin_errors_total", plugin="bad", hook="on_response") == 1
        daemon.logged("plugin bad (bad of file bad.py): on_request: PluginError: RuntimeError: oops")
        assert "in raises" in daemon.log() and daemon.use()["faults"]["on_request"] == 3
        assert daemon.use()["process"]["restarts"] == 0


def test_one_that_blocks_for_a_moment_delays_its_own_requests_alone(world):
    _, start = world
    with start(isolation=ROOMY) as daemon:
        beside = Beside(daemon, ask)
        assert at_once(10, ask, daemon.port, "/block", workers=4)[0][0] == 200
        assert beside.stop() < 1.0
        assert daemon.use()["faults"] == {}
        assert daemon.metric("meshd_reactor_late_total", plugin="bad") == 0


def test_one_that_hangs_is_named_with_its_line_and_replaced(world):
    _, start = world
    with start(isolation={"mode": "process", "timeout": "3s"}) as daemon:
        pid = daemon.child()
        beside = Beside(daemon, ask)
        assert {answer[0] for answer in at_once(8, ask, daemon.port, "/hang", workers=8)} == {500}
        assert daemon.running(other_than=pid)
        assert beside.stop() < 1.5
        daemon.logged(f"plugin bad (bad of file bad.py): child: PluginError: child process {pid} killed by SIGKILL: "
                      "it blocked for 3 s")
        assert "in hangs" in daemon.log()
        wait_for(lambda: ask(daemon.port, "/")[0] == 200, "an answer", 60)
        assert daemon.metric("meshd_isolation_restarts_total", plugin="bad") >= 1


def test_a_deferred_that_never_fires_is_given_up_without_a_restart(world):
    _, start = world
    with start(isolation={"mode": "process", "timeout": "2s"}) as daemon:
        pid = daemon.child()
        assert ask(daemon.port, "/never")[0] == 500
        daemon.logged("on_request: PluginError: no answer within 2 s")
        assert daemon.child() == pid


@pytest.mark.parametrize("path, ending", [("/exit", "exited with 3"), ("/garbage", "it wrote what is no message")])
def test_one_that_ends_or_writes_garbage_is_replaced(world, path, ending):
    _, start = world
    with start(isolation=ROOMY) as daemon:
        pid = daemon.child()
        assert ask(daemon.port, path)[0] == 500
        daemon.logged(f"plugin bad (bad of file bad.py): child: PluginError: child process {pid}")
        assert ending in daemon.log()
        assert ask(daemon.port, "/")[0] == 200  # waits for the first restart
        assert daemon.use()["process"]["restarts"] == 1
        assert daemon.metric("meshd_plugin_errors_total", plugin="bad", hook="child") == 1


def test_kill_9_costs_the_calls_in_flight_and_nothing_else(world):
    _, start = world
    with start(isolation=ROOMY) as daemon:
        pid = daemon.child()
        beside = Beside(daemon, ask)
        waiting = [dial(daemon.port, b"GET /never HTTP/1.1\r\nhost: a\r\n\r\n") for _ in range(3)]
        wait_for(lambda: daemon.use()["process"]["pending"] == 3, "the calls")
        os.kill(pid, signal.SIGKILL)
        for sock in waiting:
            assert read_until(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 500 ")
        assert ask(daemon.port, "/")[0] == 200
        assert beside.stop() < 2.0
        daemon.logged(f"child process {pid} killed by SIGKILL")
        wait_for(lambda: daemon.metric("bad_active") == 5, "the gauge of the new child alone")


def test_one_that_keeps_dying_is_started_ever_more_rarely_and_its_requests_answered_at_once(world):
    _, start = world
    with start(isolation=ROOMY, on_error="fail-open") as daemon:
        assert {ask(daemon.port, "/exit")[0] for _ in range(6)} == {200}
        wait_for(lambda: daemon.use()["state"] == "restarting", "the word for it")
        assert ask(daemon.port, "/")[0] == 200
        assert daemon.metric("meshd_isolation_refused_total", plugin="bad", hook="on_request") > 0
        daemon.running()


def test_one_that_leaks_is_replaced_and_loses_nothing(world):
    _, start = world
    with start(isolation={"mode": "process", "timeout": "20s", "memory": "256MiB"}) as daemon:
        pid = daemon.child()
        failed, asked = [], 0
        while daemon.child() in (pid, None) and asked < 3000:
            answer = ask(daemon.port, "/leak" if daemon.use()["process"]["resident_bytes"] < 270 << 20 else "/")
            failed += [answer] if answer[0] != 200 else []
            asked += 1
        assert failed == []
        daemon.logged(f"memory: PluginError: process {pid} has ")
        wait_for(lambda: pid not in daemon.children(), "the end of the old child", 60)
        assert "child: PluginError" not in daemon.log()


def test_more_calls_than_may_wait_are_refused(world):
    _, start = world
    with start(isolation={"mode": "process", "timeout": "20s", "max_pending": 2}) as daemon:
        waiting = [dial(daemon.port, b"GET /never HTTP/1.1\r\nhost: a\r\n\r\n") for _ in range(2)]
        wait_for(lambda: daemon.use()["process"]["pending"] == 2, "the calls")
        assert ask(daemon.port, "/")[0] == 500
        for sock in waiting:
            sock.close()
        wait_for(lambda: daemon.use()["process"]["pending"] == 0, "the end of what nobody waits for")
        assert ask(daemon.port, "/")[0] == 200


# A canary


def test_a_canary_in_a_process_of_its_own_takes_its_share_beside_the_old_configuration(world):
    upstream, start = world
    new = {"bad": {"value": "new"}, "name": "bad-new", "canary_of": "bad", "percent": 20, "isolation": ROOMY}
    with start(bad={"value": "old"}, isolation="none", more=[new]) as daemon:
        answers = at_once(600, ask, daemon.port, "/", workers=4)
        words = [header(answer, "x-child").split() for answer in answers]
        taken = sum(word == "new" for _, word in words)
        assert {answer[0] for answer in answers} == {200}
        assert abs(taken - 120) < 5 * (600 * 0.2 * 0.8) ** 0.5, taken
        child = str(daemon.child("bad-new"))
        assert {tuple(pair) for pair in words} == {(child, "new"), (str(daemon.process.pid), "old")}
        wait_for(lambda: daemon.metric("bad_requests_total", value="new") == taken, "the counter of the child")
        assert daemon.metric("bad_requests_total", value="old") == 600 - taken
        assert daemon.metric("meshd_plugin_requests_total", plugin="bad-new", response_code_class="2xx") == taken


# Reload and end


def test_reloads_leave_one_child_and_no_descriptor(world):
    upstream, start = world
    with start(isolation=ROOMY) as daemon:
        assert header(ask(daemon.port, "/"), "x-child").endswith(" one")
        daemon.settled()
        before, pids = daemon.fds(), set()
        for word in ("two", "three", "four"):
            made = configuration(upstream.address, daemon.where, bad={"value": word}, isolation=ROOMY)
            assert daemon.change(made)["accepted"]
            assert header(ask(daemon.port, "/"), "x-child").endswith(f" {word}")
            pids.add(daemon.child())
        wait_for(lambda: daemon.children() == {daemon.child()}, "the end of the old children", 60)
        assert len(pids) == 3
        daemon.logged("meshd.plugin.bad: three has stopped")
        wait_for(lambda: daemon.fds() <= before, "the old descriptors' end")


def test_an_old_child_answers_its_last_request(world):
    upstream, start = world
    with start(isolation=ROOMY) as daemon:
        old = daemon.child()
        slow = dial(daemon.port, b"POST /body HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n")
        wait_for(lambda: daemon.use()["process"]["pending"] == 1, "the call")
        made = configuration(upstream.address, daemon.where, bad={"value": "two"}, isolation=ROOMY)
        assert daemon.change(made)["accepted"] and daemon.child() != old
        slow.sendall(b"abc")
        assert f"x-child: {old} one".encode() in read_until(slow, b"\r\n\r\n3")
        wait_for(lambda: old not in daemon.children(), "its end", 60)


@pytest.mark.parametrize("name", ["TERM", "KILL"])
def test_no_child_outlives_the_daemon(world, name):
    _, start = world
    daemon = start(isolation=ROOMY)
    pid = daemon.child()
    hanging = dial(daemon.port, b"GET /hang HTTP/1.1\r\nhost: a\r\n\r\n") if name == "KILL" else None
    daemon.signal(name)
    daemon.process.wait(60)
    wait_for(lambda: is_gone(pid), "its end", 60)
    if hanging is not None:
        hanging.close()


def test_a_signal_to_the_whole_group_does_not_end_the_child_before_its_last_request(world):
    _, start = world
    with start(isolation=ROOMY) as daemon:
        slow = dial(daemon.port, b"POST /body HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n")
        wait_for(lambda: daemon.use()["process"]["pending"] == 1, "the call")
        for pid in (daemon.child(), daemon.process.pid):
            os.kill(pid, signal.SIGTERM)
        slow.sendall(b"abc")
        assert read_until(slow, b"\r\n\r\n3")
        slow.close()
        assert daemon.process.wait(60) == 0
