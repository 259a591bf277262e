"""A change of the environment that is whole or not at all: what pip replaces is kept until the end of the block."""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from types import TracebackType

import click

from meshd.cli.plugin import pip
from meshd.cli.plugin.installed import Installed
from meshd.cli.plugin.plan import Plan


class Change:
    """``with Change(plan, installed) as change: change.install()``; an exception in the block puts everything back."""

    def __init__(self, plan: Plan, installed: Installed, *, is_shown: bool = False) -> None:
        self._plan = plan
        self._installed = installed
        self._is_shown = is_shown
        self._before = {item.name: installed.digest(item.name) for item in plan.items}
        self._folder = ""
        self._kept: list[tuple[Path, Path]] = []

    def __enter__(self) -> "Change":
        self._folder = tempfile.mkdtemp(prefix="meshctl-")
        for item in self._plan.items:
            self._keep(item.name)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is not None:
                self._undo()
                if kind is KeyboardInterrupt:
                    sys.stderr.write("interrupted: all is as it was\n")
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def install(self) -> pip.Done:
        """Install exactly what the plan names: archives by their hashes, then folders and repositories."""
        archives = [item.line for item in self._plan.items if item.hashes]
        others = [item.line for item in self._plan.items if not item.hashes]
        done = pip.Done(0, "")
        if archives:
            path = os.path.join(self._folder, "exact.txt")
            Path(path).write_text("".join(f"{line}\n" for line in archives))
            done = self._pip("--require-hashes", "-r", path)
        if others and done.code == 0:
            done = self._pip(*others)
        return done

    def _pip(self, *arguments: str) -> pip.Done:
        return pip.run("install", "--no-deps", "--force-reinstall", *arguments, is_shown=self._is_shown)

    def _keep(self, name: str) -> None:
        dist = self._installed.get(name)
        for file in (dist.files or ()) if dist is not None else ():
            path = Path(dist.locate_file(file))
            if path.is_file() or path.is_symlink():
                copy = Path(self._folder, str(len(self._kept)))
                shutil.copy2(path, copy, follow_symlinks=False)
                self._kept.append((path, copy))

    def _undo(self) -> None:
        """Uninstall what is there now and was not before; then put back the files that are gone.

        Raises ClickException where that does not lead back to what was there.
        """
        names = [name for name in self._changed() if Installed().get(name) is not None]
        done = pip.run("uninstall", "--yes", *names, is_shown=self._is_shown) if names else pip.Done(0, "")
        for path, copy in self._kept:
            if not os.path.lexists(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(copy, path, follow_symlinks=False)
        if changed := self._changed():
            raise click.ClickException(f"install: failed and not undone: {', '.join(changed)}: not as before\n"
                                       f"{done.tail}")

    def _changed(self) -> list[str]:
        now = Installed()
        return [name for name, digest in self._before.items() if now.digest(name) != digest]
