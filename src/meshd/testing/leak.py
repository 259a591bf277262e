"""What a proxy holds that it should have given back: asked in its reactor's thread, at the end of a test."""

from collections.abc import Iterator
from typing import Any

from meshd.admin.site import AdminChannel

GAUGES = (
    "envoy_listener_downstream_cx_active", "envoy_http_downstream_rq_active", "envoy_cluster_upstream_cx_active",
    "envoy_cluster_upstream_rq_active",
)
"""Numbers that are 0 where nothing is open."""
BUSY = ("pending", "requests", "retries")
"""Parts of a circuit breaker that are in use only while requests are."""


def busy(daemon: Any) -> list[str]:
    """Return what is still under way though no client of the test is there: requests, and runtimes before a reload."""
    found = []
    for row in daemon.listeners():
        active = row["counters"]["active_requests"]
        found += [f"listener {row['name']}: {active} requests in flight"] if active else []
    for row in daemon.clusters():
        for name, state in row["circuit_breaker"].items():
            if state["used"] and name in BUSY:
                found.append(f"cluster {row['name']}: {state['used']} {name} counted by the circuit breaker")
    if daemon.reloader.retiring:
        found.append(f"{daemon.reloader.retiring} runtimes of before a reload that do not end")
    return found


def cut_admin(reactor: Any) -> None:
    """End the connections to the admin API that clients have not closed."""
    for reader in reactor.getReaders():
        if isinstance(getattr(reader, "protocol", None), AdminChannel):
            reader.abortConnection()


def left(daemon: Any, reactor: Any, timers: Any) -> list[str]:
    """Return what is left of a proxy that has ended; ``timers`` are those of a test's clock."""
    world = daemon.world
    found = [f"{name} is {value:g}" for name, value in _gauges(daemon.metrics)]
    found += [f"descriptor {fd} of {type(owner).__name__} is watched" for fd, owner in world.poller.owners.items()]
    cells = len(daemon.reloader.table)
    found += [f"{cells} cells of state"] if cells else []
    for one in {*reactor.getReaders(), *reactor.getWriters()} - {reactor.waker}:
        found.append(f"{one!r} is with the reactor")
    calls = (*reactor.getDelayedCalls(), *timers)
    found += filter(None, (_timer(call, world) for call in calls))
    found += [f"{name} is still called when logs are opened anew" for name in map(_label, world.on_reopen)]
    return found


def _gauges(metrics: Any) -> Iterator[tuple[str, float]]:
    for name in GAUGES:
        family = metrics.families.get(name)
        for series in family.series.values() if family is not None else ():
            value = family.read(series)
            if value:
                yield series.prefix.strip(), value


def _timer(call: Any, world: Any) -> str:
    """Say what a timer is for; "" for those of meshd and of the reactor themselves, which go with it."""
    function = call.func
    if function == world.run and call.args:
        function = call.args[0]
    if function == world.wheel.tick:
        return ""
    if function == world.reactor.reap:
        pid = call.args[0].pid
        return f"process {pid} still runs: expected stop() to end it" if pid is not None else ""
    return f"a timer: {_label(function)}: expected stop() to cancel it"


def _label(function: Any) -> str:
    module = getattr(function, "__module__", "")
    return f"{module}.{getattr(function, '__qualname__', repr(function))}".lstrip(".")
