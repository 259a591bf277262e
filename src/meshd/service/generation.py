"""The next generation of a daemon that is one process: started, waited for, and given the listening sockets.

``Generations.upgrade`` is what a reload asks for when other code is installed than runs here (``runtime/reload.py``),
and what ``POST /upgrade`` asks for in any case. How sockets pass on stands in ``meshd.host.handover``.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from zope.interface import implementer

from meshd.errors import MeshdError
from meshd.host import handover
from meshd.host.handover import READY_TIMEOUT_S, Heir
from meshd.host.lineage import Lineage

log = Logger(namespace="meshd.generation")

LOOK_S = 0.25
"""How often it is looked whether the generation before has ended, where something waits for that."""


@implementer(IReadDescriptor)
class Answer:
    """Waits for the heir's word; ``done`` gets "" when it has said all, else why it is waited for no longer."""

    def __init__(self, reactor: Any, heir: Heir) -> None:
        self.done: Deferred = Deferred()
        self._reactor = reactor
        self._heir = heir
        self._late = reactor.callLater(READY_TIMEOUT_S, self._too_late)
        reactor.addReader(self)

    def fileno(self) -> int:
        """Return the pipe (IFileDescriptor)."""
        return self._heir.ready_fd

    def logPrefix(self) -> str:
        """Name this for Twisted's log (ILoggingContext)."""
        return "meshd.generation"

    def connectionLost(self, reason: Any) -> None:
        """The heir has ended without a word, or the reactor is torn down."""
        if not self.done.called:
            self.end()

    def doRead(self) -> None:
        """The heir has said something, or ended (IReadDescriptor)."""
        if self._heir.read():
            self.end()

    def _too_late(self) -> None:
        self.end("" if self._heir.read() else f"it did not serve in {READY_TIMEOUT_S:g} s")

    def end(self, why: str = "") -> None:
        """Listen no more, before the pipe is closed: the reactor could not forget it after that."""
        self._reactor.removeReader(self)
        if self._late.active():
            self._late.cancel()
        self.done.callback(why)


class Generations:
    """``sockets()`` lists what is handed over; ``on_heir(pid)`` is called when the heir serves, ``retry()``
    when what was refused because of an older generation can be asked again.
    """

    def __init__(
        self, reactor: Any, lineage: Lineage, *, sockets: Callable[[], handover.Listening],
        on_heir: Callable[[int], None], retry: Callable[[], None],
    ) -> None:
        self._reactor = reactor
        self._lineage = lineage
        self._sockets = sockets
        self._on_heir = on_heir
        self._retry = retry
        self._is_waiting = False
        self._answer: Answer | None = None

    def upgrade(self, why: str) -> Deferred:
        """Start the next generation; the Deferred gets its pid when it serves, or fails with MeshdError."""
        is_alone, refusal = self._lineage.testament.is_alone(), self._lineage.refusal
        if refusal:
            if not is_alone:
                self._wait()
            return fail(MeshdError(refusal))
        log.info("upgrade: {why}: starting a new generation", why=why)
        try:
            heir = self._lineage.start(self._sockets(), {})
        except OSError as error:
            return fail(MeshdError(f"upgrade: the new generation cannot be started: {error.strerror}"))
        self._answer = Answer(self._reactor, heir)
        return self._answer.done.addCallback(self._answered, heir)

    def end(self) -> None:
        """This process ends: so does an heir that has been told to and has neither served nor ended yet."""
        if self._answer is not None:
            self._answer.end("the daemon has ended")

    def _answered(self, why: str, heir: Heir) -> int:
        self._answer = None
        fault = why or self._lineage.answered()
        if fault:
            self._lineage.give_up(heir)
            raise MeshdError(f"upgrade: the new generation failed: {fault}")
        self._on_heir(heir.pid)
        return heir.pid

    def _wait(self) -> None:
        if not self._is_waiting:
            self._is_waiting = True
            self._reactor.callLater(LOOK_S, self._look)

    def _look(self) -> None:
        self._is_waiting = False
        if self._lineage.testament.is_alone():
            self._retry()
        else:
            self._wait()
