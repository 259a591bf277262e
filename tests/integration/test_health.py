"""Health: outlier detection and active checks of the real daemon, with endpoints that are killed, stopped and sick."""

import contextlib
import http.client
import os
import signal
import socket
import time

import pytest

from tests.integration.harness.backend import Backend
from tests.integration.harness.daemon import MODE, Daemon, one_cluster
from tests.integration.process import wait_for

EACH = 2 if MODE == "workers" else 1
"""So many workers count failures, each for itself."""
RETRY = {"retry": {"retry": {"retry_on": ["connect-failure", "refused-stream", "reset", "5xx"], "attempts": 2}}}
HTTP = {"checker": {"http": {"path": "/healthz"}}, "interval": "200ms", "timeout": "200ms",
        "no_traffic_interval": "200ms", "healthy_threshold": 1, "unhealthy_threshold": 2}


def outliers(**options):
    return {"outlier_detection": {"outlier_detection": {
        "max_ejection_percent": 100, "interval": "200ms", "base_ejection_time": "1s", **options}},
        "balancing": {"panic_threshold": 0}}


@pytest.fixture
def backends():
    found = [Backend().start() for _ in range(3)]
    yield found
    for one in found:
        with contextlib.suppress(OSError):
            one.signal("CONT")
        one.kill()


def ask(daemon, count=1, path="/", timeout=10):
    """Return (status, port that answered) of ``count`` requests, each on a connection of its own."""
    found = []
    for _ in range(count):
        connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=timeout)
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
        found.append((answer.status, int(body[5:]) if body.startswith(b"name=") else None))
    return found


def endpoint(daemon, backend):
    """Return what /clusters says of an endpoint."""
    rows = daemon.json("/clusters")["clusters"][0]["endpoints"]
    return next(row for row in rows if row["address"] == backend.address)


def until(daemon, backend, word, limit_s=10):
    """Wait until an endpoint has a health flag, or is healthy; return how long it took, in seconds."""
    began = time.monotonic()
    wait_for(lambda: word in endpoint(daemon, backend)["health"], f"{word} of {backend.address}", limit_s)
    return time.monotonic() - began


def cluster_of(backends, route=RETRY, top=(), **cluster):
    return one_cluster(*[one.address for one in backends], route=route, cluster=cluster, **dict(top))


def test_fault_1_a_killed_backend_costs_nothing_and_is_ejected_within_five_failures(backends):
    with Daemon(cluster_of(backends, **outliers(base_ejection_time="30s"))) as daemon:
        ask(daemon, 6)
        backends[0].kill()
        found = ask(daemon, 60)
        assert {status for status, _ in found} == {200}
        assert endpoint(daemon, backends[0])["health"] == "/failed_outlier_check"
        why, = endpoint(daemon, backends[0])["why"]
        assert why["reason"] == "consecutive_5xx" and why["ejections"] == 1 and why["until_s"] > why["since_s"] + 25
        assert daemon.metric("envoy_cluster_upstream_cx_connect_fail") <= 5 * EACH
        assert daemon.metric("envoy_cluster_outlier_detection_ejections_active") == 1
        assert daemon.metric("envoy_cluster_outlier_detection_ejections_enforced_total") == 1
        assert daemon.metric("envoy_cluster_membership_healthy", cluster_name="up") == 2
        assert daemon.metric("envoy_cluster_membership_total", cluster_name="up") == 3
        daemon.logged("is ejected for 30 s: consecutive_5xx (ejection 1)")


def test_an_ejected_endpoint_comes_back_and_stays_away_longer_the_next_time(backends):
    sick = backends[0]
    with Daemon(cluster_of(backends, route={}, **outliers(interval="2s"))) as daemon:
        sick.set(status=500)
        for number in (1, 2):
            wait_for(lambda: ask(daemon, 3) and endpoint(daemon, sick)["why"], "the ejection")
            note, = endpoint(daemon, sick)["why"]
            assert round(note["until_s"] - note["since_s"], 1) == number and note["ejections"] == number
            until(daemon, sick, "healthy")
            assert -0.1 < time.time() - note["until_s"] < 4  # the sweep after it
            assert endpoint(daemon, sick)["why"] == []


def test_no_more_than_the_configured_part_is_ejected(backends):
    options = outliers(max_ejection_percent=34, base_ejection_time="30s")
    with Daemon(cluster_of(backends, route={}, **options)) as daemon:
        for one in backends:
            one.set(status=503)
        ask(daemon, 60)
        flags = [endpoint(daemon, one)["health"] for one in backends]
        assert flags.count("/failed_outlier_check") == 1, flags
        assert daemon.metric("envoy_cluster_outlier_detection_ejections_overflow") > 0


def test_with_ten_percent_of_three_nothing_is_ejected(backends):
    options = outliers()
    del options["outlier_detection"]["outlier_detection"]["max_ejection_percent"]
    with Daemon(cluster_of(backends, route={}, **options)) as daemon:
        backends[0].set(status=500)
        ask(daemon, 60)
        assert endpoint(daemon, backends[0])["health"] == "healthy"


