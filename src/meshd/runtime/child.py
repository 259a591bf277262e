"""Runs the configuration's reader in a child process and takes in its answer, slice by slice."""

import secrets
from collections.abc import Callable, Generator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from meshd.api import ConfigurationError
from meshd.config.transfer import Reader, command, request
from meshd.config.wire import KEY_BYTES, BadFrame
from meshd.model.plugin import PluginSettings
from meshd.model.snapshot import Loaded
from meshd.runtime.pump import pump

TIMEOUT_S = 60.0
MAX_STDERR_BYTES = 8192


class ReaderProcess(ProcessProtocol):
    """One child: bytes go to ``reader`` as they come; ``done`` fires with (exit reason, its standard error)."""

    def __init__(self, asked: bytes, reader: Reader) -> None:
        self.done: Deferred = Deferred(lambda _: self.kill())
        self.errors = b""
        self._asked = asked
        self._reader = reader

    def connectionMade(self) -> None:
        """Ask."""
        self.transport.write(self._asked)
        self.transport.closeStdin()

    def outReceived(self, data: bytes) -> None:
        """Keep a piece of the answer."""
        try:
            self._reader.feed(data)
        except BadFrame:
            self.kill()

    def errReceived(self, data: bytes) -> None:
        """Keep the beginning of what plugins print, and of a traceback."""
        self.errors = (self.errors + data)[:MAX_STDERR_BYTES]

    def processEnded(self, reason: Failure) -> None:
        """The answer is whole, or will never be."""
        self._reader.end()
        if not self.done.called:
            self.done.callback((reason, self.errors))

    def kill(self) -> None:
        """End the child now."""
        if self.transport is not None and self.transport.pid is not None:
            self.transport.signalProcess("KILL")


class ChildReader:
    """``read()`` reads the configuration at ``paths`` as the plugins of ``settings`` understand it."""

    def __init__(
        self, world: Any, paths: list[str], settings: PluginSettings, *, fingerprint: tuple = (),
        timeout_s: float = TIMEOUT_S, command: Callable[[], list[str]] = command,
    ) -> None:
        self._world = world
        self._paths = paths
        self._settings = settings
        self._fingerprint = fingerprint
        self._timeout_s = timeout_s
        self._command = command

    def read(self) -> Deferred:
        """Return a Deferred of the Loaded.

        It fails with ConfigurationError, whatever happens to the child, or with GenerationNeeded.
        """
        key = secrets.token_bytes(KEY_BYTES)
        reader = Reader(key, self._fingerprint)
        process = ReaderProcess(request(key, self._paths, self._settings), reader)
        line = self._command()
        self._world.reactor.spawnProcess(process, line[0], line, env=None)
        process.done.addTimeout(self._timeout_s, self._world.reactor, self._too_late)
        return process.done.addCallback(lambda ended: pump(self._world, self._answer(reader, *ended)))

    def _answer(self, reader: Reader, reason: Failure, errors: bytes) -> Generator[None, None, Loaded]:
        text = errors.decode("utf-8", "replace").strip()
        if text:
            self._world.log.warn("configuration reader: {text}", text=text)
        try:
            return (yield from reader.slices())
        except ConfigurationError as error:
            if error.faults or reason.value.exitCode == 0:
                raise
            last = text.splitlines()[-1] if text else "it said nothing"
            raise ConfigurationError(f"configuration reader: {reason.value}: {last}".rstrip(".")) from None

    def _too_late(self, result: Any, seconds: float) -> Any:
        raise ConfigurationError(f"configuration reader: no answer after {seconds:g} s")
