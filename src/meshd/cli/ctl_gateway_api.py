"""``meshctl gateway-api status``: what becomes of Gateway API documents in files and folders; no daemon is asked.

The dialect that knows the documents says it (``IConfigDialect.status``); here it is only shown.
"""

import sys
from collections.abc import Iterator

import click

from meshd.cli import code
from meshd.cli.ctl_option import shows
from meshd.cli.output import Column, View

COLUMNS = (
    Column("KIND", "kind"), Column("NAME", "name"), Column("OF", "part"), Column("ACCEPTED", "Accepted"),
    Column("PROGRAMMED", "Programmed"), Column("RESOLVED", "ResolvedRefs"), Column("CONFLICTED", "Conflicted", True),
    Column("ROUTES", "routes"), Column("WHY", "why"),
)
GOOD = {"Conflicted": "False", "OverlappingTLSConfig": "False"}
"""Conditions that are good where they do not hold."""


@click.group()
def gateway_api() -> None:
    """See what becomes of Gateway API documents."""


@gateway_api.command(
    short_help="Conditions of Gateways, listeners and routes in files; no daemon is asked.",
    epilog="\b\nexamples:\n  meshctl gateway-api status -c mesh.d/\n"
    "  meshctl gateway-api status -c etc/meshd.yaml -c mesh.d/ -o json\n\n"
    "\b\nexit codes: 0 shown   64 usage   65 the documents are not valid")
@click.option("-c", "--config", "paths", metavar="FILE|DIR", multiple=True, required=True, type=click.Path(),
              help="documents, and the native file that says which node this is; repeatable.")
@shows("table", "wide", "json", "yaml")
def status(view: View, paths: tuple[str, ...]) -> int:
    """Show the status that a controller would write for each GatewayClass, Gateway, ListenerSet, route and policy.

    Seen from the node that the native file names; without one, from an ingress node without labels.
    """
    from meshd.cli import check
    from meshd.config.load import status_of
    from meshd.config.source import read
    checked = check.Checked(list(paths), builds=False)
    if not checked.is_valid:
        check.write(checked, "text", sys.stderr, view.color)
        return code.DATA
    found = status_of(read(list(paths)), checked.registry)
    if view.form in ("json", "yaml"):
        view.document("GatewayApiStatus", {"items": found})
    else:
        view.items("GatewayApiStatus", [row for one in found for row in _rows(one)], COLUMNS)
    return code.OK


def _rows(one: dict) -> Iterator[dict]:
    """Yield a row for the document where it has conditions, and one for each of its parts."""
    if "conditions" in one:
        yield _row(one, "", one["conditions"])
    for part in one.get("listeners", ()):
        yield _row(one, f"listener {part['name']}", part["conditions"], part["attachedRoutes"])
    for part in one.get("parents", ()):
        yield _row(one, _reference(part["parentRef"]), part["conditions"])
    for part in one.get("ancestors", ()):
        yield _row(one, _reference(part["ancestorRef"]), part["conditions"])


def _reference(ref: dict | None) -> str:
    if ref is None:
        return ""
    name = f"{ref['kind']} {ref['namespace']}/{ref['name']}"
    return name + "".join(f" {ref[key]}" for key in ("sectionName", "port") if key in ref)


def _row(one: dict, part: str, conditions: list[dict], routes: int | None = None) -> dict:
    why: dict[str, str] = {}
    for each in conditions:
        if each["status"] != GOOD.get(each["type"], "True"):
            why.setdefault(each["message"], f"{each['reason']}: {each['message']}".rstrip(": "))
    name = f"{one['namespace']}/{one['name']}" if one["namespace"] else one["name"]
    return {"kind": one["kind"], "name": name, "part": part, "routes": routes, "why": "; ".join(why.values()),
            **{each["type"]: each["status"] for each in conditions}}
