"""``workers: 2``: one daemon in several processes; counts, reloads and the admin API mean the same as with one."""

import contextlib
import json
import os
import select
import signal
import socket
import time

import pytest

from tests.integration.harness.client import dial, get, status
from tests.integration.harness.daemon import Daemon, Local, document, one_cluster
from tests.integration.harness.tls import Mesh
from tests.integration.process import Load, Upstream, wait_for

HELLO = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": "one"}}


def configuration(body="one", workers=2, **more):
    return document([{**HELLO, "direct_response": {"status": 200, "body": body}}], [], workers=workers, **more)


@pytest.fixture
def settings():
    return configuration()


@pytest.fixture
def daemon(settings):
    with Daemon(settings) as found:
        yield found


@pytest.fixture
def upstream():
    found = Upstream()
    yield found
    found.close()


def workers(daemon):
    """Return the workers that have a place."""
    rows = daemon.json("/server_info")["workers"]
    return [row for row in rows if row["index"] is not None and row["state"] == "serving"]


def ask(port, count=1):
    """Send ``count`` requests, each on a connection of its own; return their bodies."""
    found = []
    for _ in range(count):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
            sock.sendall(get("/", connection="close"))
            data = b""
            while piece := sock.recv(65536):
                data += piece
        assert data.startswith(b"HTTP/1.1 200"), data
        found.append(data.partition(b"\r\n\r\n")[2].decode())
    return found


def test_both_workers_carry_traffic_and_every_request_is_counted_once(daemon):
    assert [row["index"] for row in workers(daemon)] == [0, 1]
    ask(daemon.port, 200)
    assert daemon.metric("envoy_http_downstream_rq_total", listener="public") == 200
    assert daemon.metric("envoy_listener_downstream_cx_total", listener="public") == 200
    assert daemon.json("/listeners")["listeners"][0]["counters"]["requests"] == 200


def test_the_main_process_is_the_supervisor_and_carries_nothing(daemon):
    info = daemon.json("/server_info")
    assert info["pid"] == daemon.process.pid
    assert info["pid"] not in [row["pid"] for row in info["workers"]]
    with open(f"/proc/{daemon.process.pid}/statm") as file:
        resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert resident < 24 * 1024 * 1024


def test_reload_reaches_all_workers_or_none(daemon, settings):
    assert daemon.reload()["accepted"]
    two = configuration("two")
    two["listeners"][0]["address"] = settings["listeners"][0]["address"]
    daemon.write(two)
    outcome = daemon.reload()
    assert (outcome["accepted"], outcome["generation"], outcome["previous_generation"]) == (True, 3, 2)
    assert set(ask(daemon.port, 30)) == {"two"}
    daemon.write("nonsense: [")
    outcome = daemon.reload()
    assert not outcome["accepted"] and outcome["faults"] and outcome["generation"] == 3
    assert set(ask(daemon.port, 30)) == {"two"}
    assert daemon.metric("meshd_config_last_reload_successful") == 0
    info = daemon.json("/server_info")
    assert info["generation"] == 3 and not info["last_reload"]["accepted"]


def test_a_port_that_is_taken_is_refused_for_all(daemon, settings):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        more = configuration("more")
        more["listeners"][0]["address"] = settings["listeners"][0]["address"]
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        more["listeners"].append({**more["listeners"][0], "name": "second", "address": address})
        daemon.write(more)
        outcome = daemon.reload()
    assert not outcome["accepted"]
    assert outcome["summary"] == f"listener second: {address}: cannot bind: address already in use"
    assert set(ask(daemon.port, 20)) == {"one"}
    assert daemon.reload()["accepted"]  # it is free now
    assert set(ask(daemon.port, 20)) == {"more"}


def test_a_killed_worker_is_replaced_and_its_counts_stay(daemon):
    """Fault 20; how soon, and what is lost, is told in test_killed_proxy.py."""
    ask(daemon.port, 50)
    assert daemon.metric("envoy_http_downstream_rq_total", listener="public") == 50
    victim, other = workers(daemon)
    wait_for(lambda: any(row["state"] == "idle" for row in daemon.json("/server_info")["workers"]), "the spare")
    os.kill(victim["pid"], signal.SIGKILL)
    assert set(ask(daemon.port, 20)) == {"one"}
    wait_for(lambda: victim["pid"] not in [row["pid"] for row in workers(daemon)] and len(workers(daemon)) == 2,
             "the replacement")
    assert daemon.metric("envoy_http_downstream_rq_total", listener="public") == 70
    assert daemon.json("/server_info")["restarts"] == 1
    assert f"worker {victim['index']} (process {victim['pid']}): ended by SIGKILL" in daemon.log()


