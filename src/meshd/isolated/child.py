"""``python -m meshd.isolated.child FD``: builds the objects of one filter and calls their hooks for the parent.

Strategy: a plain Twisted reactor, so hooks may return Deferreds and coroutines; its life is that of the socket. The
parent's signals are not its business: a TERM to the whole group must not end it before the parent's last request.
"""

import ctypes
import faulthandler
import inspect
import os
import resource
import signal
import socket
import sys
import traceback
from typing import Any

from twisted.internet import epollreactor
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.main import installReactor
from twisted.logger import globalLogBeginner

from meshd.api import CONTINUE, STOP, PluginError
from meshd.config.transfer import Unpickler
from meshd.isolated.exchange import IsolatedExchange
from meshd.isolated.link import Link
from meshd.isolated.registry import ChildRegistry
from meshd.isolated.site import ChildWorld, Lines, NoClusters, Reporter
from meshd.isolation.message import (
    COMPLETE, HOOKS, MAX_TEXT, REQUEST, Answer, Ask, Body, Call, Drop, Failed, Ping, Pong, Raised, Ready, Reopen,
    decode_opening,
)
from meshd.isolation.process import STACK_SIGNAL
from meshd.isolation.setup import Setup
from meshd.registry.entry import one_line
from meshd.runtime.assembly import Assembly
from meshd.runtime.site import Ground, finish
from meshd.runtime.state import Claims, StateTable

NOTE_S = 0.2
ENDING_S = 4.0
"""How long ``stop()`` of the objects may take."""
PR_SET_PDEATHSIG = 1
OOM_SCORE = 500
"""The kernel takes a child before it takes meshd."""


def main() -> int:
    """Serve one parent until it goes."""
    sock = socket.socket(fileno=int(sys.argv[1]))
    sock.set_inheritable(False)
    settle_signals()
    link = Link(sock)
    try:
        opening, payload = decode_opening(link.first()), link.first()
    except EOFError:
        return 0
    bound(opening.parent_pid, opening.memory_bytes)
    reactor = epollreactor.EPollReactor()
    installReactor(reactor)
    child = Child(link, reactor)
    reactor.callWhenRunning(child.begin, opening, payload)
    reactor.run(installSignalHandlers=False)
    return 0


def settle_signals() -> None:
    """Have no signals of the parent's, but the one that shows where a child blocks."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    faulthandler.enable()
    faulthandler.register(STACK_SIGNAL, all_threads=False)


def bound(parent_pid: int, memory_bytes: int) -> None:
    """Die with the parent, before it where memory runs out, and never grow past twice the limit."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        sys.exit(0)
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    wanted = 2 * memory_bytes
    wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, wanted))
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write(str(OOM_SCORE))
    except OSError:  # it was higher already
        pass


