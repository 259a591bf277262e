"""``python -m meshd.config.child``: reads and checks a configuration in a process of its own, for a reload.

A request (a line of JSON) comes on standard input, the answer (frames of ``wire``) goes to standard output; whatever
plugins print goes to standard error. Exits 0 when an answer was written, good or bad.

After a large configuration the child stays, where its parent likes that, for the next request: what is the same then
is neither parsed nor decoded nor translated again (``document.memory``). It ends when its parent does, when it was idle
for long, when its memory is much; and without an answer where the request is not of the kind that it has served, other
code is installed now than it runs, or something unexpected happens. The parent asks a new one then.
"""

import gc
import importlib
import json
import os
import select
import sys
from typing import Any, BinaryIO

import attrs

from meshd.config.load import load_documents, plugin_settings
from meshd.config.age import ages_of
from meshd.config.source import read
from meshd.config.transfer import Writer
from meshd.document.fault import ERROR, Fault
from meshd.document.mark import Mark
from meshd.document.memory import Memory
from meshd.errors import ConfigurationError, MeshdError
from meshd.model.plugin import PluginSettings, Watchdog

MAX_REQUEST_BYTES = 1024 * 1024
LARGE = 300
"""With fewer documents a new child is as quick, and one that stays would cost more memory than it is worth."""
IDLE_S = 3600.0
MAX_RESIDENT_BYTES = 1024**3
MOST_GROWTH = 2.0
"""Times the memory that it had after its first answer."""
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Stale(Exception):
    """This process cannot answer; a new one can."""


def main() -> int:
    """Serve one request, or more."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    gc.disable()
    child = Child(output)
    while child.stays:
        line = sys.stdin.buffer.readline(MAX_REQUEST_BYTES)
        if not line:
            break
        try:
            child.answer(json.loads(line))
        except Stale:
            break
        child.rest()
    return 0


class Child:
    """What is kept from one request to the next; ``stays`` says whether another one may come."""

    def __init__(self, output: BinaryIO) -> None:
        self.stays = True
        self._output = output
        self._program = program()
        self._memory: Memory | None = None
        self._registry: Any = None
        self._kind: tuple = ()
        self._key = ""
        self._items: list[Any] = []
        self._limit_bytes = 0.0

    def answer(self, asked: dict[str, Any]) -> None:
        """Write the answer to one request. Raises Stale, with nothing or with half an answer written."""
        is_first = not self._kind
        if is_first:
            self._memory = Memory() if asked.get("stays") else None
        elif not self._can_answer(asked):
            raise Stale
        base = self._items if asked.get("base") and asked["base"] == self._key else ()
        writer = Writer(bytes.fromhex(asked["key"]), self._output.write, base)
        self.stays = False
        try:
            self._read(asked, writer)
        except ConfigurationError as error:
            writer.faults(str(error), error.faults)
        except Exception as error:
            if not is_first:
                raise Stale from error
            self.stays = False
            if not isinstance(error, MeshdError):
                sys.excepthook(*sys.exc_info())
            writer.faults(f"configuration reader: {error}", (Fault("MSH0117", ERROR, f"{error!r}", Mark("-")),))
        self._output.flush()

    def _read(self, asked: dict[str, Any], writer: Writer) -> None:
        memory = self._memory
        if memory is not None:
            memory.turn()
        if self._registry is None:
            self._registry = find(asked["registry"])(settings_of(asked["settings"]))
        self._kind = kind_of(asked)
        documents = read(asked["paths"], memory)
        self.stays = memory is not None and len(documents.roots) >= LARGE
        plugin_settings(documents)
        ages = ages_of(os.environ)
        loaded = load_documents(documents, self._registry, ages=ages, memory=memory)
        ages.keep()
        writer.loaded(attrs.evolve(loaded, fingerprint=self._registry.fingerprint))
        self._key, self._items = asked["key"], writer.items

    def _can_answer(self, asked: dict[str, Any]) -> bool:
        return (
            kind_of(asked) == self._kind and program() == self._program
            and getattr(self._registry, "is_current", lambda: False)()
        )

    def rest(self) -> None:
        """Wait for the next request, if there may be one."""
        if not self.stays:
            return
        if gc.get_freeze_count():
            gc.collect()  # not what was frozen: the little that this request has left
        gc.freeze()
        resident = resident_bytes()
        self._limit_bytes = self._limit_bytes or min(MAX_RESIDENT_BYTES, MOST_GROWTH * resident)
        self.stays = resident <= self._limit_bytes and bool(select.select([sys.stdin], [], [], IDLE_S)[0])


def kind_of(asked: dict[str, Any]) -> tuple:
    """Return what must be the same in all requests to one child."""
    return asked["paths"], asked["settings"], asked["registry"]


def program() -> tuple[int, int, int]:
    """Return what tells one Python from another that is put in its place."""
    found = os.stat(sys.executable)
    return found.st_dev, found.st_ino, found.st_mtime_ns


def resident_bytes() -> int:
    """Return the resident memory of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE_BYTES


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
