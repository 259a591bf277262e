"""The network to the upstreams fails: dark, slow and lossy, by namespaces of the test's own (faults 4 and 10)."""

import time

import pytest

from tests.integration.faults.scene import OUTLIERS, ejected, fleet, mesh, mixed
from tests.integration.faults.table import LIMITS
from tests.integration.harness.daemon import Daemon
from tests.integration.harness.echo import Echo
from tests.integration.harness.net import Away, Cable
from tests.integration.process import wait_for

pytestmark = pytest.mark.timeout(300)


def test_connects_into_the_dark_go_elsewhere_after_the_connect_timeout_and_then_not_there_any_more():
    with Away() as away, Echo(away.host, away.prefix) as dark, fleet(2) as echoes:
        away.darken()
        with Daemon(mesh([dark, *echoes], cluster=OUTLIERS)) as daemon, mixed(daemon) as load:
            wait_for(lambda: ejected(daemon) == {dark.address}, "the ejection", LIMITS["dark_s"] + 5)
            took_s = load.now()
            load.warm(400)
            result = load.stop()
            result.assert_nothing_lost()
            assert result.latency_s["longest"] < LIMITS["dark_s"] + 1, str(result)
            assert took_s < LIMITS["dark_s"] + 2, "ejected too late"
            rows = daemon.accesses(reason="connect timed out after 5 s")
            assert rows and {row["status"] for row in rows} <= {200, 101}
            assert daemon.metric("envoy_cluster_upstream_cx_connect_fail") >= LIMITS["failures"]
            assert daemon.metric("envoy_cluster_outlier_detection_ejections_active") == 1
            away.lighten()
            daemon.settled()


def test_established_connections_into_the_dark_end_at_the_per_try_timeout_and_go_elsewhere():
    """What was sent and not answered may have been done: only idempotent requests are asked again."""
    route = {"per_try_timeout": "1s", "retry": {"retry": {"retry_on": ["5xx"], "attempts": 2}}}
    with Away() as away, Echo(away.host, away.prefix) as dark, fleet(2) as echoes:
        with Daemon(mesh([dark, *echoes], cluster=OUTLIERS, route=route)) as daemon:
            with mixed(daemon, mix={"get": 3, "fresh": 1}, websockets=0) as load:
                load.warm(600)
                away.darken()
                began = time.monotonic()
                wait_for(lambda: ejected(daemon) == {dark.address}, "the ejection", 10)
                took_s = time.monotonic() - began
                load.warm(400)
                result = load.stop()
            result.assert_nothing_lost()
            assert took_s < 3, "ejected too late"
            assert 1.0 < result.latency_s["longest"] < 4.0, str(result)
            assert daemon.metric("envoy_cluster_upstream_rq_per_try_timeout") >= LIMITS["failures"]
            away.lighten()
            daemon.settled()


def test_slow_and_lossy_link_makes_answers_late_and_loses_none():
    with Cable(LIMITS["link_s"] / 2, LIMITS["link_loss"]) as cable, fleet(3, cable.host, cable.prefix) as echoes:
        with Daemon(mesh(echoes)) as daemon, mixed(daemon, mix={"get": 5, "fresh": 3, "post": 2}) as load:
            load.warm(1500)
            result = load.stop()
            result.assert_nothing_lost()
            assert result.latency_s["p50"] > 0.95 * LIMITS["link_s"], str(result)
            assert result.latency_s["p50"] < 5 * LIMITS["link_s"], str(result)
            assert result.echoes > 0
            assert result.closed_count == 0
            assert daemon.metric("envoy_cluster_upstream_cx_connect_fail") == 0
            daemon.settled()
