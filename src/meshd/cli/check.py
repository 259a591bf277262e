"""``meshd --check``, ``--print-config``, ``--schema``: everything up to the runtime's construction, nothing bound."""

import sys
import time
from typing import Any

from meshd.cli import code, terminal
from meshd.config import render
from meshd.config.load import load_documents, plugin_settings
from meshd.config.source import read
from meshd.document.fault import ERROR, WARNING, Fault
from meshd.document.mark import Mark
from meshd.errors import ConfigurationError
from meshd.registry import Registry


class Checked:
    """What reading a configuration came to: ``loaded`` is None where ``faults`` has errors."""

    def __init__(self, paths: list[str], *, with_origins: bool = False, builds: bool = True) -> None:
        began = time.perf_counter()
        self.loaded: Any = None
        self.registry: Any = None
        documents = read(paths)
        self.files = documents.files
        try:
            self.registry = Registry.load(plugin_settings(documents))
            self.loaded = load_documents(documents, self.registry, with_origins=with_origins)
            self.faults = self.loaded.warnings
            if builds:
                self._build()
        except ConfigurationError as error:
            self.loaded = None
            self.faults = error.faults or (Fault("MSH0113", ERROR, str(error), Mark("-")),)
        self.faults = (*self._refused(), *self.faults)
        self.duration_s = time.perf_counter() - began

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


def run(arguments: Any) -> int:
    """Do what the arguments ask for; return the exit code."""
    if arguments.schema:
        return _schema(arguments)
    if arguments.print_config:
        return _print_config(arguments)
    return show(Checked(arguments.config), arguments, sys.stdout)


def show(checked: Checked, arguments: Any, stream: Any) -> int:
    """Write the faults in the form that was asked for."""
    outcome = render.Outcome(faults=checked.faults, files=len(checked.files), duration_s=checked.duration_s)
    if arguments.output == "json":
        stream.write(render.render_json(outcome) + "\n")
    elif arguments.output == "github":
        stream.write(render.render_github(outcome.faults))
    else:
        stream.write(render.render_text(outcome, colour=terminal.wants_color(arguments.color, stream)))
    return code.OK if checked.is_valid else code.DATA


def _print_config(arguments: Any) -> int:
    from meshd.config.printing import print_config
    checked = Checked(arguments.config, with_origins=True)
    if not checked.is_valid:
        return show(checked, arguments, sys.stderr)
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