def test_fault_4_a_blackholed_backend_costs_connect_timeouts_and_is_ejected(backends):
    hole = socket.socket()
    fillers = []
    with contextlib.closing(hole):
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)  # never accepted: once its queue is full, nobody answers a SYN
        for _ in range(4):
            fillers.append(socket.socket())
            fillers[-1].setblocking(False)
            fillers[-1].connect_ex(hole.getsockname())
        address = "127.0.0.1:%d" % hole.getsockname()[1]
        settings = one_cluster(backends[0].address, address, route=RETRY, cluster={
            "connect_timeout": "300ms", **outliers(base_ejection_time="30s")})
        with Daemon(settings) as daemon:
            began = time.monotonic()
            assert {status for status, _ in ask(daemon, 20)} == {200}
            assert time.monotonic() - began < 5 * 0.3 + 3
            rows = daemon.json("/clusters")["clusters"][0]["endpoints"]
            assert [row["health"] for row in rows] == ["healthy", "/failed_outlier_check"]
            began = time.monotonic()
            ask(daemon, 20)
            assert time.monotonic() - began < 2
    for one in fillers:
        one.close()


def test_fault_5_a_stopped_backend_is_ejected_after_timeouts(backends):
    route = {"timeout": "300ms"}
    with Daemon(cluster_of(backends, route=route, **outliers(base_ejection_time="30s"))) as daemon:
        backends[0].signal("STOP")
        found = ask(daemon, 30)
        assert [status for status, _ in found].count(504) <= 5 * EACH
        assert endpoint(daemon, backends[0])["health"] == "/failed_outlier_check"
        assert {status for status, _ in ask(daemon, 20)} == {200}


def test_reload_keeps_ejections_and_what_is_left_of_them(backends):
    settings = cluster_of(backends, route={}, **outliers(base_ejection_time="30s"))
    with Daemon(settings) as daemon:
        backends[0].set(status=500)
        ask(daemon, 30)
        until(daemon, backends[0], "failed_outlier_check")
        before = endpoint(daemon, backends[0])["why"]
        settings["clusters"][0]["connect_timeout"] = "2s"
        daemon.write(settings)
        assert daemon.reload()["accepted"]
        assert endpoint(daemon, backends[0])["why"] == before
        assert backends[0].port not in [port for _, port in ask(daemon, 20)]
        del settings["clusters"][0]["outlier_detection"]
        daemon.write(settings)
        assert daemon.reload()["accepted"]
        assert endpoint(daemon, backends[0])["health"] == "healthy"


def test_fault_9_active_checks_take_an_endpoint_out_and_back(backends):
    sick = backends[0]
    with Daemon(cluster_of(backends, route={}, health_checks=[HTTP])) as daemon:
        assert {status for status, _ in ask(daemon, 6)} == {200}
        sick.set(health=503)
        assert until(daemon, sick, "failed_active_hc") < 2
        assert endpoint(daemon, sick)["why"][0]["reason"] == "status 503"
        assert sick.port not in [port for _, port in ask(daemon, 20)]
        assert daemon.metric("envoy_cluster_health_check_healthy", cluster_name="up") == 2
        sick.set(health=200)
        assert until(daemon, sick, "healthy") < 2
        assert sick.port in [port for _, port in ask(daemon, 20)]
        for one in backends:
            one.kill()
        for one in backends:
            until(daemon, one, "failed_active_hc")
        assert daemon.metric("envoy_cluster_health_check_network_failure", cluster_name="up") >= 6
        for one in backends:
            one.start()
        began = time.monotonic()
        wait_for(lambda: ask(daemon)[0][0] == 200, "an answer")
        assert time.monotonic() - began < 2
        code, text = daemon.ctl("proxy-config", "endpoint")
        assert code == 0 and "healthy" in text.lower()


def test_the_first_verdict_stands_before_the_first_request(backends):
    backends[0].set(health=500)
    with Daemon(cluster_of(backends, route={}, health_checks=[HTTP])) as daemon:
        found = ask(daemon, 12)
        assert {status for status, _ in found} == {200}
        assert backends[0].port not in [port for _, port in found]


def test_an_endpoint_that_says_so_in_any_answer_gets_no_more_traffic(backends):
    check = {**HTTP, "interval": "60s", "no_traffic_interval": "60s"}
    with Daemon(cluster_of(backends, route={}, health_checks=[check])) as daemon:
        backends[0].set(immediate=1)
        wait_for(lambda: ask(daemon)[0][1] == backends[0].port, "its turn")
        assert endpoint(daemon, backends[0])["health"] == "/failed_active_hc/excluded_via_immediate_hc_fail_header"
        assert backends[0].port not in [port for _, port in ask(daemon, 20)]
        assert daemon.metric("envoy_cluster_health_check_passive_failure") == 1


