"""What the admin API and the state dump tell of live objects, as plain dicts."""

from collections.abc import Iterator
from typing import Any

from meshd.admin.page_cluster import cluster_fact
from meshd.config.render import one_line, render_fault
from meshd.document.fault import Fault
from meshd.runtime.outcome import Outcome


def listener_fact(listener: Any) -> dict:
    """Return one live listener."""
    spec, cells = listener.spec, listener.cells
    if spec.is_udp:
        return _udp_fact(listener)
    return {
        "name": spec.name, "address": spec.address, "bound": listener.local, "accepting": listener.is_accepting,
        "connections": len(listener.connections), "protocol": spec.protocol,
        "filters": _names(spec.filters or spec.network_filters),
        "listener_filters": _names(spec.listener_filters),
        "filter_chains": [
            {"name": one.spec.name, "protocol": one.protocol, "connections": one.count,
             "filters": _names(one.spec.filters or one.spec.network_filters)}
            for one in listener.chains.values() if one.spec.name],
        "counters": {"connections": cells.connections.value, "requests": cells.requests.value,
                     "active_requests": cells.active_requests.value, "protocol_errors": cells.protocol_errors.value},
    }


def _udp_fact(listener: Any) -> dict:
    spec, cells = listener.spec, listener.cells
    return {
        "name": spec.name, "address": spec.address, "bound": listener.local, "accepting": listener.is_accepting,
        "connections": len(listener.connections), "protocol": spec.protocol, "filters": [], "listener_filters": [],
        "filter_chains": [], "cluster": spec.udp.cluster,
        "counters": {"sessions": cells.sessions.value, "datagrams": cells.rx_datagrams.value,
                     "dropped": cells.dropped.value},
    }


def _names(plugins: Any) -> list[str]:
    return [plugin.name for plugin in plugins if not plugin.disabled]


def cluster_facts(runtime: Any, wanted: str = "") -> Iterator[dict]:
    """Yield all live clusters, by name, or the one that is wanted."""
    for name in sorted(runtime.clusters) if runtime is not None else ():
        cluster = runtime.clusters.get(name)  # a reload may empty the runtime before the last piece is written
        if cluster is not None and wanted in ("", name):
            yield cluster_fact(cluster)


def workload_fact(runtime: Any) -> dict | None:
    """Return what the probe of the local workload has found."""
    return runtime.workload.fact() if runtime is not None and runtime.workload is not None else None


def plugin_facts(registry: Any, runtime: Any) -> list[dict]:
    """Return every plugin found, with its types and the uses of them in the runtime."""
    uses: dict[int, list] = {}
    for use in runtime.uses if runtime is not None else ():
        entry = registry.entry(use.plugin.kind, use.plugin.type)
        found = uses.setdefault(id(entry), [])
        if not any(use.record is other for other in found):
            found.append(use.record)
    configured = _configured(registry, runtime)
    return [_plugin_fact(entry, uses.get(id(entry), []), configured.get(id(entry), [])) for entry in registry.plugins]


def _configured(registry: Any, runtime: Any) -> dict[int, list]:
    """Return what the configuration makes of each plugin's types, once for each owner, by the entry's id."""
    found: dict[int, dict] = {}
    for one in runtime.own() if runtime is not None else ():
        plugin = one.plugin
        key = (plugin.kind, plugin.type, plugin.name, one.owner)
        entry = registry.entry(plugin.kind, plugin.type)
        found.setdefault(id(entry), {})[key] = dict(zip(("kind", "type", "name", "owner"), key))
    return {entry: list(rows.values()) for entry, rows in found.items()}


def _plugin_fact(entry: Any, records: list, configured: list) -> dict:
    return {
        "name": entry.name, "distribution": entry.distribution, "version": entry.version, "module": entry.module,
        "status": entry.status, "reason": entry.reason, "load_s": round(entry.load_s, 6),
        "types": [{"kind": one.kind, "name": one.name, "doc": one.doc} for one in entry.types],
        "uses": [record.snapshot() for record in records], "configured": configured,
    }


def outcome_fact(outcome: Outcome, *, node: str, previous: int, closed: int) -> dict:
    """Return a reload's outcome: ``summary`` is one line for people, ``text`` the faults as ``--check`` shows them."""
    faults = outcome.faults
    summary = outcome.text
    if not outcome.is_accepted and faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        summary = _line(faults[0]) + more
    found = outcome.as_dict()
    changed = found.pop("changed")
    return {
        **found, "node": node, "previous_generation": previous, "closed_connections": closed, "summary": summary,
        "changes": [{"kind": kind, **counts} for kind, counts in changed.items()],
        "text": "\n".join(_block(fault) for fault in faults),
    }


def _line(fault: Any) -> str:
    return f"{fault.mark} {fault.severity}[{fault.code}] {fault.message}" if isinstance(fault, Fault) else str(fault)


def _block(fault: Any) -> str:
    return render_fault(fault) if isinstance(fault, Fault) else f"error: {fault}\n"


def fault_line(fault: Any) -> str:
    """Return a fault in one line, for the log."""
    return f"{one_line(fault)} [{fault.code}]" if isinstance(fault, Fault) else str(fault)


def state_lines(daemon: Any) -> list[str]:
    """Return the state of the daemon in lines, for SIGUSR2."""
    runtime, reloader = daemon.runtime, daemon.reloader
    lines = [
        f"state {daemon.state}, ready {daemon.is_ready}, up {daemon.uptime_s:.0f} s, generation {daemon.generation}, "
        f"digest {daemon.loaded.digest if daemon.loaded else '-'}, old runtimes {reloader.retiring}, "
        f"cells of state {len(reloader.table)}, series {daemon.metrics.used}"
    ]
    for row in daemon.listeners():
        counters = " ".join(f"{name}={value}" for name, value in row["counters"].items())
        lines.append(f"listener {row['name']} {row['bound']}: connections {row['connections']}, {counters}")
    for row in daemon.clusters():
        healthy = sum(endpoint["healthy"] for endpoint in row["endpoints"])
        breaker = " ".join(f"{name}={state['used']}/{state['limit']}" for name, state in row["circuit_breaker"].items())
        lines.append(f"cluster {row['name']}: endpoints {healthy}/{len(row['endpoints'])} healthy, "
                     f"idle {row['idle_connections']}, {breaker}")
    for use in runtime.uses if runtime is not None else ():
        record = use.record
        lines.append(f"{record.label}: {record.state}, faults {record.errors}, late {record.late_times}")
    return [*lines, overload_line(daemon.overload()), memory_line()]


def overload_line(overload: dict) -> str:
    """Return the actions in force and the pressure of each resource."""
    actions = ", ".join(f"{action} for {seconds:.0f} s" for action, seconds in overload["actions"].items())
    pressures = ", ".join(f"{name} {row['pressure']:g} %" for name, row in overload["resources"].items())
    return f"overload {actions or 'no action'}: {pressures}"


def memory_line() -> str:
    """Return resident memory and what the garbage collector holds."""
    import gc

    from meshd.telemetry.process import open_fds, resident_bytes
    counts = "/".join(str(count) for count in gc.get_count())
    return (f"memory {resident_bytes() // 1024} KiB resident, gc counts {counts}, frozen {gc.get_freeze_count()}, "
            f"descriptors {open_fds()}")
