"""One installation from the question to the reload: resolve, show, refuse, ask, install, check, lock, reload."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import attrs
import click
from packaging.utils import canonicalize_name

from meshd import __version__
from meshd.cli import code
from meshd.cli.client import AdminClient
from meshd.cli.plugin import pip
from meshd.cli.plugin.change import Change
from meshd.cli.plugin.installed import MESHD, Installed
from meshd.cli.plugin.plan import Plan, clashes
from meshd.cli.plugin.report import Report, finding_text
from meshd.cli.plugin.wish import Wish

CHECK_S = 120.0
"""How long loading all plugins may take."""


class Installation:
    """Installs what pip makes of ``arguments`` (requirements, ``-r FILE``, ``--upgrade``), all of it or nothing."""

    def __init__(self, client: AdminClient, report: Report, wish: Wish, *, is_kept: bool = False) -> None:
        self._client = client
        self._report = report
        self._wish = wish
        self._is_kept = is_kept

    def run(self, arguments: list[str]) -> int:
        """Do it; return the exit code; without arguments there is nothing to do.

        Raises ClickException with nothing changed.
        """
        pip.check_ready()
        lock = self._wish.lock(self._client, self._report)
        installed = Installed()
        plan = self._resolve(arguments, installed) if arguments else Plan(())
        if not plan.items:
            self._report.fact("resolved", [])
            self._report.ok("nothing to do: what was asked for is installed")
            return code.OK
        self._show(plan, installed)
        self._wish.confirm(f"install {'these' if len(plan.items) > 1 else 'it'}?", self._report)
        self._install(plan, installed)
        if lock is not None:
            lock.update(plan, Installed())
            self._report.fact("lock", lock.path)
            self._report.ok(f"lock        {lock.path}   {len(lock.lines)} distributions")
        return self._wish.reload(self._client, self._report)

    def _resolve(self, arguments: list[str], installed: Installed) -> Plan:
        """Let pip say what it would install, with meshd pinned as it is."""
        version = installed.version(MESHD) or __version__
        with tempfile.TemporaryDirectory(prefix="meshctl-") as folder:
            pin, report = os.path.join(folder, "meshd.txt"), os.path.join(folder, "report.json")
            Path(pin).write_text(f"{MESHD}=={version}\n")
            done = pip.run("install", "--dry-run", "--report", report, "--constraint", pin, *arguments,
                           is_shown=self._wish.is_verbose)
            if done.code == 0:
                return Plan.of_report(json.loads(Path(report).read_text()), installed)
        found = clashes(done.text)
        if found:
            raise click.ClickException(
                f"install: refused: meshd {version} stays as it is: {', '.join(found)}\nhelp: ask for a release that "
                f"fits meshd {version}, or upgrade meshd first")
        raise click.ClickException(f"install: pip could not resolve it (exit {done.code}):\n{done.tail}")

    def _show(self, plan: Plan, installed: Installed) -> None:
        """Show the resolved set; raises ClickException where it must not be installed."""
        libraries = plan.changed_libraries(installed)
        self._report.table("resolved", [
            {**attrs.asdict(item), "hashes": list(item.hashes), "change": item.change,
             "note": "a library of meshd" if item in libraries else ""} for item in plan.items])
        refusals = list(plan.refusals(installed))
        if refusals:
            raise click.ClickException("install: refused: " + "\n  ".join(refusals))
        for item in libraries:
            self._report.warn(f"{item.name} {item.previous} -> {item.version}: meshd itself runs on this library")

    def _install(self, plan: Plan, installed: Installed) -> None:
        with Change(plan, installed, is_shown=self._wish.is_verbose) as change:
            done = change.install()
            if done.code != 0:
                raise click.ClickException(f"install: pip failed (exit {done.code}); all is as it was:\n{done.tail}")
            rows = self._judged(plan)
        named = ", ".join(f"{item.name} {item.version}" for item in plan.items)
        self._report.ok(f"installed   {named}")
        self._report.fact("check", rows)
        if not self._report.is_document:
            self._report.view.write("".join(finding_text(row, self._report.view) for row in rows))

    def _judged(self, plan: Plan) -> list[dict[str, Any]]:
        """Return what the check says of these plugins; raises ClickException where one of them cannot be used."""
        offered = set(Installed().plugins()) & set(plan.versions)
        if not offered:
            raise click.ClickException("install: none of these offers a meshd plugin (entry-point group meshd.plugins)"
                                       "; all is as it was\nhelp: libraries are installed by pip itself")
        rows = _checked()
        touched = [row for row in rows if row["distribution"] == MESHD and row["errors"]
                   or canonicalize_name(row["distribution"]) in offered]
        if any(row["errors"] for row in touched) and not self._is_kept:
            text = "".join(finding_text(row, self._report.view) for row in touched)
            raise click.ClickException(f"install: a plugin cannot be used; all is as it was:\n{text}"
                                       "help: --keep leaves it installed")
        return touched


def _checked() -> list[dict[str, Any]]:
    """Return what ``meshctl plugins check`` says, of a fresh process: this one has old modules loaded."""
    command = [sys.executable, "-P", "-m", "meshd.cli.ctl", "plugins", "check", "-o", "json"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=CHECK_S)
        return json.loads(done.stdout)["items"]
    except subprocess.TimeoutExpired:
        raise click.ClickException(
            f"install: loading the plugins took more than {CHECK_S:g} s; all is as it was") from None
    except ValueError:
        lines = " ".join(done.stderr.split())[-300:]
        raise click.ClickException(
            f"install: loading the plugins ended the process (exit {done.returncode}); all is as it was: {lines}"
        ) from None
