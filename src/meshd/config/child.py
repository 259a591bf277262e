"""``python -m meshd.config.child``: reads and checks a configuration in a process of its own, for a reload.

The request (JSON) comes on standard input, the answer (frames of ``wire``) goes to standard output; whatever plugins
print goes to standard error. Exits 0 when an answer was written, good or bad.
"""

import gc
import importlib
import json
import os
import sys
from typing import Any, BinaryIO

import attrs

from meshd.config.load import load_documents, plugin_settings
from meshd.config.age import ages_of
from meshd.config.source import read
from meshd.config.transfer import Writer
from meshd.document.fault import ERROR, Fault
from meshd.document.mark import Mark
from meshd.errors import ConfigurationError, MeshdError
from meshd.model.plugin import PluginSettings, Watchdog

MAX_REQUEST_BYTES = 1024 * 1024


def main() -> int:
    """Serve one request."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    gc.disable()
    asked = json.loads(sys.stdin.buffer.read(MAX_REQUEST_BYTES))
    answer(asked, output)
    output.flush()
    return 0


def answer(asked: dict[str, Any], output: BinaryIO) -> None:
    """Write the answer to one request."""
    writer = Writer(bytes.fromhex(asked["key"]), output.write)
    try:
        registry = find(asked["registry"])(settings_of(asked["settings"]))
        documents = read(asked["paths"])
        plugin_settings(documents)
        ages = ages_of(os.environ)
        loaded = load_documents(documents, registry, ages=ages)
        ages.keep()
        writer.loaded(attrs.evolve(loaded, fingerprint=registry.fingerprint))
    except ConfigurationError as error:
        writer.faults(str(error), error.faults)
    except Exception as error:
        if not isinstance(error, MeshdError):
            sys.excepthook(*sys.exc_info())
        writer.faults(f"configuration reader: {error}", (Fault("MSH0117", ERROR, f"{error!r}", Mark("-")),))


def settings_of(values: dict[str, Any]) -> PluginSettings:
    """Return the plugin settings that ``transfer.request`` wrote."""
    load = None if values["load"] is None else tuple(values["load"])
    watchdog = Watchdog(**_known(Watchdog, values["watchdog"]))
    return PluginSettings(**{**_known(PluginSettings, values), "load": load, "watchdog": watchdog})


def _known(cls: type, values: dict[str, Any]) -> dict[str, Any]:
    """Return what ``cls`` has of ``values``: during an upgrade, other code than ours may have asked."""
    names = {field.name for field in attrs.fields(cls)}
    return {name: value for name, value in values.items() if name in names}


def find(name: str) -> Any:
    """Return what ``module:attribute.attribute`` names; the module may stand above this package."""
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found


if __name__ == "__main__":
    sys.exit(main())