def test_a_reload_mends_what_a_new_worker_cannot_take_up(settings):
    with Mesh() as mesh:
        broken = configuration(secrets=mesh.settings())
        listener = broken["listeners"][0] = {**settings["listeners"][0], "tls": mesh.serving()}
        with Daemon(broken) as daemon:
            os.remove(mesh.files("server")[1])
            os.kill(workers(daemon)[0]["pid"], signal.SIGKILL)
            wait_for(lambda: "it cannot take the configuration in force" in daemon.log(), "a worker that is refused")
            settings["listeners"][0]["address"] = listener["address"]
            daemon.write(settings)
            assert daemon.reload()["accepted"]
            wait_for(lambda: len(workers(daemon)) == 2, "both workers")
            assert set(ask(daemon.port, 20)) == {"one"}


def test_sigterm_to_a_worker_replaces_it_without_loss(daemon):
    victim = workers(daemon)[0]
    load = Load(daemon.port, target="/")
    os.kill(victim["pid"], signal.SIGTERM)
    wait_for(lambda: victim["pid"] not in [row["pid"] for row in daemon.json("/server_info")["workers"]], "its end")
    load.stop()
    assert load.failures == []
    asked = load.answers
    assert daemon.metric("envoy_http_downstream_rq_total", listener="public") == asked


def test_a_hung_worker_is_named_while_it_hangs_and_the_others_answer(daemon):
    victim = workers(daemon)[0]
    os.kill(victim["pid"], signal.SIGSTOP)
    try:
        began = time.monotonic()
        info = daemon.json("/server_info")
        assert info["missing_workers"] == [victim["index"]]
        assert time.monotonic() - began < 3.0
    finally:
        os.kill(victim["pid"], signal.SIGCONT)
    wait_for(lambda: daemon.json("/server_info")["missing_workers"] == [], "its answer")


def test_workers_change_by_a_new_generation(daemon, settings):
    first = daemon.json("/server_info")["pid"]
    three = configuration("three", workers=3)
    three["listeners"][0]["address"] = settings["listeners"][0]["address"]
    daemon.write(three)
    load = Load(daemon.port, target="/")
    outcome = daemon.reload()
    assert outcome["accepted"], outcome["summary"]
    assert "workers: 3 are wanted where 2 run" in outcome["summary"]
    wait_for(lambda: len(workers(daemon)) == 3, "three workers")
    load.stop()
    assert load.failures == []
    assert daemon.json("/server_info")["pid"] == outcome["heir"] != first
    assert set(ask(daemon.port, 20)) == {"three"}


def test_the_supervisors_death_ends_the_workers_and_frees_the_port(settings):
    daemon = Daemon(settings)
    with contextlib.ExitStack() as stack:
        stack.callback(daemon.kill)
        pids = [row["pid"] for row in daemon.json("/server_info")["workers"]]
        daemon.process.kill()
        wait_for(lambda: not any(os.path.exists(f"/proc/{pid}/exe") for pid in pids), "the workers' end")
        socket.create_server(("127.0.0.1", daemon.port)).close()


def test_log_levels_are_set_in_all_workers(daemon):
    daemon.ask("/logging?level=debug", "POST")
    levels = lambda: json.loads(daemon.ask("/logging", "POST")[1])["levels"][""]
    wait_for(lambda: {levels() for _ in range(6)} == {"debug"}, "all workers")


