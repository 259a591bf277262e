"""The configuration as a supervisor reads it: by a child, whose answer is passed on to the workers as it came.

The child (``meshd.config.child``) runs whatever code is installed now; its answer begins with an outline in JSON
(``meshd.config.outline``), the rest is a pickle that only workers open.
"""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from meshd.config.wire import FAULTS, HEAD, KEY_BYTES, OUTLINE, BadFrame, Unpacker
from meshd.supervisor.loop import READ, Loop

REGISTRY = "meshd.registry:Registry.load"
TIMEOUT_S = 60.0
REAP_S = 0.5
"""How long a child that has said all may take to end."""
MAX_BYTES = 1024 * 1024 * 1024
MAX_STDERR_BYTES = 8192
PIECE_BYTES = 1024 * 1024


class Reading:
    """What came of it. ``outline`` is None where there are faults (the frames tell them) or an ``error`` (a text)."""

    def __init__(self, key: bytes, data: bytes = b"", error: str = "") -> None:
        self.key = key
        self.data = data
        self.outline: dict[str, Any] | None = None
        self.error = error
        if not error:
            self._look()

    def _look(self) -> None:
        end = HEAD.size + HEAD.unpack_from(self.data)[0]
        frames = Unpacker(self.key)
        try:
            frames.feed(self.data[:end])
            kind, payload = frames.next() or (b"", b"")
        except BadFrame as error:
            self.error = str(error)
            return
        if kind == OUTLINE:
            self.outline = json.loads(payload)
        elif kind != FAULTS:
            self.error = "configuration reader: ended before its answer was whole"


def first_reading(key: str, fd: int) -> Reading:
    """Return what the command line has left in memory."""
    with os.fdopen(fd, "rb") as file:
        file.seek(0)
        return Reading(bytes.fromhex(key), file.read())


class Reader:
    """Runs one child; ``done(Reading)`` is called once."""

    def __init__(self, loop: Loop, paths: list[str], settings: dict[str, Any], done: Callable[[Reading], Any]) -> None:
        self._loop = loop
        self._done = done
        self._key = secrets.token_bytes(KEY_BYTES)
        self._data = bytearray()
        self._errors = b""
        asked = {"key": self._key.hex(), "paths": paths, "settings": settings, "registry": REGISTRY}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "meshd.config.child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        self._process.stdin.write(json.dumps(asked).encode())
        self._process.stdin.close()
        self._open = [self._process.stdout, self._process.stderr]
        for pipe in self._open:
            os.set_blocking(pipe.fileno(), False)
        loop.watch(self._process.stdout, READ, self._output)
        loop.watch(self._process.stderr, READ, self._error)
        self._late = loop.later(TIMEOUT_S, self._give_up)

    def _output(self) -> None:
        data = self._process.stdout.read(PIECE_BYTES)
        self._data += data or b""
        if data == b"" or len(self._data) > MAX_BYTES:
            self._closed(self._process.stdout)

    def _error(self) -> None:
        data = self._process.stderr.read(PIECE_BYTES)
        self._errors = (self._errors + (data or b""))[:MAX_STDERR_BYTES]
        if data == b"":
            self._closed(self._process.stderr)

    def _closed(self, pipe: Any) -> None:
        self._loop.forget(pipe)
        self._open.remove(pipe)
        pipe.close()
        if not self._open:
            self._late.cancel()
            self._reap()
            self._tell()

    def _reap(self) -> None:
        try:
            self._process.wait(REAP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _tell(self) -> None:
        text = self._errors.decode("utf-8", "replace").strip()
        if len(self._data) >= HEAD.size:
            self._done(Reading(self._key, bytes(self._data)))
            return
        last = text.splitlines()[-1] if text else "it said nothing"
        self._done(Reading(self._key, error=f"configuration reader: ended with {self._process.returncode}: {last}"))

    def _give_up(self) -> None:
        self._process.kill()
        self._errors = f"no answer after {TIMEOUT_S:g} s".encode()
        self._data.clear()
