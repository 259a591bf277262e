"""``meshctl plugins``: what is installed, what of it runs, and how well."""

from typing import Any

import click

from meshd.cli.ctl_option import asks
from meshd.cli.output import Column, View

COLUMNS = (
    Column("NAME", "name"), Column("DISTRIBUTION", "distribution"), Column("VERSION", "version"),
    Column("STATUS", "status"),
    Column("USES", "uses"), Column("FAULTS", "faults"), Column("LATE", "late", True), Column("MEAN", "mean", True),
    Column("TYPES", "types"), Column("REASON", "reason"),
)


@click.group()
def plugins() -> None:
    """See the plugins of the daemon."""


@plugins.command("list", epilog="\b\nexamples:\n  meshctl plugins list\n  meshctl plugins list -o wide")
@asks()
def list_plugins(client: Any, view: View) -> None:
    """Show each plugin found: who ships it, whether it is loaded, where it is used, its faults and times."""
    rows = client.get("/plugins")["plugins"]
    if view.form not in ("json", "yaml"):
        rows = [_row(row) for row in rows]
    view.items("Plugins", rows, COLUMNS)


def _row(row: dict) -> dict:
    uses = row["uses"]
    timings = [timing for use in uses for timing in use["timings"].values()]
    samples = sum(timing["samples"] for timing in timings)
    mean = sum(timing["mean_s"] * timing["samples"] for timing in timings) / samples if samples else None
    return {
        **row, "uses": len(uses), "faults": sum(sum(use["faults"].values()) for use in uses),
        "late": sum(use["late"] for use in uses), "mean": None if mean is None else f"{mean * 1e6:.1f}us",
        "types": _types(row["types"]),
        "status": next((use["state"] for use in uses if use["state"] != "in use"), row["status"]),
    }


def _types(types: list[dict]) -> list[str]:
    """Return ``kind/name`` of each type, and only the number where a plugin offers many of one kind."""
    by_kind: dict[str, list[str]] = {}
    for one in types:
        by_kind.setdefault(one["kind"], []).append(one["name"])
    return [
        f"{kind} ({len(names)})" if len(names) > 3 else f"{kind}/{'+'.join(names)}" for kind, names in by_kind.items()
    ]
