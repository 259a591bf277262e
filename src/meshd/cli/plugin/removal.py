"""Taking plugins out again: what must stay is refused, what the running daemon uses too."""

from collections.abc import Iterator

import click
from packaging.utils import canonicalize_name

from meshd.cli.client import AdminClient, AdminError
from meshd.cli.plugin import pip
from meshd.cli.plugin.installed import MESHD, Installed
from meshd.cli.plugin.plan import Plan
from meshd.cli.plugin.report import Report
from meshd.cli.plugin.wish import Wish
from meshd.document.nearest import nearest


def plugin_distribution(name: str, installed: Installed, verb: str) -> str:
    """Return the canonical name of a plugin distribution that may be changed. Raises ClickException otherwise."""
    canonical, plugins = canonicalize_name(name), installed.plugins()
    if canonical in plugins:
        return canonical
    if canonical == MESHD:
        raise click.ClickException(f"{verb}: meshd: refused: this is meshd itself: expected a plugin distribution")
    if canonical in installed.closure(MESHD):
        raise click.ClickException(f"{verb}: {canonical}: refused: meshd requires it: expected a plugin distribution")
    if installed.get(canonical) is not None:
        raise click.ClickException(f"{verb}: {canonical}: refused: it offers no meshd plugin\nhelp: use pip for it")
    guess = next((dist for dist, points in plugins.items() if name in points), None) or nearest(name, plugins)
    hint = f"did you mean {guess}?" if guess else f"installed: {', '.join(plugins) or 'none'}"
    raise click.ClickException(f"{verb}: {name}: no plugin distribution of this name is installed\nhelp: {hint}")


class Removal:
    """Uninstalls plugin distributions. ``is_forced``: also those that are used or required."""

    def __init__(self, client: AdminClient, report: Report, wish: Wish, *, is_forced: bool = False) -> None:
        self._client = client
        self._report = report
        self._wish = wish
        self._is_forced = is_forced

    def run(self, names: tuple[str, ...]) -> int:
        """Do it; return the exit code. Raises ClickException with nothing changed."""
        pip.check_ready()
        installed = Installed()
        wanted = list(dict.fromkeys(plugin_distribution(name, installed, "uninstall") for name in names))
        lock = self._wish.lock(self._client, self._report)
        self._refuse([*self._required(wanted, installed), *self._used(wanted)])
        self._report.table("removed", [
            {"name": name, "version": None, "previous": installed.version(name), "change": "remove", "note": ""}
            for name in wanted])
        self._wish.confirm(f"uninstall {'these' if len(wanted) > 1 else 'it'}?", self._report)
        self._uninstall(wanted)
        if lock is not None:
            before = set(lock.lines)
            lock.update(Plan(()), Installed())
            self._tell_left(before - set(lock.lines) - set(wanted))
            self._report.fact("lock", lock.path)
            self._report.ok(f"lock          {lock.path}   {len(lock.lines)} distributions")
        return self._wish.reload(self._client, self._report)

    def _tell_left(self, names: set[str]) -> None:
        """Name what came with plugins, is still there, and is required by nobody now."""
        now = Installed()
        for name in sorted(names):
            if now.get(name) is not None and not now.users(name):
                self._report.note(f"{name} {now.version(name)} came with a plugin and nothing requires it now")

    def _refuse(self, reasons: list[str]) -> None:
        if reasons and not self._is_forced:
            lines = "\n  ".join(reasons)
            raise click.ClickException(f"uninstall: refused: {lines}\nhelp: --force does it all the same")
        for reason in reasons:
            self._report.warn(reason)

    def _required(self, wanted: list[str], installed: Installed) -> Iterator[str]:
        for name in wanted:
            for user in installed.users(name):
                if user not in wanted:
                    yield f"{name}: {user} {installed.version(user)} requires it"

    def _used(self, wanted: list[str]) -> Iterator[str]:
        """Yield where the running daemon's configuration uses one of these."""
        try:
            rows = self._client.get("/plugins")["plugins"]
        except AdminError:
            self._report.note(f"no daemon answers at {self._client.address}: nobody was asked what is in use")
            return
        for row in rows:
            name = canonicalize_name(row["distribution"])
            for use in row.get("configured", ()) if name in wanted else ():
                where = f"{use['owner']}: " if use["owner"] else ""
                label = use["type"] if use["name"] == use["type"] else f"{use['type']} as {use['name']}"
                yield f"{name}: the running configuration uses it: {where}{use['kind']} {label}"

    def _uninstall(self, names: list[str]) -> None:
        done = pip.run("uninstall", "--yes", *names, is_shown=self._wish.is_verbose)
        left = [name for name in names if Installed().get(name) is not None]
        if done.code != 0 or left:
            what = f"{', '.join(left)} is still there" if left else f"exit {done.code}"
            raise click.ClickException(f"uninstall: pip failed: {what}:\n{done.tail}")
        self._report.ok(f"uninstalled   {', '.join(names)}")
