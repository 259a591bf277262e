"""What the verbs that change the environment have in common: their options, the question, the lock file, the reload."""

import functools
import os
import sys
from collections.abc import Callable
from typing import Any

import attrs
import click

from meshd.cli import code
from meshd.cli.client import AdminClient, AdminError
from meshd.cli.ctl_reload import LONGEST_S, show
from meshd.cli.daemon import default_paths
from meshd.cli.plugin import lock
from meshd.cli.plugin.report import Report

OPTIONS = (
    click.option("-y", "--yes", "is_agreed", is_flag=True, help="do not ask."),
    click.option("--no-reload", is_flag=True, help="leave the running daemon as it is."),
    click.option("--lock", "lock_path", metavar="FILE",
                 help="lock file to write (default: plugins.lock beside the configuration)."),
    click.option("-v", "--verbose", "is_verbose", is_flag=True, help="show what pip says."),
)


@attrs.frozen(kw_only=True)
class Wish:
    """How a change is to be made."""

    is_agreed: bool = False
    no_reload: bool = False
    lock_path: str | None = None
    is_verbose: bool = False

    def confirm(self, question: str, report: Report) -> None:
        """Ask; raises ClickException unless the answer is yes. Nothing is asked where nobody would see it."""
        if self.is_agreed:
            return
        if report.is_document or not (sys.stdin.isatty() and sys.stderr.isatty()):
            why = f"-o {report.view.form}" if report.is_document else "there is no terminal to ask on"
            raise click.ClickException(f"not confirmed ({why}): nothing was changed\nhelp: --yes does not ask")
        if not click.confirm(question, err=True):
            raise click.ClickException("not confirmed: nothing was changed")

    def lock(self, client: AdminClient, report: Report) -> lock.Lock | None:
        """Return the lock file, which can be written; None where there is no folder for it."""
        folder = None if self.lock_path else _folder(client)
        path = self.lock_path or os.path.join(folder or "", lock.NAME)
        if folder is not None and not os.path.isdir(folder or "."):
            report.note(f"no lock file is written: {folder}: no such folder (--lock FILE names another)")
            return None
        found = lock.Lock(path)
        found.check_writable()
        return found

    def reload(self, client: AdminClient, report: Report) -> int:
        """Let the running daemon take it up, where one answers; return the exit code."""
        report.fact("reload", None)
        if self.no_reload:
            report.note("the daemon was not asked to reload (--no-reload)")
            return code.OK
        if _info(client) is None:
            report.note(f"no daemon answers at {client.address}: nothing was reloaded")
            return code.OK
        client.timeout_s = max(client.timeout_s, LONGEST_S)
        outcome = client.post("/reload", refusals=(400,))
        report.fact("reload", {key: value for key, value in outcome.items() if key != "apiVersion"})
        if not report.is_document:
            show(outcome, report.view)
        return code.OK if outcome["accepted"] else code.FAILED


def changes(function: Callable) -> Callable:
    """Decorate a verb that changes the environment: it gets a ``wish`` in the place of the common options."""
    names = [field.name for field in attrs.fields(Wish)]

    @functools.wraps(function)
    def verb(*given: Any, **options: Any) -> Any:
        return function(*given, wish=Wish(**{name: options.pop(name) for name in names}), **options)

    for option in reversed(OPTIONS):
        verb = option(verb)
    return verb


def _info(client: AdminClient) -> dict | None:
    try:
        return client.get("/server_info")
    except AdminError:
        return None


def _folder(client: AdminClient) -> str:
    """Return the folder of the running daemon's configuration, or of the one that would be used here."""
    paths = (_info(client) or {}).get("paths") or [""]
    path = paths[0] if os.path.isabs(paths[0]) else default_paths()[0]
    return os.path.dirname(path)
