"""The next generation of a daemon that is one process: started, waited for, and given the listening sockets.

``Generations.upgrade`` is what a reload asks for when other code is installed than runs here (``runtime/reload.py``),
and what ``POST /upgrade`` asks for in any case. How sockets pass on stands in ``meshd.host.handover``.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from zope.interface import implementer

from meshd.errors import MeshdError
from meshd.host import handover, waiter
from meshd.host.handover import READY_TIMEOUT_S, Heir, Testament

log = Logger(namespace="meshd.generation")

LOOK_S = 0.25
"""How often it is looked whether the generation before has ended, where something waits for that."""


def command_line(arguments: list[str]) -> list[str]:
    """Return the command of a daemon with these arguments, by whatever Python and meshd are installed then."""
    return [sys.executable, "-P", "-m", "meshd.cli.daemon", *arguments]


@implementer(IReadDescriptor)
class Answer:
    """Waits for the heir's word; ``done`` gets the heir, or fails with MeshdError."""

    def __init__(self, reactor: Any, heir: Heir) -> None:
        self.done: Deferred = Deferred(lambda _: self.give_up("it was not wanted any more"))
        self._reactor = reactor
        self._heir = heir
        self._late = reactor.callLater(READY_TIMEOUT_S, self.give_up, f"it did not serve in {READY_TIMEOUT_S:g} s")
        reactor.addReader(self)

    def fileno(self) -> int:
        """Return the pipe (IFileDescriptor)."""
        return self._heir.ready_fd

    def logPrefix(self) -> str:
        """Name this for Twisted's log (ILoggingContext)."""
        return "meshd.generation"

    def connectionLost(self, reason: Any) -> None:
        """Called by the reactor when it is torn down."""

    def doRead(self) -> None:
        """The heir has said something, or ended (IReadDescriptor)."""
        if not self._heir.read():
            return
        if self._heir.fault:
            self.give_up(self._heir.fault)
            return
        self._end()
        self._heir.close()
        self.done.callback(self._heir)

    def _end(self) -> None:
        self._reactor.removeReader(self)
        if self._late.active():
            self._late.cancel()

    def give_up(self, why: str) -> None:
        """End the heir."""
        self._end()
        self._heir.give_up()
        self.done.errback(MeshdError(f"upgrade: the new generation failed: {why}"))


class Generations:
    """``sockets()`` lists what is handed over; ``on_heir(pid)`` is called when the heir serves, ``retry()``
    when what was refused because of an older generation can be asked again.

    ``testament`` is what this process got from the generation before. ``arguments`` are those of the command line.
    """

    def __init__(
        self, reactor: Any, arguments: list[str], testament: Testament, *, sockets: Callable[[], handover.Listening],
        on_heir: Callable[[int], None], retry: Callable[[], None],
    ) -> None:
        self.heir: Heir | None = None
        self._reactor = reactor
        self._arguments = arguments
        self._testament = testament
        self._sockets = sockets
        self._on_heir = on_heir
        self._retry = retry
        self._is_waiting = False
        self._is_starting = False
        self._main_read: int | None = None

    def upgrade(self, why: str) -> Deferred:
        """Start the next generation; the Deferred gets its pid when it serves, or fails with MeshdError."""
        if self.heir is not None or self._is_starting:
            return fail(MeshdError("upgrade: a new generation has been started already"))
        if not self._testament.is_alone():
            self._wait()
            return fail(MeshdError("upgrade: the generation before still drains: a reload follows when it has ended"))
        log.info("upgrade: {why}: starting a new generation", why=why)
        try:
            heir = self._begin()
        except OSError as error:
            return fail(MeshdError(f"upgrade: the new generation cannot be started: {error.strerror}"))
        self._is_starting = True
        return Answer(self._reactor, heir).done.addBoth(self._answered)

    def _wait(self) -> None:
        if not self._is_waiting:
            self._is_waiting = True
            self._reactor.callLater(LOOK_S, self._look)

    def _look(self) -> None:
        if self._testament.is_alone():
            self._is_waiting = False
            self._retry()
        else:
            self._reactor.callLater(LOOK_S, self._look)

    def serves(self) -> None:
        """This process serves: say so to the generation before, and to the process that waits for all of them."""
        waiter.announce(self._testament.fd("main"), os.getpid())
        self._testament.say()

    def _begin(self) -> Heir:
        main = self._testament.fd("main")
        made = None
        if main is None:
            self._main_read, main = made = os.pipe2(os.O_CLOEXEC)
        try:
            return handover.begin(command_line(self._arguments), self._sockets(), {"main": main}, os.environ)
        finally:
            if made is not None:
                os.close(made[1])

    def _answered(self, result: Any) -> Any:
        self._is_starting = False
        if not isinstance(result, Heir):
            if self._main_read is not None:
                os.close(self._main_read)
                self._main_read = None
            return result
        self.heir = result
        self._on_heir(result.pid)
        return result.pid

    def signal(self, number: int) -> bool:
        """Pass a signal on to the heir; say whether there is one."""
        if self.heir is None:
            return False
        try:
            os.kill(self.heir.pid, number)
        except ProcessLookupError:
            pass
        return True

    def wait(self) -> None:
        """After the drain of a first generation: become the process that waits for its heirs. Returns only if not so.

        systemd follows the heir by itself (MAINPID); whoever else started this process knows no other one.
        """
        if self.heir is None or self._main_read is None:
            return
        waiter.adopt_orphans()
        os.set_inheritable(self._main_read, True)
        os.execv(sys.executable, [
            sys.executable, "-P", "-m", "meshd.host.waiter", str(self.heir.pid), str(self._main_read)])
