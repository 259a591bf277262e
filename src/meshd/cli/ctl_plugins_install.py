"""``meshctl plugins install`` and ``upgrade``: pip in meshd's own environment, which must not change meshd."""

from typing import Any

import click

from meshd.cli.ctl_option import asks
from meshd.cli.output import View
from meshd.cli.plugin.complete import distribution_names
from meshd.cli.plugin.report import Report
from meshd.cli.plugin.wish import Wish, changes

KEEP = click.option("--keep", "is_kept", is_flag=True, help="leave a plugin installed that cannot be loaded.")


@click.command(short_help="Install plugins with pip; refuses what would change meshd itself.",
               epilog="\b\nexamples:\n  meshctl plugins install meshd-hello\n"
               "  meshctl plugins install --yes 'meshd-hello>=1.2' ./meshd_other-2.0-py3-none-any.whl\n"
               "  meshctl plugins install --yes -r /etc/meshd/plugins.lock")
@click.argument("specs", nargs=-1, metavar="[SPEC]...")
@click.option("-r", "--requirement", "files", multiple=True, metavar="FILE",
              help="install what this file lists, a lock file say.")
@click.option("-U", "--upgrade", "is_upgrade", is_flag=True, help="take newer versions of what is installed.")
@KEEP
@changes
@asks("table", "json", "yaml")
def install(
    client: Any, view: View, specs: tuple[str, ...], files: tuple[str, ...], is_upgrade: bool, is_kept: bool, wish: Wish
) -> int:
    """Install plugins and what they need, then let the running daemon take them up.

    SPEC is what pip takes: a name with or without versions, a wheel, a folder, an address. pip's other settings (an
    index, say) come from its own configuration and environment. What is resolved is shown first; all of it is
    installed, or nothing where a plugin cannot be loaded afterwards.
    """
    arguments = [*(["--upgrade"] if is_upgrade else []), *(part for file in files for part in ("-r", file))]
    _check(specs)
    if not specs and not files:
        raise click.UsageError("install: nothing named: expected SPEC or -r FILE")
    return _install(client, view, [*arguments, *specs], is_kept, wish)


@click.command(short_help="Install newer versions of the installed plugins.",
               epilog="\b\nexamples:\n  meshctl plugins upgrade\n  meshctl plugins upgrade --yes meshd-hello")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=distribution_names)
@KEEP
@changes
@asks("table", "json", "yaml")
def upgrade(client: Any, view: View, names: tuple[str, ...], is_kept: bool, wish: Wish) -> int:
    """Install newer versions of the plugin distributions that are named, or of all; otherwise as install.

    Those that came from a folder, a file or an address are passed over unless they are named.
    """
    from meshd.cli.plugin.installed import Installed
    from meshd.cli.plugin.removal import plugin_distribution
    installed = Installed()
    chosen = [plugin_distribution(name, installed, "upgrade") for name in names]
    for name in () if names else installed.plugins():
        if installed.is_direct(name):
            click.echo(f"{name}: passed over: it came from a folder, a file or an address", err=True)
        else:
            chosen.append(name)
    return _install(client, view, ["--upgrade", *chosen] if chosen else [], is_kept, wish)


def _install(client: Any, view: View, arguments: list[str], is_kept: bool, wish: Wish) -> int:
    from meshd.cli.plugin.installation import Installation
    report = Report(view, "PluginInstallation")
    found = Installation(client, report, wish, is_kept=is_kept).run(arguments)
    report.end()
    return found


def _check(specs: tuple[str, ...]) -> None:
    """Refuse options: they would be pip's, and could install elsewhere or nothing at all."""
    for spec in specs:
        if spec.startswith("-"):
            raise click.UsageError(f"install: {spec!r}: expected a requirement, a file or an address")
