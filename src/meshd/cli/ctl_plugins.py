"""``meshctl plugins``: what is installed, what of it runs, and how well; other verbs are loaded when they are used."""

import importlib
from typing import Any

import click

from meshd.cli.ctl_option import asks
from meshd.cli.output import Column, View
from meshd.cli.plugin.types import summary

COLUMNS = (
    Column("NAME", "name"), Column("DISTRIBUTION", "distribution"), Column("VERSION", "version"),
    Column("STATUS", "status"),
    Column("USES", "uses"), Column("FAULTS", "faults"), Column("LATE", "late", True), Column("MEAN", "mean", True),
    Column("TYPES", "types"), Column("REASON", "reason"),
)


LOCAL_COLUMNS = (
    Column("NAME", "name"), Column("DISTRIBUTION", "distribution"), Column("VERSION", "version"),
    Column("STATUS", "status"), Column("API", "api", True), Column("MODULE", "module", True),
    Column("TYPES", "types"), Column("REASON", "reason"),
)

VERBS = {
    "check": "meshd.cli.ctl_plugins_check:check",
    "schema": "meshd.cli.ctl_plugins_check:schema",
    "new": "meshd.cli.ctl_plugins_new:new",
    "install": "meshd.cli.ctl_plugins_install:install",
    "upgrade": "meshd.cli.ctl_plugins_install:upgrade",
    "uninstall": "meshd.cli.ctl_plugins_uninstall:uninstall",
}


class PluginVerbs(click.Group):
    """``list`` stands here; a module of the other verbs is loaded when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all verbs (click.Group)."""
        return [*self.commands, *VERBS]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return the verb ``name`` (click.Group)."""
        if name in VERBS:
            module, _, attribute = VERBS[name].partition(":")
            return getattr(importlib.import_module(module), attribute)
        return super().get_command(ctx, name)


@click.group(cls=PluginVerbs, short_help="See, check, write and install plugins.")
def plugins() -> None:
    """See the plugins of the daemon; install, check and write plugins."""


@plugins.command("list", short_help="Show the plugins found, their uses and faults.",
                 epilog="\b\nexamples:\n  meshctl plugins list\n  meshctl plugins list -o wide\n"
                 "  meshctl plugins list --local   (no daemon is asked)")
@click.option("--local", "is_local", is_flag=True, help="look at what is installed beside meshctl, and ask no daemon.")
@asks()
def list_plugins(client: Any, view: View, is_local: bool) -> None:
    """Show each plugin found: who ships it, whether it is loaded, where it is used, its faults and times."""
    rows = _local_rows() if is_local else client.get("/plugins")["plugins"]
    if view.form not in ("json", "yaml"):
        rows = [{**row, "types": summary(row["types"])} if is_local else _row(row) for row in rows]
    view.items("Plugins", rows, LOCAL_COLUMNS if is_local else COLUMNS)


def _local_rows() -> list[dict]:
    from meshd.cli.plugin.types import load_registry
    return [
        {"name": one.name, "distribution": one.distribution, "version": one.version, "module": one.module,
         "api": one.api, "status": one.status, "reason": one.reason,
         "types": [{"kind": kind.kind, "name": kind.name, "doc": kind.doc} for kind in one.types]}
        for one in load_registry().plugins
    ]


def _row(row: dict) -> dict:
    uses = row["uses"]
    timings = [timing for use in uses for timing in use["timings"].values()]
    samples = sum(timing["samples"] for timing in timings)
    mean = sum(timing["mean_s"] * timing["samples"] for timing in timings) / samples if samples else None
    return {
        **row, "uses": len(uses), "faults": sum(sum(use["faults"].values()) for use in uses),
        "late": sum(use["late"] for use in uses), "mean": None if mean is None else f"{mean * 1e6:.1f}us",
        "types": summary(row["types"]),
        "status": next((use["state"] for use in uses if use["state"] != "in use"), row["status"]),
    }
