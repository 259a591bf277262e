"""A World whose time stands still until a test advances it; its sockets are real and are worked off by ``turn``."""

import math
import random
import select
import socket

from twisted.internet.task import Clock
from twisted.logger import Logger

from meshd.telemetry.metrics import Metrics
from meshd.testing.site import FakeTime
from meshd.wire.descriptor import Descriptor
from meshd.wire.wheel import Wheel
from meshd.wire.world import World

TURNS = 5000
STEPS = 40


class StillWorld(World):
    """``events`` holds what was logged, ``bugs`` those of them that have a traceback."""

    def __init__(self, seed=1):
        self.events = []
        time = Clock()
        super().__init__(time, FakeTime(time), random.Random(seed), Metrics(),
                         Logger(namespace="test", observer=self.events.append))
        self.wheel = Wheel(self.clock.now, self.call_later, self.log)
        self.poller.now = self.clock.now()

    @property
    def bugs(self):
        """Return the tracebacks."""
        return [event["log_failure"].getTraceback() for event in self.events if "log_failure" in event]

    def run(self, function, *args):
        """Run one piece of work as the reactor would, by the test's time."""
        poller = self.poller
        poller.now = poller.beat = self.clock.now()
        try:
            function(*args)
        finally:
            poller.beat = 0.0
            poller.settle()

    def batch(self):
        """Dispatch one batch; say whether there was anything."""
        events = self.poller.epoll.poll(0, 256)
        if events:
            self.run(self.poller.dispatch, events)
        return bool(events)

    def turn(self):
        """Work everything off; return the number of batches, which is TURNS where something never comes to rest."""
        count = 0
        while count < TURNS and self.batch():
            count += 1
        return count

    def advance(self, seconds):
        """Let time pass in small steps, working everything off after each."""
        for _ in range(STEPS):
            self.reactor.advance(seconds / STEPS)
            self.turn()

    def close(self):
        """Close the poller's own descriptor."""
        self.poller.epoll.close()


class Owner:
    """Records what a descriptor says; ``act`` maps an event's name to a callable run on it."""

    def __init__(self, **act):
        self.act = act
        self.said = []
        self.data = b""
        self.descriptor = None

    def note(self, word):
        """Record ``word`` and do what was asked for."""
        self.said.append(word)
        if word in self.act:
            self.act[word](self)

    def received(self, data):
        """Called by the descriptor."""
        self.data += data
        self.note("received")

    def received_eof(self):
        """Called by the descriptor."""
        self.note("eof")

    def drained(self):
        """Called by the descriptor."""
        self.note("drained")

    def lost(self, reason):
        """Called by the descriptor."""
        self.said.append(reason)
        self.note("lost")


def pair(small=False):
    """Return two connected sockets, neither of which blocks; ``small`` gives them small buffers."""
    ours, theirs = socket.socketpair()
    for sock in (ours, theirs):
        sock.setblocking(False)
        if small:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return ours, theirs


def describe(world, owner, small=False):
    """Return (Descriptor of ``owner``, the peer's socket)."""
    ours, theirs = pair(small)
    owner.descriptor = Descriptor(ours.detach(), world.poller, owner)
    return owner.descriptor, theirs


def take(sock, limit=1 << 30):
    """Return what is there to be read, at most ``limit`` bytes; b"" where nothing is."""
    parts = []
    while limit > 0:
        try:
            data = sock.recv(min(limit, 65536))
        except (BlockingIOError, ConnectionResetError):
            break
        if not data:
            break
        parts.append(data)
        limit -= len(data)
    return b"".join(parts)


def end_of(sock):
    """Return how the peer ended: ``open``, ``fin`` or ``reset``; what is there to be read is dropped."""
    try:
        while sock.recv(65536):
            pass
    except BlockingIOError:
        return "open"
    except ConnectionResetError:
        return "reset"
    return "fin"


def is_hung_up(sock):
    """Say whether the peer has closed wholly (not only its sending half)."""
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    return any(mask & (select.POLLHUP | select.POLLERR) for _, mask in poll.poll(0))


def slots(seconds):
    """Return ``seconds`` rounded up to the wheel's resolution and one slot on."""
    return math.ceil(seconds * 100) / 100 + 0.02
