"""Sends a ``Loaded`` from the reload's child to its parent so that the parent never works longer than 2 ms at once.

Tuples of more than ``LARGE`` items are pickled apart, in chunks of about ``CHUNK_BYTES``, and stand in the pickle
around them as persistent ids. What the last answer had among them already, the very same object, is a negative one: its
place among all such items of that answer, which both sides keep. The child writes with ``Writer``; the parent reads
with ``Reader``:

    reader = Reader(key); command(), request(key, paths, settings) start the child
    reader.feed(data) for each piece of its standard output; reader.end() when that is closed
    for _ in reader.slices(): ...                # returns Loaded, or raises ConfigurationError
"""

import enum
import io
import json
import pickle
import struct
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any

import attrs

from meshd.config.outline import outline
from meshd.config.wire import CHUNK, FAULTS, LOADED, OUTLINE, BadFrame, Unpacker, pack
from meshd.errors import ConfigurationError, GenerationNeeded
from meshd.model.plugin import PluginSettings
from meshd.model.snapshot import Loaded

LARGE = 256
CHUNK_BYTES = 8 * 1024
MOST_ITEMS = 1024
REGISTRY = "meshd.registry:Registry.load"
"""What the child makes its registry with; named, for the registry stands beside this package, not below it."""

_ID = struct.Struct("!I")


def command() -> list[str]:
    """Return the child's command line."""
    return [sys.executable, "-m", "meshd.config.child"]


def request(
    key: bytes, paths: list[str], settings: PluginSettings, registry: str = REGISTRY, *, base: bytes = b"",
    stays: bool = False,
) -> bytes:
    """Return the line that the child reads on its standard input. ``key``: 32 random bytes, fresh for each.

    ``base`` is the key of the answer whose items are kept here, if there is one. Unless it ``stays``, as a child with a
    large configuration may, it ends after its answer.
    """
    asked = {
        "key": key.hex(), "paths": list(paths), "settings": attrs.asdict(settings), "registry": registry,
        "base": base.hex(), "stays": stays,
    }
    return json.dumps(asked).encode() + b"\n"


def compare(loaded: tuple, installed: Iterable[Iterable[str]]) -> None:
    """Raise GenerationNeeded where the fingerprint of the installed code is not that of the loaded code."""
    changed = {tuple(row) for row in installed} ^ set(loaded)
    if changed:
        raise GenerationNeeded(f"installed code has changed: {', '.join(sorted({row[0] for row in changed}))}")


class _Pickler(pickle.Pickler):
    def __init__(self, stream: io.BytesIO, writer: "Writer") -> None:
        super().__init__(stream, protocol=5)
        self._writer = writer

    def persistent_id(self, obj: Any) -> int | None:
        if type(obj) is tuple and len(obj) > LARGE:
            return self._writer.put_large(obj)
        return self._writer.there.get(id(obj))