class Child:
    """The objects, and the calls of their hooks that have not returned."""

    def __init__(self, link: Link, reactor: Any) -> None:
        self._link = link
        self._reactor = reactor
        self._world = ChildWorld(reactor)
        self._lines = Lines()
        self._reporter = Reporter(self._lines, self._world.metrics)
        self._ground: Ground
        self._objects: list[Any] = []
        self._built: list[Any] = []
        self._running: dict[int, Deferred] = {}
        self._bodies: dict[int, Deferred] = {}
        self._is_ending = False
        self._heed = {Call: self._call, Body: self._body, Drop: self._drop, Ping: self._ping, Reopen: self._reopen}
        link.on_message = lambda message: self._heed[type(message)](message)
        link.on_end = self._end

    def begin(self, opening: Any, payload: bytes) -> None:
        """Load, build, start; then say that all is ready, or why it is not."""
        globalLogBeginner.beginLoggingTo([self._lines], redirectStandardIO=False)
        started = maybeDeferred(self._build, opening, payload)
        started.addCallback(lambda _: self._ready())
        started.addErrback(self._failed)
        self._link.begin(self._reactor)

    def _build(self, opening: Any, payload: bytes) -> Deferred:
        registry = ChildRegistry(opening)
        setup: Setup = Unpickler.loads(payload)
        assembly = Assembly(registry)
        self._world.node = setup.node
        self._ground = assembly.ground = Ground(
            self._world, node=setup.node, claims=Claims(StateTable()), environment=os.environ, build=assembly.build
        )
        self._ground.clusters = NoClusters()
        for part, owner in zip(setup.parts, setup.owners):
            self._objects.append(finish(assembly.build(part, owner, setup.name)))
        self._built = [one.made for one in assembly.built]
        starts = [one.start for one in self._built if callable(getattr(one, "start", None))]
        return gatherResults([maybeDeferred(start) for start in starts], consumeErrors=True)

    def _ready(self) -> None:
        self._link.send(Ready(tuple(
            tuple(callable(getattr(one, hook, None)) for hook in HOOKS) for one in self._objects
        )))
        self._report()

    def _failed(self, failure: Any) -> None:
        error = getattr(failure.value, "subFailure", failure).value
        self._link.send(Failed(one_line(error)))
        self._reactor.stop()

    def _report(self) -> None:
        """Send what has been logged and counted, again and again."""
        self._note()
        self._reactor.callLater(NOTE_S, self._report)

    def _note(self) -> None:
        note = self._reporter.note()
        if note is not None:
            self._link.send(note)

    # What the parent says

    def _call(self, call: Call) -> None:
        exchange = IsolatedExchange(call, lambda limit: self._ask(call.id, limit))
        try:
            answer = getattr(self._objects[call.part], HOOKS[call.phase])(exchange)
            if inspect.iscoroutine(answer):
                answer = Deferred.fromCoroutine(answer)
            if isinstance(answer, Deferred):
                self._wait(call, exchange, answer)
            else:
                self._answer(call, exchange, answer)
        except Exception as error:
            self._raised(call, error)

    def _wait(self, call: Call, exchange: Any, waiting: Deferred) -> None:
        if call.id:
            self._running[call.id] = waiting
        waiting.addCallback(lambda answer: self._answer(call, exchange, answer))
        waiting.addErrback(lambda failure: self._raised(call, failure.value))

    def _answer(self, call: Call, exchange: Any, answer: Any) -> None:
        self._running.pop(call.id, None)
        if call.phase == COMPLETE:
            return
        if call.phase == REQUEST and answer is not CONTINUE and answer is not STOP:
            what = "expected CONTINUE, STOP, a Deferred or a coroutine"
            raise PluginError(f"on_request returned {answer!r}: {what}")
        self._link.send(Answer(call.id, answer is STOP, exchange.changes()))

    def _raised(self, call: Call, error: BaseException) -> None:
        self._running.pop(call.id, None)
        trace = "".join(traceback.format_exception(error))[-MAX_TEXT:]
        self._link.send(Raised(call.id, type(error).__name__, str(error)[:MAX_TEXT], trace))

    def _ask(self, number: int, limit: int) -> Deferred:
        waiting = self._bodies[number] = Deferred()
        self._link.send(Ask(number, limit))
        return waiting

    def _body(self, message: Body) -> None:
        waiting = self._bodies.pop(message.id, None)
        if waiting is not None:
            waiting.callback(message.data)

    def _drop(self, message: Drop) -> None:
        self._bodies.pop(message.id, None)
        waiting = self._running.get(message.id)
        if waiting is not None:
            waiting.cancel()

    def _ping(self, message: Ping) -> None:
        self._link.send(Pong())

    def _reopen(self, message: Reopen) -> None:
        for callback in list(self._ground.reopeners):
            callback()

    # The end

    def _end(self) -> None:
        """The parent sends nothing more: stop the objects, send what is left, end."""
        if self._is_ending:
            return
        self._is_ending = True
        self._reactor.removeReader(self._link)
        stops = [one.stop for one in reversed(self._built) if callable(getattr(one, "stop", None))]
        ended = gatherResults([maybeDeferred(stop) for stop in stops], consumeErrors=True)
        ended.addErrback(lambda failure: self._world.log.failure("stop: failed", failure=failure.value.subFailure))
        ended.addTimeout(ENDING_S, self._reactor)
        ended.addBoth(lambda _: self._leave())

    def _leave(self) -> None:
        self._note()
        self._reactor.stop()


if __name__ == "__main__":
    sys.exit(main())
