"""The poller: one epoll set of our own, in which Twisted's reactor waits too.

Strategy: Twisted's reactor pays several microseconds for each event that it dispatches. All traffic sockets
stand in this set instead, and a batch of events is dispatched in one tight loop. The set of the reactor, with its
signals and the admin API, is one member of ours: where the reactor would wait, we wait, and it looks for its own
events when its set is ready (nested the other way round, each wake cost two system calls more, and a lone request a
quarter more CPU). A reactor that is not Twisted's of epoll has us as a reader. It and its timers get their turn after a
slice, and where events take long (a filter that computes) batches become shorter, down to one event. A descriptor
number is closed only after the batch in which it was given up, so no event can reach a stranger that got the same
number.
"""

import os
import select
import time
from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from zope.interface import classImplements

READ = select.EPOLLIN
WRITE = select.EPOLLOUT
GONE = select.EPOLLHUP | select.EPOLLERR

BATCH = 64
"""Most events between two looks at the clock: at 100 microseconds for a read and write of 64 KiB, within the slice."""
ROUNDS = 64
SLICE_S = 0.005
"""How long the poller keeps the reactor from its timers while traffic keeps coming, in seconds."""


class Poller:
    """Dispatches epoll events to owners: objects with ``on_event(mask)``.

    ``now`` is the monotonic time of the current batch in seconds; ``beat`` is the same while a batch runs and 0.0 while
    the reactor may sleep (the watchdog reads it). ``batch`` is how many events are taken at once, by how long the last
    ones took. ``turn(timeout)`` is the reactor's own way to wait, None where we are its reader; ``is_called``: it is
    to look for events of its own.
    """

    __slots__ = ("reactor", "epoll", "owners", "closing", "unsent", "now", "beat", "log", "batch", "turn", "is_called")

    def __init__(self, reactor: Any, log: Any) -> None:
        self.reactor = reactor
        self.epoll = select.epoll()
        self.owners: dict[int, Any] = {}
        self.closing: list[int] = []
        self.unsent: list[Any] = []
        self.now = time.monotonic()
        self.beat = 0.0
        self.log = log
        self.batch = BATCH
        self.turn: Any = None
        self.is_called = False

    def start(self) -> None:
        """Join the reactor: wait in its place from now on, or be one of its readers."""
        inner = getattr(self.reactor, "_poller", None)
        if isinstance(inner, select.epoll):
            self.register(inner.fileno(), READ, self)
            self.turn, self.reactor.doIteration = self.reactor.doIteration, self.iterate
        else:
            self.reactor.addReader(self)

    def stop(self) -> None:
        """Leave the reactor."""
        if self.turn is None:
            self.reactor.removeReader(self)
        else:
            self.turn = None
            del self.reactor.doIteration
            self.detach(self.reactor._poller.fileno())
        self.settle()

    def fileno(self) -> int:
        """Return the epoll set's own descriptor, for the reactor."""
        return self.epoll.fileno()

    def logPrefix(self) -> str:
        """Name this reader in the reactor's log context."""
        return "meshd"

    def connectionLost(self, reason: Any) -> None:
        """Called by the reactor when it is torn down."""

    def register(self, fd: int, mask: int, owner: Any) -> None:
        """Watch ``fd`` for ``mask``; events go to ``owner.on_event``."""
        self.owners[fd] = owner
        self.epoll.register(fd, mask)

    def modify(self, fd: int, mask: int) -> None:
        """Change what ``fd`` is watched for."""
        self.epoll.modify(fd, mask)

    def detach(self, fd: int) -> None:
        """Stop watching ``fd``, which stays open."""
        if self.owners.pop(fd, None) is not None:
            self.epoll.unregister(fd)

    def close(self, fd: int) -> None:
        """Stop watching ``fd`` and close it after the current batch."""
        self.detach(fd)
        self.closing.append(fd)
        if not self.beat:
            self.settle()

    def settle(self) -> None:
        """Write what was put off, then close what was given up."""
        while self.unsent:
            unsent, self.unsent = self.unsent, []
            for descriptor in unsent:
                try:
                    descriptor.write_queued()
                except Exception:
                    self.on_bug(descriptor)
        closing, self.closing = self.closing, []
        for fd in closing:
            os.close(fd)

    def iterate(self, timeout: float | None) -> None:
        """Wait for events, ours and the reactor's, for at most ``timeout`` seconds (None: for ever), and dispatch them.
        """
        self.work(self.epoll.poll(timeout, self.batch))
        if self.is_called and self.turn is not None:
            self.turn(0)

    def on_event(self, mask: int) -> None:
        """The reactor's own set is ready."""
        self.is_called = True

    def doRead(self) -> None:
        """Called by a reactor that waits itself."""
        self.work(self.epoll.poll(0, self.batch))

    def work(self, events: list[tuple[int, int]]) -> None:
        """Dispatch events and what comes meanwhile, until the reactor is called: after ``SLICE_S`` seconds it is
        anyway, as its own set may stand behind many that are ready.
        """
        self.is_called = False
        begin = self.now = self.beat = time.monotonic()
        for _ in range(ROUNDS):
            if not events:
                break
            before = self.now
            self.dispatch(events)
            now = self.now = self.beat = time.monotonic()
            if now - before > SLICE_S:
                self.batch = max(1, int(len(events) * SLICE_S / (now - before)))
            elif self.batch < BATCH:
                self.batch = min(BATCH, 2 * self.batch)
            if now - begin > SLICE_S:
                self.is_called = True
            if self.is_called:
                break
            events = self.epoll.poll(0, self.batch)
        self.beat = 0.0

    def dispatch(self, events: list[tuple[int, int]]) -> None:
        """Give each event to its owner; a bug in one costs only that one."""
        get = self.owners.get
        for fd, mask in events:
            owner = get(fd)
            if owner is not None:
                try:
                    owner.on_event(mask)
                except Exception:
                    self.on_bug(owner)
        if self.unsent or self.closing:
            self.settle()

    def on_bug(self, owner: Any) -> None:
        """An owner raised: log it and let the owner clean up, which may raise for the same reason."""
        self.log.failure("bug: unexpected error in {owner}", owner=type(owner).__name__)
        try:
            owner.on_bug()
        except Exception:
            self.log.failure("bug: unexpected error in the end of {owner}", owner=type(owner).__name__)


classImplements(Poller, IReadDescriptor)