def test_a_check_that_passes_ends_an_ejection(backends):
    check = {**HTTP, "interval": "700ms"}
    with Daemon(cluster_of(backends, route={}, **outliers(base_ejection_time="60s"), health_checks=[check])) as daemon:
        backends[0].set(status=500)
        wait_for(lambda: ask(daemon, 3) and "is ejected" in daemon.log(), "the ejection")
        backends[0].set(status=200)
        assert until(daemon, backends[0], "healthy") < 3
        daemon.logged("an active check passed")


def test_a_refused_tcp_check_takes_an_endpoint_out(backends):
    check = {"checker": "tcp", "interval": "100ms", "no_traffic_interval": "100ms", "unhealthy_threshold": 2}
    with Daemon(cluster_of(backends, route={}, health_checks=[check])) as daemon:
        backends[1].kill()
        until(daemon, backends[1], "failed_active_hc")
        assert "refused" in endpoint(daemon, backends[1])["why"][0]["reason"]


def test_two_workers_have_the_same_verdicts(backends):
    options = outliers(base_ejection_time="60s", consecutive_5xx=3)
    settings = cluster_of(backends, route={}, top={"workers": 2}, **options)
    with Daemon(settings) as daemon:
        backends[0].set(status=500)
        ask(daemon, 40)
        until(daemon, backends[0], "failed_outlier_check")
        wait_for(lambda: backends[0].port not in [port for _, port in ask(daemon, 40)], "both workers to know")
        assert daemon.metric("envoy_cluster_outlier_detection_ejections_active") == 1
        assert daemon.metric("envoy_cluster_outlier_detection_ejections_enforced_total") == 1


def test_with_two_workers_one_checks_and_another_takes_over(backends):
    with Daemon(cluster_of(backends, route={}, top={"workers": 2}, health_checks=[HTTP])) as daemon:
        backends[0].set(health=503)
        until(daemon, backends[0], "failed_active_hc")
        attempts = daemon.metric("envoy_cluster_health_check_attempt")
        began = time.monotonic()
        wait_for(lambda: daemon.metric("envoy_cluster_health_check_attempt") >= attempts + 30, "30 checks")
        assert time.monotonic() - began > 30 / 20  # 3 endpoints, each asked 5 times a second: by one worker
        for pid in daemon.carriers():
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: pid not in daemon.carriers() and len(daemon.carriers()) == 2, "the replacement")
            found = ask(daemon, 20)
            assert {status for status, _ in found} == {200}
            assert backends[0].port not in [port for _, port in found]
        backends[0].set(health=200)
        assert until(daemon, backends[0], "healthy") < 4


def test_the_health_check_filter_answers_for_the_proxy(backends):
    settings = cluster_of(backends, route={})
    filters = settings["listeners"][0]["filters"]
    filters.insert(0, {"health_check": {"paths": ["/up"], "cluster_min_healthy_percentages": {"up": 50}}})
    with Daemon(settings) as daemon:
        assert ask(daemon, path="/up") == [(200, None)]
        daemon.ask("/healthcheck/fail", "POST")
        assert ask(daemon, path="/up") == [(503, None)]
        assert daemon.access(path="/up", status=503)["flags"] == "LH"
        daemon.ask("/healthcheck/ok", "POST")
        assert ask(daemon, path="/up") == [(200, None)]


def test_the_local_workloads_probe_is_shown_and_takes_its_clusters_out(backends):
    local = backends[0]
    probe = {"checker": {"http": {"path": "/healthz"}}, "address": local.address, "period": "100ms",
             "failure_threshold": 2, "clusters": ["up"]}
    settings = cluster_of([local], route={}, balancing={"panic_threshold": 0})
    with Daemon({**settings, "probe": probe}) as daemon:
        wait_for(lambda: daemon.json("/server_info")["workload"]["state"] == "healthy", "the first result")
        assert ask(daemon) == [(200, local.port)]
        local.set(health=500)
        until(daemon, local, "failed_local_probe")
        assert ask(daemon)[0][0] == 503
        assert daemon.json("/server_info")["workload"]["reason"] == "status 500"
        assert daemon.metric("meshd_workload_healthy") == 0
        assert "unhealthy   status 500" in daemon.ctl("status")[1]
        local.set(health=200)
        until(daemon, local, "healthy")
        local.set(health=500)
        until(daemon, local, "failed_local_probe")
        daemon.write(settings)
        assert daemon.reload()["accepted"]
        until(daemon, local, "healthy")
        assert daemon.json("/server_info")["workload"] is None


def test_a_command_may_be_the_probe(backends):
    probe = {"checker": {"exec": {"command": ["sh", "-c", "echo not ready; exit 3"]}}, "period": "100ms"}
    with Daemon({**cluster_of(backends[:1], route={}), "probe": probe}) as daemon:
        wait_for(lambda: daemon.json("/server_info")["workload"]["reason"] == "exit code 3: not ready", "the result")
        probe["checker"]["exec"]["command"] = ["sleep", "60"]
        probe["timeout"] = "100ms"
        daemon.write({**cluster_of(backends[:1], route={}), "probe": probe})
        assert daemon.reload()["accepted"]
        daemon.logged("the local workload fails")
