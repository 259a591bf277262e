"""Upstreams that die, refuse, are cut in the middle, go and come back, under the mixed load (faults 1, 2, 3, 8, 9)."""

import pytest

from tests.integration.faults.scene import OUTLIERS, QUICK, answered_by, best_p99, ejected, fleet, lost_of, mesh, mixed
from tests.integration.faults.table import LIMITS
from tests.integration.harness.client import dial, get, read_to_end, read_until, status
from tests.integration.harness.daemon import Daemon, document
from tests.integration.harness.program import Program
from tests.integration.process import free_port, wait_for

pytestmark = pytest.mark.timeout(300)


def test_kill_of_one_of_three_loses_no_get():
    with fleet(3) as echoes, Daemon(mesh(echoes, cluster=OUTLIERS)) as daemon, mixed(daemon) as load:
        load.warm()
        echoes[0].kill()
        load.warm(1000)
        result = load.stop()
        assert lost_of(result) == [], str(result)
        assert {row["kind"] for row in result.losses} <= {"post", "chunked", "big"}, str(result)
        assert result.lost <= LIMITS["kill_posts"], f"more than what was in flight at the kill\n{result}"
        flags = {row["flags"] for row in daemon.accesses() if row["status"] not in (200, 101)}
        assert flags <= {"UC", "UC,URX"}, flags
        assert ejected(daemon) == {echoes[0].address}
        assert daemon.metric("envoy_cluster_outlier_detection_ejections_enforced_total") == 1
        refused = daemon.metric("envoy_cluster_upstream_cx_connect_fail")
        assert refused <= LIMITS["failures"] + 8, "tried on after the ejection"  # but for what was in flight
        assert daemon.metric("envoy_cluster_upstream_rq_retry") > 0
        daemon.settled()


def test_upstream_killed_in_its_answers_never_makes_a_whole_looking_one():
    routes = [{"match": {"prefix": "/", "headers": [{"name": "x-dying"}]}, "cluster": "dying"}]
    with fleet(2) as echoes, Program() as program:
        clusters = [{"name": "dying", "endpoints": [{"address": program.address}]},
                    {"name": "up", "endpoints": [{"address": echo.address} for echo in echoes]}]
        routes.append({"match": {"prefix": "/"}, "cluster": "up"})
        with Daemon(document(routes, clusters)) as daemon, mixed(daemon) as load:
            load.warm()
            requests = [get(path, **{"x-dying": "1"}) for path in ("/length", "/chunked")] * 20
            clients = [dial(daemon.port, request) for request in requests]
            for client in clients:
                read_until(client, b"xxxx")
            program.kill()
            for client in clients:
                data, was_reset = read_to_end(client)
                assert len(data) < 100_000 and not data.endswith(b"0\r\n\r\n")
                client.close()
            load.warm(200)
            load.stop().assert_nothing_lost()
            rows = wait_for(lambda: len(rows := daemon.accesses(flags="UC")) >= 40 and rows, "the log")
            detail = "upstream_reset_after_response_started{connection_termination}"
            assert {(row["status"], row["details"]) for row in rows} == {(200, detail)}
            daemon.settled()


def test_upstream_killed_under_large_answers_gives_no_wrong_one():
    """Bodies of 256 KiB are in flight all the time; each is compared with what was sent."""
    with fleet(3) as echoes, Daemon(mesh(echoes)) as daemon:
        with mixed(daemon, rate=80, mix={"big": 1}, websockets=0) as load:
            for echo in echoes * 2:
                load.warm(60)
                echo.kill()
                load.warm(20)
                echo.start()
            result = load.stop()
        assert not [reason for reason in result.reasons if "wrong" in reason or "garbled" in reason], str(result)
        daemon.settled()


def test_refusing_upstream_costs_nothing_and_is_ejected_after_five_failures():
    dead = f"127.0.0.1:{free_port()}"
    with fleet(2) as echoes:
        with Daemon(mesh(echoes)) as daemon:
            alone_s = best_p99(daemon, lambda found: False, rounds=3)
        with Daemon(mesh(echoes, dead, cluster=OUTLIERS)) as daemon, mixed(daemon, mix=QUICK) as load:
            load.warm(2000)
            result = load.stop()
            result.assert_nothing_lost()
            assert ejected(daemon) == {dead}
            refused = daemon.metric("envoy_cluster_upstream_cx_connect_fail")
            assert LIMITS["failures"] <= refused <= LIMITS["failures"] + 8  # those of the first moment are in flight
            assert daemon.metric("envoy_cluster_upstream_rq_retry") == refused
            assert daemon.metric("envoy_cluster_outlier_detection_ejections_enforced_consecutive_5xx") == 1
            limit_s = alone_s + LIMITS["added_p99_s"]
            assert best_p99(daemon, lambda found: found < limit_s) < limit_s
            daemon.settled()