def test_a_rate_limit_and_a_breaker_mean_the_same_with_two_workers(upstream):
    """Exact to the unit: 40 tokens admit 40 requests, 3 places admit 3, whichever worker is asked."""
    limited = document(
        [{**HELLO, "match": {"prefix": "/free"}}], [], workers=2,
        listener={"filters": [{"rate_limit": {"rate": 1, "per": "1h", "burst": 40}}, {"router": {"virtual_hosts": [
            {"name": "all", "domains": ["*"], "routes": [HELLO]}]}}]})
    with Daemon(limited) as daemon:
        found = [status(daemon.port) for _ in range(100)]
        assert (found.count(200), found.count(429)) == (40, 60)
        victim = workers(daemon)[0]
        os.kill(victim["pid"], signal.SIGKILL)
        wait_for(lambda: len(workers(daemon)) == 2, "the replacement")
        assert {status(daemon.port) for _ in range(20)} == {429}, "tokens came back with a worker's death"
    breaker = {"circuit_breaker": {"limits": {"max_requests": 3}}}
    with Daemon(one_cluster(f"127.0.0.1:{upstream.port}", cluster=breaker, workers=2)) as daemon:
        waiting = [dial(daemon.port, get("/slow")) for _ in range(3)]
        wait_for(lambda: upstream.waiting == 3, "three requests upstream")
        assert {status(daemon.port) for _ in range(30)} == {503}
        used = daemon.json("/clusters")["clusters"][0]["circuit_breaker"]["requests"]
        assert used == {"used": 3, "limit": 3}
        upstream.release.set()
        for client in waiting:
            assert client.recv(1000).startswith(b"HTTP/1.1 200")
            client.close()
        assert {status(daemon.port) for _ in range(10)} == {200}


def test_max_connections_is_that_of_all_workers(daemon, settings):
    more = configuration()
    more["listeners"][0] |= {"address": settings["listeners"][0]["address"], "limits": {"max_connections": 4}}
    daemon.write(more)
    assert daemon.reload()["accepted"]
    held = [dial(daemon.port) for _ in range(12)]
    wait_for(lambda: daemon.json("/listeners")["listeners"][0]["connections"] == 4, "four connections")
    for _ in range(5):
        assert daemon.json("/listeners")["listeners"][0]["connections"] == 4
    for client in held:
        client.close()


def test_what_was_ordered_holds_for_a_worker_that_comes_later(daemon):
    daemon.ask("/healthcheck/fail", "POST")
    victim = workers(daemon)[0]
    os.kill(victim["pid"], signal.SIGKILL)
    wait_for(lambda: victim["pid"] not in [row["pid"] for row in workers(daemon)] and len(workers(daemon)) == 2,
             "the replacement")
    assert {daemon.ask("/ready")[0] for _ in range(20)} == {503}
    daemon.ask("/healthcheck/ok", "POST")
    wait_for(lambda: {daemon.ask("/ready")[0] for _ in range(20)} == {200}, "readiness everywhere")


def test_counters_never_fall_while_workers_come_go_and_reload(daemon):
    ends = time.monotonic() + 6
    last, round_ = 0.0, 0
    while time.monotonic() < ends:
        ask(daemon.port, 10)
        found = daemon.metric("envoy_http_downstream_rq_total", listener="public")
        assert found >= last, "a sum fell"
        last = found
        round_ += 1
        if round_ % 5 == 0:
            daemon.signal("HUP")
        if round_ % 12 == 0 and len(workers(daemon)) == 2:
            os.kill(workers(daemon)[0]["pid"], signal.SIGTERM)
    wait_for(lambda: daemon.metric("envoy_http_downstream_rq_total", listener="public") == round_ * 10,
             "every request to be counted")


def test_affinity_binds_each_worker_to_a_processor(settings):
    with Daemon({**settings, "supervisor": {"affinity": True}}) as daemon:
        allowed = sorted(os.sched_getaffinity(0))
        found = [os.sched_getaffinity(row["pid"]) for row in workers(daemon)]
        assert found == [{allowed[0]}, {allowed[1 % len(allowed)]}]


def test_a_worker_that_ends_answers_whom_the_admin_api_has_let_in(daemon):
    """Whoever has connected and not asked yet is not cut."""
    clients = [Local(daemon.admin) for _ in range(16)]
    for client in clients:
        client.connect()
    os.kill(workers(daemon)[0]["pid"], signal.SIGTERM)
    assert not select.select([client.sock for client in clients], [], [], 1.5)[0], "a connection was closed"
    for client in clients:
        client.request("GET", "/ready")
        assert client.getresponse().status in (200, 503)
        client.close()
