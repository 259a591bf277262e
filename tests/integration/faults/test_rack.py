"""A rack fails: eight endpoints in two localities, one of them killed under load, and back again (docs/failures.md).

Shares are those of docs/formulas.md: a locality whose endpoints are partly well gets 1.4 times its part of them.
"""

import subprocess
import sys

import pytest

from meshd.model.balancing import SlowStart
from meshd.upstream.load import Count, shares
from meshd.upstream.slow_start import factor
from tests.integration.faults.scene import BOUNDS, QUICK, ejected, fleet, mixed
from tests.integration.faults.table import LIMITS
from tests.integration.harness.daemon import Daemon, document
from tests.integration.process import wait_for

pytestmark = pytest.mark.timeout(300)

RATE = 500
HERE, THERE = "eu/rack-1", "eu/rack-2"
WINDOW_S = 10.0
DETECTION = {"outlier_detection": {"outlier_detection": {"max_ejection_percent": 100}}}
"""Default detection; the share that may be ejected is more than the default of 10 %, which is less than a rack."""
CHECKS = {"health_checks": [{"checker": {"http": {"path": "/"}}, "interval": "1s", "no_traffic_interval": "1s",
                             "unhealthy_threshold": 1000}]}
"""They find out who is back, and nothing else."""


def racks(here, there, **cluster):
    """Return a configuration: one cluster of both, nearest first, no retries."""
    endpoints = [{"address": one.address, "locality": place}
                 for place, ones in ((HERE, here), (THERE, there)) for one in ones]
    balancing = {"locality": "failover", "slow_start": {"window": f"{WINDOW_S:g}s"}}
    clusters = [{"name": "up", "endpoints": endpoints, "balancing": balancing, **BOUNDS, **DETECTION, **cluster}]
    routes = [{"match": {"prefix": "/"}, "cluster": "up", "retry": {"retry": {"attempts": 0}}}]
    return document(routes, clusters, node={"id": "test", "locality": HERE + "/a"})


class Tally:
    """Who answered since the last look."""

    def __init__(self, daemon, load):
        self._daemon, self._load = daemon, load
        self._mark = 0

    def percent(self, echoes, seconds=2.0):
        """Return the share of answers that these gave in the next ``seconds``."""
        self._mark = len(self._daemon.accesses())
        self._load.warm(int(RATE * seconds))
        rows = [row["upstream"] for row in self._daemon.accesses()[self._mark:] if row["status"] == 200]
        mine = {echo.address for echo in echoes}
        return 100 * sum(address in mine for address in rows) / len(rows)


def expected_here(well, count=4):
    """Return the percentage that the near rack gets with so many well."""
    found = shares([Count(count, well, 0), Count(count, count, 0)], 1.4, 50.0)[0]
    return found.healthy + found.degraded


def test_killed_rack_costs_moments_and_comes_back_with_warm_up():
    with fleet(4) as here, fleet(4) as there, Daemon(racks(here, there, **CHECKS)) as daemon:
        with mixed(daemon, rate=RATE, mix=QUICK, websockets=0) as load:
            load.warm()
            tally = Tally(daemon, load)
            assert tally.percent(here) == 100
            killed = load.now()
            for echo in here:
                echo.kill()
            wait_for(lambda: ejected(daemon) == {echo.address for echo in here}, "the ejections")
            over = load.now()
            assert tally.percent(there, 4) == 100
            lost = load.look()
            assert over - killed < LIMITS["rack_s"]
            assert lost.lost, "nobody noticed: the test has tested nothing"
            assert lost.outside([(killed, killed + LIMITS["rack_s"])]) == [], str(lost)

            flags = {row["flags"] for row in daemon.accesses() if row["status"] == 503}
            assert "UF" in flags and flags <= {"UF", "UC"}, flags
            assert daemon.metric("envoy_cluster_outlier_detection_ejections_enforced_total") == 4

            for echo in here[:2]:
                echo.start()
            wait_for(lambda: len(ejected(daemon)) == 2, "two to return")
            load.warm(100)
            assert tally.percent(here) == pytest.approx(expected_here(2), abs=5)
            load.warm(int(RATE * (WINDOW_S - 2)))
            wait_for(lambda: all(row["weight"] == 1 for row in rows(daemon, here[:2])), "both to be warm")

            for echo in here[2:]:
                echo.start()
            wait_for(lambda: not ejected(daemon), "all to return")
            grows(daemon, load, tally, here)
            assert tally.percent(here) == 100
            result = load.stop()
        assert result.outside([(killed, killed + LIMITS["rack_s"])]) == [], str(result)
        daemon.settled()


def rows(daemon, echoes):
    """Return the rows of these endpoints in /clusters."""
    mine = {echo.address for echo in echoes}
    return [row for row in daemon.json("/clusters")["clusters"][0]["endpoints"] if row["address"] in mine]


def grows(daemon, load, tally, here):
    """The share of the two that came last follows the formula of slow start, slice by slice."""
    policy, began = SlowStart(window_s=WINDOW_S), load.now()
    seen = []
    while (begin := load.now() - began) < WINDOW_S:
        found = tally.percent(here[2:], 1.5)
        end = load.now() - began
        factors = [factor(begin + (end - begin) * part / 10, policy) for part in range(11)]
        wanted = sum(100 * one / (1 + one) for one in factors) / len(factors)
        seen.append(found)
        assert found == pytest.approx(wanted, abs=6), (begin, end, seen)
    assert seen == sorted(seen) or all(after > before - 6 for before, after in zip(seen, seen[1:], strict=False)), seen
    wait_for(lambda: all(row["weight"] == 1 for row in rows(daemon, here)), "all to be warm")
    assert tally.percent(here[2:]) == pytest.approx(50, abs=5)


@pytest.mark.parametrize("dead", [1, 2, 3])
def test_partly_failed_rack_keeps_its_share_by_the_formula(dead):
    with fleet(4) as here, fleet(4) as there, Daemon(racks(here, there)) as daemon:
        with mixed(daemon, rate=RATE, mix=QUICK, websockets=0) as load:
            load.warm()
            for echo in here[:dead]:
                echo.kill()
            wait_for(lambda: len(ejected(daemon)) == dead, "the ejections")
            found = Tally(daemon, load).percent(here, 3)
            load.stop()
        assert found == pytest.approx(expected_here(4 - dead), abs=4)
        daemon.settled()


DOCUMENTS = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop, namespace: default}
spec:
  hosts: [shop.test]
  resolution: STATIC
  location: MESH_INTERNAL
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints:
  - {address: 127.0.0.1, locality: eu/rack-1}
  - {address: 127.0.0.2, locality: eu/rack-2}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop, namespace: default}
spec:
  host: shop.test
  trafficPolicy:
    loadBalancer: {localityLbSetting: {enabled: true, failoverPriority: [topology.istio.io/subzone]}}
"""


@pytest.mark.parametrize("detection, is_told", [
    ("", True), ("    outlierDetection: {maxEjectionPercent: 100}\n", False)])
def test_failover_that_can_never_happen_is_told_by_the_analyzer(tmp_path, detection, is_told):
    path = tmp_path / "shop.yaml"
    path.write_text(DOCUMENTS + detection)
    run = subprocess.run([sys.executable, "-m", "meshd.cli.ctl", "analyze", path], capture_output=True, text=True)
    assert ("MSH0402" in run.stdout + run.stderr) == is_told, run.stdout + run.stderr
