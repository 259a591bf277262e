"""``meshctl certs``: certificates, authorities and revocation lists in use, soonest to expire first."""

import math
import time
from typing import Any

import click

from meshd.cli.ctl_option import asks
from meshd.cli.output import Column, View

EPILOG = """\b
examples:
  meshctl certs                     what is in use, soonest to expire first
  meshctl certs -o wide             with serial numbers, subjects and issuers
  meshctl certs -o json             all of it, for scripts

\b
exit codes: 0 success   1 the daemon does not answer   64 usage
"""
SOON_DAYS = 7
COLUMNS = (
    Column("FILE", "path"), Column("KIND", "kind"), Column("NAMES", "names"), Column("EXPIRES", "expires"),
    Column("LEFT", "left"), Column("OWNER", "owner"), Column("KEY", "key_type", True),
    Column("SERIAL", "serial_number", True), Column("SUBJECT", "subject", True), Column("ISSUER", "issuer", True),
    Column("SHA256", "sha256", True),
)


@click.command(short_help="Certificates in use, and when they expire.", epilog=EPILOG)
@asks("table", "wide", "json", "yaml", "name")
def certs(client: Any, view: View) -> None:
    """Show certificates, authorities and revocation lists in use; keys are never shown.

    Warnings of what could not be renewed follow.
    """
    found = client.get("/certs")
    rows = _sorted(found["certificates"])
    lists = _sorted(found.get("revocation_lists", []))
    if view.form in ("json", "yaml"):
        view.document("Certificates", {"items": rows, "revocation_lists": lists, "owners": found["owners"]})
        return
    both = _sorted([*rows, *({**row, "kind": "crl", "names": row["issuer"]} for row in lists)])
    view.items("Certificates", [_row(row, view) for row in both], COLUMNS)
    for owner in found["owners"]:
        if owner["error"]:
            click.echo(f"{view.sign('bad')} {owner['owner']}: {owner['error']}: the old one stays in force", err=True)


def _sorted(rows: list[dict]) -> list[dict]:
    """Return rows, soonest to expire first; lists that never do come last."""
    return sorted(rows, key=lambda row: row["expires_s"] or math.inf)


def _row(row: dict, view: View) -> dict:
    days = row["days_until_expiration"]
    if days is None:
        return {**row, "expires": None, "left": None}
    left = "expired" if days < 0 else f"{days}d"
    color = "red" if days < 0 else "yellow" if days < SOON_DAYS else ""
    names = row.get("names") or ",".join(one["value"] for one in row["subject_alt_names"]) or row["subject"]
    expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(row["expires_s"]))
    return {**row, "names": names, "expires": expires, "left": view.paint(left, color) if color else left}
