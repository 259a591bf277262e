"""``meshctl status``: who the daemon is, how it is, and what its last reload came to."""

from typing import Any

import click

from meshd.cli.ctl_option import asks
from meshd.cli.output import View, duration


@click.command(short_help="How the daemon is, and what its last reload came to.",
               epilog="\b\nexamples:\n  meshctl status\n  meshctl status -o json")
@asks("table", "json", "yaml")
def status(client: Any, view: View) -> None:
    """Show version, node, readiness, generation, the last reload, listeners and clusters."""
    info = client.get("/server_info")
    listeners = client.get("/listeners?format=json")["listeners"]
    clusters = client.get("/clusters?format=json")["clusters"]
    if view.form in ("json", "yaml"):
        del info["apiVersion"]
        view.document("Status", {**info, "listeners": listeners, "clusters": [_short(cluster) for cluster in clusters]})
        return
    for name, text in _lines(info, listeners, clusters, view):
        view.write(f"{name.ljust(14)}{text}\n")


def _short(cluster: dict) -> dict:
    healthy = sum(endpoint["healthy"] for endpoint in cluster["endpoints"])
    return {"name": cluster["name"], "endpoints": len(cluster["endpoints"]), "healthy": healthy}


def _lines(info: dict, listeners: list, clusters: list, view: View) -> list[tuple[str, str]]:
    node = info["node"] or {}
    lines = [
        ("node", f"{node.get('id', '-')}   {node.get('role', '-')}   namespace {node.get('namespace', '-')}"),
        ("version", _joined(f"meshd {info['version']}", f"python {info['python']}", f"pid {info['pid']}",
                            f"up {duration(info['uptime_s'])}")),
        ("state", _joined(f"{view.sign('ok' if info['ready'] else 'bad')} {info['state']}",
                          "ready" if info["ready"] else "not ready")),
        ("generation", _joined(info["generation"], f"digest {info['digest'] or '-'}",
                               f"from {', '.join(info['paths'])}")),
        ("last reload", _reload_text(info, view)),
    ]
    if len(info["workers"]) > 1:
        lines += _summary("workers", [_worker_text(row, info, view) for row in info["workers"]])
    if info.get("workload"):
        lines.append(("workload", _workload_text(info["workload"], view)))
    lines += [("overload", f"{view.sign('bad')} {action} for {duration(seconds)}")
              for action, seconds in info["overload"]["actions"].items()]
    shown = [_joined(row["name"], row["bound"] or row["address"], f"{row['connections']} connections")
             for row in listeners]
    lines += _summary("listeners", shown)
    return lines + _summary("clusters", [_cluster_text(_short(cluster), view) for cluster in clusters])


def _worker_text(row: dict, info: dict, view: View) -> str:
    is_well = row["index"] not in info["missing_workers"]
    name = "spare" if row["index"] is None else row["index"]
    return _joined(f"{view.sign('ok' if is_well else 'bad')} {name}", row["state"] if is_well else "does not answer",
                   f"pid {row['pid']}", f"up {duration(row['uptime_s'])}", f"{row['connections']} connections")


def _workload_text(found: dict, view: View) -> str:
    sign = {"healthy": "ok", "unhealthy": "bad"}.get(found["state"], "warn")
    return _joined(f"{view.sign(sign)} {found['state']}", *filter(None, [found["reason"]]))


def _joined(*parts: Any) -> str:
    return "   ".join(str(part) for part in parts)


def _summary(name: str, texts: list[str], most: int = 20) -> list[tuple[str, str]]:
    if len(texts) > most:
        texts = [*texts[:most], f"... and {len(texts) - most} more"]
    return [(name if index == 0 else "", text) for index, text in enumerate(texts or ["-"])]


def _cluster_text(row: dict, view: View) -> str:
    sign = "ok" if row["healthy"] == row["endpoints"] else "warn" if row["healthy"] else "bad"
    return f"{view.sign(sign)} {row['name']}   {row['healthy']}/{row['endpoints']} endpoints healthy"


def _reload_text(info: dict, view: View) -> str:
    last = info["last_reload"]
    if last is None:
        return "-"
    ago = duration(max(0.0, info["now"] - last["time"]))
    if last["accepted"]:
        return f"{view.sign('ok')} accepted {ago} ago in {duration(last['duration_s'])}"
    return f"{view.sign('bad')} rejected {ago} ago, generation {info['generation']} is kept: {last['summary']}"
