"""``meshctl proxy-config`` (``pc``): what the daemon was told, as short tables; ``-o json`` has all of it."""

from typing import Any
from urllib.parse import quote

import click

from meshd.cli.ctl_names import names_of
from meshd.cli.ctl_option import asks
from meshd.cli.health import health_text
from meshd.cli.output import Column, View
from meshd.cli.route import route_rows
from meshd.document.nearest import nearest

LISTENER = (
    Column("NAME", "name"), Column("ADDRESS", "bound"), Column("ACCEPTING", "accepting", True),
    Column("FILTERS", "filters"), Column("CHAINS", "chains"), Column("CONNECTIONS", "connections"),
    Column("REQUESTS", "requests"),
)
ROUTE = (
    Column("LISTENER", "listener"), Column("VIRTUAL_HOST", "virtual_host"), Column("DOMAINS", "domains"),
    Column("ROUTE", "name"), Column("MATCH", "match"), Column("ACTION", "action"), Column("TIMEOUT", "timeout", True),
    Column("RETRY", "retry", True),
)
CLUSTER = (
    Column("NAME", "name"), Column("ENDPOINTS", "healthy"), Column("BALANCER", "load_balancer"),
    Column("CONNECTIONS", "connections"), Column("ACTIVE", "active"), Column("REQUESTS", "requests"),
    Column("RETRIES", "retries", True), Column("CONNECT_FAILURES", "connect_failures", True),
    Column("BREAKER", "breaker", True),
)
ENDPOINT = (
    Column("ADDRESS", "address"), Column("CLUSTER", "cluster"), Column("STATUS", "status"), Column("WEIGHT", "weight"),
    Column("ACTIVE", "active_requests"), Column("CONNECTIONS", "connections"), Column("WHY", "reason"),
    Column("IDLE", "idle_connections", True), Column("PENDING", "pending", True), Column("PRIORITY", "priority", True),
    Column("LOCALITY", "locality", True), Column("LABELS", "labels", True), Column("SOURCE", "source", True),
)
SHOWN = 20
"""Names listed where the one that was given is unknown."""
LEVEL = (Column("NAMESPACE", "namespace"), Column("LEVEL", "level"))


@click.group("proxy-config", epilog="\b\nexamples:\n  meshctl pc listener\n  meshctl pc route public\n  "
             "meshctl pc cluster users -o wide\n  meshctl pc endpoint --cluster users\n  "
             "meshctl pc log --level meshd.plugin=debug")
def proxy_config() -> None:
    """See the configuration that the daemon runs on (alias: pc)."""


@proxy_config.command("listener", short_help="Show listeners: addresses, filters, connections.")
@click.argument("name", required=False, shell_complete=names_of("listeners"))
@asks()
def listener(client: Any, view: View, name: str | None) -> None:
    """Show listeners: addresses, filters or filter chains, connections."""
    rows = _named(client.get("/listeners?format=json")["listeners"], name, "listener")
    for row in rows:
        row["requests"] = row["counters"].get("requests")  # a listener of UDP has none
        row["chains"] = [one["name"] for one in row.get("filter_chains", ())]
    if view.form in ("json", "yaml"):
        rows = _named(client.get("/config_dump?resource=listeners")["listeners"], name, "listener")
    view.items("Listeners", rows, LISTENER)


@proxy_config.command("route")
@click.argument("listener_name", metavar="[LISTENER]", required=False, shell_complete=names_of("listeners"))
@asks()
def route(client: Any, view: View, listener_name: str | None) -> None:
    """Show routes: what matches, and what is done with it. The first of a virtual host that matches counts."""
    listeners = _named(client.get("/config_dump?resource=listeners")["listeners"], listener_name, "listener")
    rows = [row for one in listeners for row in route_rows(one)]
    if view.form in ("json", "yaml"):
        rows = [{**{key: row[key] for key in ("listener", "virtual_host", "domains")}, **row["route"]} for row in rows]
    view.items("Routes", rows, ROUTE)


@proxy_config.command("cluster")
@click.argument("name", required=False, shell_complete=names_of("clusters"))
@asks()
def cluster(client: Any, view: View, name: str | None) -> None:
    """Show clusters: endpoints, balancer, connections, requests."""
    if view.form in ("json", "yaml"):
        rows = _named(client.get("/config_dump?resource=clusters")["clusters"], name, "cluster")
        view.items("Clusters", rows, CLUSTER)
    else:
        view.items("Clusters", [_cluster_row(row) for row in _clusters(client, name)], CLUSTER)


@proxy_config.command("endpoint")
@click.option("--cluster", "name", metavar="NAME", shell_complete=names_of("clusters"),
              help="only those of this cluster.")
@asks()
def endpoint(client: Any, view: View, name: str | None) -> None:
    """Show endpoints: address, health, weight, load."""
    rows = [
        {**one, "cluster": row["name"], "status": "HEALTHY" if one["healthy"] else "UNHEALTHY"}
        for row in _clusters(client, name) for one in row["endpoints"]
    ]
    if view.form not in ("json", "yaml"):
        for one in rows:
            one["reason"] = "" if one["health"] == "healthy" else health_text(one)
    view.items("Endpoints", rows, ENDPOINT)


@proxy_config.command("log")
@click.option("--level", "levels", metavar="[NAMESPACE=]LEVEL", multiple=True,
              help="set a level: debug, info, warn or error; of everything without NAMESPACE. May be repeated.")
@asks()
def log(client: Any, view: View, levels: tuple[str, ...]) -> None:
    """Show the log's levels, and set them without a restart."""
    arguments = "&".join(_level_argument(level) for level in levels)
    found = client.post(f"/logging?{arguments}")["levels"]
    view.items("Levels", [{"namespace": name or "*", "level": level} for name, level in found.items()], LEVEL)


def _level_argument(text: str) -> str:
    name, _, level = text.rpartition("=")
    return f"{quote(name) or 'level'}={quote(level)}"


def _named(rows: list[dict], name: str | None, kind: str) -> list[dict]:
    """Return all rows, or those of the name. Raises click.ClickException where there is none."""
    found = [row for row in rows if name is None or row["name"] == name]
    if name is None or found:
        return found
    known = [row["name"] for row in rows]
    guess = nearest(name, known)
    listed = ", ".join(known[:SHOWN]) + (", ..." if len(known) > SHOWN else "") or "there is none"
    hint = f"did you mean {guess}?" if guess else f"meshctl pc {kind} has all"
    raise click.ClickException(f"{kind} {name!r}: unknown: expected one of: {listed}\nhelp: {hint}")


def _clusters(client: Any, name: str | None) -> list[dict]:
    if name:
        found = client.get(f"/clusters?format=json&name={quote(name)}")["clusters"]
        if found:
            return found
    return _named(client.get("/clusters?format=json")["clusters"], name, "cluster")


def _cluster_row(row: dict) -> dict:
    counters, endpoints = row["counters"], row["endpoints"]
    return {
        **row, "healthy": f"{sum(one['healthy'] for one in endpoints)}/{len(endpoints)}",
        "connections": counters["active_connections"], "active": counters["active_requests"],
        "requests": counters["requests"], "retries": counters["retries"],
        "connect_failures": counters["connect_failures"],
        "breaker": [f"{name}={state['used']}/{state['limit']}" for name, state in row["circuit_breaker"].items()],
    }
