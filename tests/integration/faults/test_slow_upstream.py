"""Upstreams that stand still or crawl: they are cut or left alone, and the others are not held up (faults 5 and 6)."""

import contextlib
import os
import signal
import time

import pytest

from tests.integration.faults.scene import OUTLIERS, QUICK, best_p99, ejected, fleet, mesh, mixed
from tests.integration.faults.table import LIMITS
from tests.integration.harness.client import dial, get, read_to_end, read_until
from tests.integration.harness.daemon import Daemon, document
from tests.integration.harness.program import Program
from tests.integration.process import wait_for

pytestmark = pytest.mark.timeout(300)

SPARE_S = 0.005
"""What the clock of a busy machine adds to a percentile of milliseconds."""


def test_stopped_upstream_costs_504_after_the_routes_timeout_and_then_nothing():
    with fleet(3) as echoes, Daemon(mesh(echoes, cluster=OUTLIERS)) as daemon:
        load = mixed(daemon, mix=QUICK, websockets=0, explained=(504,), patience_s=25.0, most=3000)
        with load:
            load.warm(600)
            os.kill(echoes[0].process.pid, signal.SIGSTOP)
            began = load.now()
            wait_for(lambda: ejected(daemon) == {echoes[0].address}, "the ejection", LIMITS["stopped_s"] + 5)
            took_s = load.now() - began
            assert daemon.metric("envoy_cluster_upstream_rq_active") <= LIMITS["pending"]
            load.warm(400)
            result = load.stop()
            os.kill(echoes[0].process.pid, signal.SIGCONT)
        result.assert_nothing_lost()
        assert LIMITS["stopped_s"] - 1 < took_s < LIMITS["stopped_s"] + 2
        assert result.latency_s["longest"] < LIMITS["stopped_s"] + 2
        wait_for(lambda: len(daemon.accesses(status=504)) >= result.explained, "the access log")
        rows = daemon.accesses(status=504)
        assert {(row["flags"], row["details"], row["upstream"]) for row in rows} == {
            ("UT", "response_timeout", echoes[0].address)}
        assert daemon.metric("envoy_cluster_upstream_rq_timeout") == len(rows) == result.explained
        late = [second for second in result.excused if second > began + took_s + LIMITS["stopped_s"] + 2]
        assert late == [], "a 504 of a request that was made after the ejection"
        daemon.settled()


def test_upstream_of_a_byte_a_second_slows_nobody_else_down():
    routes = [{"match": {"path": "/drip"}, "cluster": "slow"}, {"match": {"prefix": "/"}, "cluster": "up"}]
    with fleet(2) as echoes, Program() as program:
        clusters = [{"name": "slow", "endpoints": [{"address": program.address}]},
                    {"name": "up", "endpoints": [{"address": echo.address} for echo in echoes]}]
        with Daemon(document(routes, clusters)) as daemon:
            alone = best_p99(daemon, lambda found: False, rounds=3)
            with contextlib.ExitStack() as stack:
                slow = [stack.enter_context(dial(daemon.port, get("/drip"))) for _ in range(30)]
                for client in slow:
                    read_until(client, b"\r\n\r\n")
                limit_s = LIMITS["slow_p99"] * alone + SPARE_S
                beside = best_p99(daemon, lambda found: found <= limit_s)
            assert beside <= limit_s, (alone, beside)
            daemon.settled()


def test_idle_timeout_counts_gaps_and_not_the_whole():
    """A byte a second lives on under an idle timeout of two seconds; one that falls silent does not."""
    timeouts = {"stream_idle": "2s"}
    with Program() as program:
        routes = [{"match": {"prefix": "/"}, "cluster": "up", "timeout": "0s"}]
        clusters = [{"name": "up", "endpoints": [{"address": program.address}]}]
        with Daemon(document(routes, clusters, listener={"timeouts": timeouts})) as daemon:
            with dial(daemon.port, get("/drip")) as client:
                began = time.monotonic()
                read_until(client, b"\r\n\r\n")
                for _ in range(4):
                    client.recv(1)
                assert time.monotonic() - began > 2.5
                program.stop()
                began = time.monotonic()
                read_to_end(client)
                assert 1.0 < time.monotonic() - began < 4.0
                program.go_on()
            assert daemon.access(path="/drip")["flags"] == "SI"
            daemon.settled()
