"""``meshctl version``: of this command and of the daemon that it reaches."""

from typing import Any

import click

from meshd import __version__
from meshd.cli.client import AdminError
from meshd.cli.ctl_option import asks
from meshd.cli.output import View


@click.command()
@click.option("--client", "is_alone", is_flag=True, help="do not ask the daemon.")
@asks("table", "json", "yaml")
def version(client: Any, view: View, is_alone: bool) -> None:
    """Show the version of meshctl and of the daemon."""
    try:
        daemon = None if is_alone else client.get("/server_info")["version"]
    except AdminError:
        daemon = None
    if view.form in ("json", "yaml"):
        view.document("Version", {"client": __version__, "daemon": daemon})
    else:
        view.write(f"client   {__version__}\n")
        view.write("" if is_alone else f"daemon   {daemon or '-'}\n")
