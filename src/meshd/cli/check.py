"""``meshd --check``, ``--print-config``, ``--schema``: everything up to the runtime's construction, nothing bound."""

import os
import sys
import time
from collections.abc import Callable
from typing import Any

from meshd.cli import code, terminal
from meshd.config import render
from meshd.config.age import ages_of
from meshd.config.load import load_documents, no_collection, plugin_settings
from meshd.config.source import read
from meshd.document.fault import ERROR, WARNING, Fault
from meshd.document.mark import Mark
from meshd.errors import ConfigurationError
from meshd.registry import Registry


class Checked:
    """What reading a configuration came to: ``loaded`` is None where ``faults`` keep it from being loaded."""

    def __init__(
        self, paths: list[str], *, with_origins: bool = False, builds: bool = True, is_strict: bool = False
    ) -> None:
        began = time.perf_counter()
        self.loaded: Any = None
        self.registry: Any = None
        with no_collection():
            self._check(paths, with_origins, builds, is_strict)
        self.duration_s = time.perf_counter() - began

    def _check(self, paths: list[str], with_origins: bool, builds: bool, is_strict: bool) -> None:
        documents = read(paths)
        self.files = documents.files
        try:
            self.registry = Registry.load(plugin_settings(documents))
            self.ages = ages_of(os.environ)
            self.loaded = load_documents(
                documents, self.registry, with_origins=with_origins, is_strict=is_strict, ages=self.ages)
            self.faults = self.loaded.warnings
            if builds:
                self._build()
        except ConfigurationError as error:
            self.loaded = None
            self.faults = error.faults or (Fault("MSH0113", ERROR, str(error), Mark("-")),)
        self.faults = (*self._refused(), *self.faults)

    def _build(self) -> None:
        from meshd.runtime.build import check
        check(self.loaded.snapshot, self.registry)

    def _refused(self) -> tuple[Fault, ...]:
        """Return a warning for each plugin that was found and cannot be used."""
        lines = self.registry.warnings if self.registry is not None else ()
        return tuple(Fault("MSH0114", WARNING, line, Mark("plugins")) for line in lines)

    @property
    def is_valid(self) -> bool:
        """Say whether the daemon would run with it."""
        return self.loaded is not None

    def without(self, is_suppressed: Callable[[Fault], bool]) -> "Checked":
        """Leave findings of analysis out; what keeps the configuration from being loaded stays."""
        self.faults = tuple(one for one in self.faults if one.is_blocking or not is_suppressed(one))
        return self

    def forget(self) -> None:
        """Let go of all that was read but the plugins; it has been passed on."""
        self.loaded = None
        self.faults = ()

    def exit_code(self, fail_on: str) -> int:
        """Return how a check ends: 65 where it cannot be loaded, 79 for findings as severe as ``fail_on``, else 0."""
        if not self.is_valid:
            return code.DATA
        return code.FINDINGS if any(one.is_at_least(fail_on) for one in self.faults) else code.OK


def run(arguments: Any) -> int:
    """Do what the arguments ask for; return the exit code."""
    if arguments.schema:
        return _schema(arguments)
    if arguments.print_config:
        return _print_config(arguments)
    checked = Checked(arguments.config, is_strict=arguments.strict)
    write(checked, arguments.output, sys.stdout, arguments.color)
    return checked.exit_code(arguments.fail_on)


def write(checked: Checked, form: str, stream: Any, color: str) -> None:
    """Write the faults in the form that was asked for."""
    outcome = render.Outcome(faults=checked.faults, files=len(checked.files), duration_s=checked.duration_s)
    if form == "json":
        stream.write(render.render_json(outcome) + "\n")
    elif form == "github":
        stream.write(render.render_github(outcome.faults))
    elif form == "sarif":
        from meshd.config.codes import codes_of
        from meshd.config.sarif import render_sarif
        stream.write(render_sarif(outcome, codes_of(checked.registry)) + "\n")
    else:
        stream.write(render.render_text(outcome, colour=terminal.wants_color(color, stream)))


def _print_config(arguments: Any) -> int:
    from meshd.config.printing import print_config
    checked = Checked(arguments.config, with_origins=True)
    if not checked.is_valid:
        write(checked, arguments.output, sys.stderr, arguments.color)
        return code.DATA
    sys.stdout.write(print_config(checked.loaded))
    return code.OK


def _schema(arguments: Any) -> int:
    import json

    from meshd.config.schema import make_schema
    settings = Checked(arguments.config, builds=False).registry if _was_given(arguments) else Registry.load()
    json.dump(make_schema(settings or Registry.load()), sys.stdout, indent=2)
    sys.stdout.write("\n")
    return code.OK


def _was_given(arguments: Any) -> bool:
    from meshd.cli.daemon import default_paths
    return arguments.config != default_paths()
