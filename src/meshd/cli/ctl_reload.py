"""``meshctl reload`` and ``upgrade``: ask for it, wait for the outcome, exit 1 where it was rejected."""

import sys
from typing import Any

import click

from meshd.cli import code
from meshd.cli.ctl_option import asks
from meshd.cli.output import View

LONGEST_S = 120.0
"""How long a reload may take: the daemon itself gives its reader 60 s."""


@click.command(short_help="Read the configuration anew, all or nothing.",
               epilog="\b\nexamples:\n  meshctl reload\n  meshctl reload -o json   (exit 1 where it is rejected)")
@asks("table", "json", "yaml")
def reload(client: Any, view: View) -> int:
    """Read the configuration anew, all or nothing; a rejected one changes nothing."""
    return _asked(client, view, "/reload", "Reload")


@click.command(short_help="Hand over to a new generation of processes, without loss.",
               epilog="\b\nexamples:\n  pip install -U meshd && meshctl upgrade\n"
               "  meshctl upgrade -o json   (exit 1 where the new generation does not serve)")
@asks("table", "json", "yaml")
def upgrade(client: Any, view: View) -> int:
    """Hand over to a new generation of processes, which runs the code that is installed now.

    It inherits the listening sockets; the old generation serves until the new one does, then finishes its requests.
    """
    return _asked(client, view, "/upgrade", "Upgrade")


def _asked(client: Any, view: View, page: str, kind: str) -> int:
    client.timeout_s = max(client.timeout_s, LONGEST_S)
    outcome = client.post(page, refusals=(400,))
    if view.form in ("json", "yaml"):
        del outcome["apiVersion"]
        view.document(kind, outcome)
    else:
        show(outcome, view)
    return code.OK if outcome["accepted"] else code.FAILED


def show(outcome: dict, view: View) -> None:
    """Write the outcome of a reload for people."""
    view.write(_line(outcome, view))
    if not outcome["accepted"]:
        sys.stderr.write(outcome.get("text", "") + "\nThe proxy keeps serving its previous configuration.\n")


def _line(outcome: dict, view: View) -> str:
    node = outcome.get("node") or "-"
    if not outcome["accepted"]:
        return f"{view.sign('bad')} {node}   kept generation {outcome['generation']}   {outcome['summary']}\n"
    if outcome.get("heir"):
        return f"{view.sign('ok')} {node}   {outcome['summary']}\n"
    changes = " ".join(
        f"+{one['added']} ~{one['changed']} -{one['removed']} {one['kind']}" for one in outcome["changes"]
        if one["added"] or one["changed"] or one["removed"]) or "no change"
    milliseconds = round(outcome["duration_s"] * 1000)
    generations = f"{outcome['previous_generation']} -> {outcome['generation']}"
    return (f"{view.sign('ok')} {node}   generation {generations}   {changes}   "
            f"{milliseconds} ms   {outcome['closed_connections']} connections closed\n")
