"""``meshctl plugins uninstall``: takes plugin distributions out, unless the running daemon uses them."""

from typing import Any

import click

from meshd.cli.ctl_option import asks
from meshd.cli.output import View
from meshd.cli.plugin.complete import distribution_names
from meshd.cli.plugin.report import Report
from meshd.cli.plugin.wish import Wish, changes


@click.command(short_help="Uninstall plugins that the running daemon does not use.",
               epilog="\b\nexamples:\n  meshctl plugins uninstall meshd-hello\n"
               "  meshctl plugins uninstall --yes --force meshd-hello")
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=distribution_names)
@click.option("--force", "is_forced", is_flag=True, help="also where it is in use, or required by another.")
@changes
@asks("table", "json", "yaml")
def uninstall(client: Any, view: View, names: tuple[str, ...], is_forced: bool, wish: Wish) -> int:
    """Uninstall plugin distributions, update the lock file, and let the running daemon know.

    Refuses meshd, what meshd requires, and what offers no plugin; and, without --force, what the running
    configuration uses or another distribution requires.
    """
    from meshd.cli.plugin.removal import Removal
    report = Report(view, "PluginRemoval")
    found = Removal(client, report, wish, is_forced=is_forced).run(names)
    report.end()
    return found
