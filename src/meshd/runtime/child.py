"""Runs the configuration's reader in a child process and takes in its answer, slice by slice.

A child with a large configuration stays for the next request and is quick then (``config/child.py``). Whatever is odd
about one that stayed, it is killed and a new one is asked.
"""

import secrets
from collections.abc import Callable, Generator
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from meshd.api import ConfigurationError
from meshd.config.transfer import Reader, command, request
from meshd.config.wire import KEY_BYTES, BadFrame, Ending
from meshd.model.plugin import PluginSettings
from meshd.model.snapshot import Loaded
from meshd.runtime.pump import pump

TIMEOUT_S = 60.0
MAX_STDERR_BYTES = 8192


class ReaderProcess(ProcessProtocol):
    """One child. While it answers, bytes go to a ``Reader`` as they come."""

    def __init__(self, world: Any) -> None:
        self.is_idle = True
        """Whether it may be asked."""
        self.answers = 0
        self._world = world
        self._done: Deferred | None = None
        self._errors = b""
        self._asked: bytes | None = None
        self._reader: Any = None
        self._ending = Ending()

    def ask(self, asked: bytes, reader: Reader) -> Deferred:
        """Return a Deferred of (why it ended, '' where it has answered, and its standard error)."""
        self.is_idle = False
        self._reader, self._ending, self._errors = reader, Ending(), b""
        self._done = Deferred(lambda _: self.kill())
        self._asked = asked
        if self.transport is not None:
            self.connectionMade()
        return self._done

    def connectionMade(self) -> None:
        """Ask."""
        asked, self._asked = self._asked, None
        if asked is not None:
            self.transport.write(asked)

    def outReceived(self, data: bytes) -> None:
        """Keep a piece of the answer."""
        try:
            if self._reader is None:
                raise BadFrame("configuration reader: it says what was not asked")
            self._reader.feed(data)
            if self._ending.feed(data):
                self._world.call_later(0, self._tell, "")  # what it has printed may be read after this
        except BadFrame:
            self.kill()

    def errReceived(self, data: bytes) -> None:
        """Keep the beginning of what plugins print, and of a traceback."""
        self._errors = (self._errors + data)[:MAX_STDERR_BYTES]

    def processEnded(self, reason: Failure) -> None:
        """The answer is whole, or will never be."""
        self.is_idle = False
        self.transport = None
        self._tell("" if reason.check(ProcessDone) else str(reason.value))

    def _tell(self, why: str) -> None:
        """End the question, if there is one."""
        reader, done = self._reader, self._done
        self._reader = self._done = None
        if reader is None:
            return
        reader.end()
        self.answers += 1
        self.is_idle = self.transport is not None
        if not done.called:
            done.callback((why, self._errors))

    def kill(self) -> None:
        """End the child now."""
        self.is_idle = False
        if self.transport is not None and self.transport.pid is not None:
            self.transport.signalProcess("KILL")


class ChildReader:
    """``read()`` reads the configuration at ``paths`` as the plugins of ``settings`` understand it."""

    def __init__(
        self, world: Any, paths: list[str], settings: PluginSettings, *, fingerprint: tuple = (),
        timeout_s: float = TIMEOUT_S, command: Callable[[], list[str]] = command, stays: bool = True,
    ) -> None:
        self._world = world
        self._paths = paths
        self._settings = settings
        self._fingerprint = fingerprint
        self._timeout_s = timeout_s
        self._command = command
        self._stays = stays
        self._process: ReaderProcess | None = None
        self._base: tuple[bytes, list[Any]] = (b"", [])
        self._preparing: Deferred | None = None
        self._is_closed = False

    def prepare(self) -> Deferred:
        """Let a child read, and stay, so that the first reload is quick already; return a Deferred of Loaded or None.

        None where there is such a child already, or the reading failed.
        """
        if self._process is not None:
            return succeed(None)
        self._preparing = Deferred()
        done = Deferred.fromCoroutine(self._read()).addErrback(lambda _: None)
        return done.addCallback(self._prepared)

    def _prepared(self, found: Loaded | None) -> Loaded | None:
        waiting, self._preparing = self._preparing, None
        waiting.callback(None)
        return found

    def read(self) -> Deferred:
        """Return a Deferred of the Loaded.

        It fails with ConfigurationError, whatever happens to the child, or with GenerationNeeded.
        """
        if self._is_closed:
            return fail(ConfigurationError("the daemon is draining"))
        if self._preparing is None:
            return Deferred.fromCoroutine(self._read())
        ready: Deferred = Deferred()
        self._preparing.addCallback(lambda _: ready.callback(None))
        return ready.addCallback(lambda _: Deferred.fromCoroutine(self._read()))

    def close(self) -> None:
        """End the child that waits for the next request, if there is one; what is being read is lost."""
        self._is_closed, self._stays = True, False
        if self._process is not None:
            self._process.kill()

    async def _read(self) -> Loaded:
        if self._process is not None and self._process.is_idle:
            try:
                return await self._ask(self._process)
            except ConfigurationError as error:
                if error.faults:
                    raise
            except Exception as error:
                self._world.log.debug("configuration reader: {error!r}: asking a new one", error=error)
        if self._process is not None:
            self._process.kill()
        self._process = process = ReaderProcess(self._world)
        line = self._command()
        self._world.reactor.spawnProcess(process, line[0], line, env=None)
        return await self._ask(process)

    async def _ask(self, process: ReaderProcess) -> Loaded:
        key = secrets.token_bytes(KEY_BYTES)
        base, items = self._base
        reader = Reader(key, self._fingerprint, items)
        asked = request(key, self._paths, self._settings, base=base, stays=self._stays)
        answer = process.ask(asked, reader).addTimeout(self._timeout_s, self._world.reactor, self._too_late)
        loaded = await pump(self._world, self._answer(reader, *await answer))
        if self._stays:
            self._base = key, reader.items
        return loaded

    def _answer(self, reader: Reader, why: str, errors: bytes) -> Generator[None, None, Loaded]:
        text = errors.decode("utf-8", "replace").strip()
        if text:
            self._world.log.warn("configuration reader: {text}", text=text)
        try:
            return (yield from reader.slices())
        except ConfigurationError as error:
            if error.faults or not why:
                raise
            last = text.splitlines()[-1] if text else "it said nothing"
            raise ConfigurationError(f"configuration reader: {why}: {last}".rstrip(".")) from None

    def _too_late(self, result: Any, seconds: float) -> Any:
        raise ConfigurationError(f"configuration reader: no answer after {seconds:g} s")
