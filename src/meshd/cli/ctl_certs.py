"""``meshctl certs``: certificates and authorities in use, soonest to expire first."""

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
    """Show certificates and authorities in use; keys are never shown. Warnings of what could not be renewed follow."""
    found = client.get("/certs")
    rows = sorted(found["certificates"], key=lambda row: row["expires_s"])
    if view.form in ("json", "yaml"):
        view.document("Certificates", {"items": rows, "owners": found["owners"]})
        return
    view.items("Certificates", [_row(row, view) for row in rows], COLUMNS)
    for owner in found["owners"]:
        if owner["error"]:
            click.echo(f"{view.sign('bad')} {owner['owner']}: {owner['error']}: the old one stays in force", err=True)


def _row(row: dict, view: View) -> dict:
    days = row["days_until_expiration"]
    left = "expired" if days < 0 else f"{days}d"
    color = "red" if days < 0 else "yellow" if days < SOON_DAYS else ""
    names = ",".join(one["value"] for one in row["subject_alt_names"]) or row["subject"]
    expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(row["expires_s"]))
    return {**row, "names": names, "expires": expires, "left": view.paint(left, color) if color else left}
