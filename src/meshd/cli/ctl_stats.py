"""``meshctl stats``: the daemon's numbers."""

from typing import Any
from urllib.parse import quote

import click

from meshd.cli.ctl_option import asks
from meshd.cli.output import Column, View

COLUMNS = (Column("NAME", "name"), Column("TYPE", "type", True), Column("LABELS", "labels"), Column("VALUE", "shown"))


@click.command(epilog="\b\nexamples:\n  meshctl stats --filter upstream_rq\n"
               "  meshctl stats --filter '^envoy_listener' -o json")
@click.option("--filter", "pattern", metavar="REGEX", default="",
              help="only metrics whose name matches (RE2, anywhere).")
@click.option("--nonzero", is_flag=True, help="only series that are not 0.")
@asks()
def stats(client: Any, view: View, pattern: str, nonzero: bool) -> None:
    """Show metrics: every series with its labels and its number."""
    rows = client.get(f"/stats?format=json&filter={quote(pattern)}")["stats"]
    for row in rows:
        row["shown"] = _shown(row)
    if nonzero:
        rows = [row for row in rows if row.get("value", row.get("count"))]
    if view.form in ("json", "yaml"):
        rows = [{key: value for key, value in row.items() if key != "shown"} for row in rows]
    view.items("Stats", rows, COLUMNS)


def _shown(row: dict) -> str:
    if "value" not in row:
        return f"count={row['count']} sum={row['sum']:g}"
    value = row["value"]
    return f"{value:.0f}" if isinstance(value, float) and value == int(value) and abs(value) < 1e15 else str(value)