def test_retries_that_have_become_websockets_are_none_any_more():
    """Eight of them live on; with Envoy's default of three retries in flight, others must still be retried."""
    default = {"circuit_breaker": {"limits": {"max_retries": 3}}}
    with fleet(1) as echoes, Daemon(mesh(echoes, f"127.0.0.1:{free_port()}", cluster=default)) as daemon:
        with mixed(daemon, rate=5, mix={"get": 1}, websockets=8, explained=(503,)) as load:
            load.warm(40)
            assert load.look().alive == 8
            (row,) = daemon.json("/clusters")["clusters"]
            assert row["circuit_breaker"]["retries"]["used"] <= 1, row["circuit_breaker"]
            result = load.stop()
        assert result.explained < result.answered / 10, str(result)
        assert daemon.metric("envoy_cluster_upstream_rq_retry") > 20


CHECKED = {"health_checks": [{"checker": {"http": {"path": "/"}}, "interval": "1s", "no_traffic_interval": "1s"}],
           "balancing": {"panic_threshold": 0}}
"""Without a panic threshold a cluster of failed endpoints is not tried at all."""


def kill(echoes, daemon):
    """Kill all; wait until that is known."""
    for echo in echoes:
        echo.kill()
    wait_for(lambda: len(ejected(daemon)) == len(echoes), "all to be found failed", 15)


def test_without_any_upstream_answers_are_503_at_once_and_nobody_is_asked():
    with fleet(3) as echoes, Daemon(mesh(echoes, cluster=CHECKED)) as daemon:
        kill(echoes, daemon)
        before = daemon.metric("envoy_cluster_upstream_rq_total")
        found_s = best_p99(daemon, lambda found: found < LIMITS["refusal_s"], explained=(503,))
        assert found_s < LIMITS["refusal_s"]
        assert {(row["flags"], row["details"]) for row in daemon.accesses()} == {("UH", "no_healthy_upstream")}
        assert daemon.metric("envoy_cluster_upstream_rq_total") == before
        daemon.settled()


def test_unchecked_upstreams_that_are_all_away_make_no_retry_storm():
    """Nothing marks them: each request tries one, and a budget bounds what is tried again."""
    limits = {"circuit_breaker": {"limits": {"budget": {"percent": 20, "min_retry_concurrency": 0}}}}
    with fleet(3) as echoes, Daemon(mesh(echoes, cluster=limits)) as daemon:
        for echo in echoes:
            echo.kill()
        with mixed(daemon, mix=QUICK, websockets=0, explained=(503,)) as load:
            wait_for(lambda: load.look().explained >= 2000, "refusals")
            result = load.stop()
        result.assert_nothing_lost()
        assert result.latency_s["p50"] < LIMITS["refusal_s"], str(result)
        assert {row["flags"] for row in daemon.accesses()} <= {"UF", "UF,UO", "UF,URX"}
        retries = daemon.metric("envoy_cluster_upstream_rq_retry")
        assert retries <= LIMITS["extra"] * result.sent, (retries, str(result))
        assert daemon.metric("envoy_cluster_upstream_rq_total") == result.sent + retries
        assert daemon.metric("envoy_cluster_upstream_rq_retry_overflow") > 0
        daemon.settled()


def test_upstreams_that_return_have_traffic_within_a_health_interval_and_more_with_time():
    slow = {**CHECKED, "balancing": {"panic_threshold": 0, "slow_start": {"window": "6s"}}}
    with fleet(3) as echoes, Daemon(mesh(echoes, cluster=slow)) as daemon:
        with mixed(daemon, mix=QUICK, websockets=0, explained=(503,)) as load:
            load.warm(600)
            echoes[0].kill()
            wait_for(lambda: ejected(daemon), "the failed check")
            load.warm(200)
            mark = len(daemon.accesses())
            began = load.now()
            echoes[0].start()
            wait_for(lambda: answered_by(daemon, mark)[echoes[0].address], "the first answer")
            took_s = load.now() - began
            shares = []
            for _ in range(4):
                mark = len(daemon.accesses())
                load.warm(400)
                counts = answered_by(daemon, mark)
                shares.append(counts[echoes[0].address] / counts.total())
            result = load.stop()
        assert lost_of(result) == [], str(result)
        assert took_s < LIMITS["return_s"]
        assert shares[0] < 0.8 / 3, shares
        assert shares[-1] == pytest.approx(1 / 3, abs=0.05), shares
        daemon.settled()