class Writer:
    """Writes one result as frames; ``write(bytes)`` is called for each.

    ``items`` are those of its large tuples, in the order in which they are sent; ``base`` those of the last answer,
    which the parent has.
    """

    def __init__(self, key: bytes, write: Callable[[bytes], Any], base: Sequence[Any] = ()) -> None:
        self.items: list[Any] = []
        self.there = {id(item): -1 - place for place, item in enumerate(base)}
        self._base = base
        self._key = key
        self._write = write
        self._frames = self._numbers = 0
        self._known: dict[int, int] = {}

    def loaded(self, loaded: Loaded) -> None:
        """Send the configuration, its outline first."""
        self._frame(OUTLINE, json.dumps({**outline(loaded), "base": len(self._base)}).encode())
        self._frame(LOADED, self._pickled(loaded))

    def faults(self, message: str, faults: tuple) -> None:
        """Send why there is none."""
        self._frame(FAULTS, self._pickled((message, tuple(faults))))

    def put_large(self, items: tuple) -> int:
        """Send a large tuple in chunks, once; return its number."""
        number = self._known.get(id(items))
        if number is not None:
            return number
        self._numbers = number = self._numbers + 1
        start, count = 0, 64
        while start < len(items):
            payload = self._pickled(list(items[start : start + count]))
            if len(payload) > 2 * CHUNK_BYTES and count > 1:
                count = max(1, count * CHUNK_BYTES // len(payload))
                continue
            self._frame(CHUNK, _ID.pack(number) + payload)
            self.items += items[start : start + count]
            start += count
            count = min(MOST_ITEMS, max(1, count * CHUNK_BYTES // len(payload)))
        self._known[id(items)] = number
        return number

    def _pickled(self, obj: Any) -> bytes:
        stream = io.BytesIO()
        _Pickler(stream, self).dump(obj)
        return stream.getvalue()

    def _frame(self, kind: bytes, payload: bytes) -> None:
        self._write(pack(self._key, self._frames, kind, payload))
        self._frames += 1


class Unpickler(pickle.Unpickler):
    """Makes only attrs classes and enums of modules that are loaded already; a reload imports nothing."""

    def __init__(self, stream: io.BytesIO, large: dict[int, Any], base: Sequence[Any] = ()) -> None:
        super().__init__(stream)
        self._large = large
        self._base = base

    @classmethod
    def loads(cls, payload: bytes) -> Any:
        """Return what was pickled without large tuples apart."""
        return cls(io.BytesIO(payload), {}).load()

    def find_class(self, module: str, name: str) -> Any:
        found: Any = sys.modules.get(module)
        for part in name.split("."):
            found = getattr(found, part, None)
        if isinstance(found, type) and (attrs.has(found) or issubclass(found, enum.Enum)):
            return found
        raise ConfigurationError(f"configuration reader: {module}.{name} is not a configuration class of this process")

    def persistent_load(self, number: int) -> Any:
        if number < 0:
            return self._base[-1 - number]
        items = self._large[number]
        if type(items) is list:
            items = self._large[number] = tuple(items)
        return items


class Reader:
    """The parent's side: bytes in, slices of work out. ``items`` and ``base`` are those of ``Writer``."""

    def __init__(self, key: bytes, fingerprint: tuple = (), base: Sequence[Any] = ()) -> None:
        self.items: list[Any] = []
        self._base = base
        self._frames = Unpacker(key)
        self._fingerprint = fingerprint
        self._large: dict[int, Any] = {}
        self._is_ended = False

    def feed(self, data: bytes) -> None:
        """Take bytes of the child's standard output; does no work. Raises BadFrame beyond 1 GiB."""
        self._frames.feed(data)

    def end(self) -> None:
        """Say that the child's standard output was closed."""
        self._is_ended = True

    def slices(self) -> Generator[None, None, Loaded]:
        """Yield after each slice of at most about 2 ms (and while bytes are missing); return the Loaded.

        Raises ConfigurationError with the child's faults, or where the stream is cut short or not our child's, and
        GenerationNeeded where other code wrote it than ``fingerprint`` names: its classes may differ from ours.
        """
        while True:
            try:
                frame = self._frames.next()
            except BadFrame as error:
                raise ConfigurationError(str(error)) from None
            if frame is None:
                if self._is_ended:
                    raise ConfigurationError("configuration reader: ended before its answer was whole")
            elif frame[0] == CHUNK:
                self._chunk(frame[1])
            elif frame[0] == OUTLINE:
                self._compare(json.loads(frame[1]))
            else:
                return self._finish(*frame)
            yield

    def _compare(self, found: dict[str, Any]) -> None:
        if self._fingerprint:
            compare(self._fingerprint, found["fingerprint"])
        if found.get("base", 0) not in (0, len(self._base)):
            raise ConfigurationError("configuration reader: its answer is for somebody who knows other items")

    def _chunk(self, payload: bytes) -> None:
        (number,) = _ID.unpack_from(payload)
        items = self._unpickled(payload[_ID.size :])
        self._large.setdefault(number, []).extend(items)
        self.items += items

    def _finish(self, kind: bytes, payload: bytes) -> Loaded:
        found = self._unpickled(payload)
        self._large.clear()
        if kind == FAULTS:
            raise ConfigurationError(found[0], found[1])
        return found

    def _unpickled(self, payload: bytes) -> Any:
        try:
            return Unpickler(io.BytesIO(payload), self._large, self._base).load()
        except ConfigurationError:
            raise
        except Exception as error:
            raise ConfigurationError(f"configuration reader: its answer cannot be read: {error!r}") from None
