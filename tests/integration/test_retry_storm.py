"""A retry storm: three services in a chain through meshd, the last one failing all; what budgets make of it."""

import asyncio
import contextlib

from tests.integration.harness.chain import Service, load, request
from tests.integration.harness.daemon import Daemon, one_cluster

RETRIES = {"timeout": "60s", "retry": {"retry": {"retry_on": ["5xx"], "attempts": 2}}}
AT_ONCE = 64
UNBOUNDED = {"max_retries": 4294967295}
BUDGET = {"budget": {"percent": 20}}


@contextlib.contextmanager
def chain(limits):
    """Yield (the first service's port, the last one's, both daemons): service, meshd, service, meshd, service."""
    with contextlib.ExitStack() as stack:
        last = stack.enter_context(Service(delay_ms=150))
        hop = {"route": RETRIES, "cluster": {"circuit_breaker": {"limits": limits}}}
        second = stack.enter_context(Daemon(one_cluster(f"127.0.0.1:{last.port}", **hop)))
        middle = stack.enter_context(Service(second.port))
        first = stack.enter_context(Daemon(one_cluster(f"127.0.0.1:{middle.port}", **hop)))
        front = stack.enter_context(Service(first.port))
        yield front.port, last.port, (first, second)


def amplified(limits, count):
    """Return how many requests reach the last service for each that the first one gets, and the daemons' counts."""
    with chain(limits) as (front, last, daemons):
        statuses = asyncio.run(load(front, count, AT_ONCE))
        assert set(statuses) == {503} and len(statuses) >= count
        reached = int(asyncio.run(request(last, "/count"))[1])
        overflows = [daemon.metric("envoy_cluster_upstream_rq_retry_overflow") for daemon in daemons]
        retries = [daemon.metric("envoy_cluster_upstream_rq_retry") for daemon in daemons]
        for daemon in daemons:
            daemon.settled()
        return reached / len(statuses), retries, overflows


def test_without_budgets_each_hop_makes_three_of_one():
    count = 192
    factor, retries, overflows = amplified(UNBOUNDED, count)
    assert abs(factor - 9.0) <= 0.45, factor
    assert overflows == [0, 0]
    assert retries == [2 * count, 6 * count]


def test_budgets_of_20_percent_end_the_storm():
    factor, retries, overflows = amplified(BUDGET, 1280)
    assert 1.0 < factor <= 1.5, factor
    assert all(overflows) and all(retries)
