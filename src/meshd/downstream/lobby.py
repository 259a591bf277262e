"""Where clients are let in only to be told that there is no room: opened when they have waited long enough.

Strategy: a client that is left in the accept queue cannot know how long. After a bounded wait it is let in as a guest:
its request is answered 503 at once and its connection closed. Guests are few at a time and stay for a moment only, so
that they live on the descriptors that are kept back (``wire/spare``) and leave most of them to the admin API.
"""

import os
import weakref
from typing import Any

import attrs

from meshd.downstream.protocol import CONNECTIONS
from meshd.hot import io
from meshd.wire import spare
from meshd.wire.poller import READ


STAY_S = 1.0
"""A guest's time for its request's head, and for taking the answer."""


class Lobby:
    """Stands for ``listener`` towards its guests' connections, and takes its events while it is open."""

    is_hasty = False
    is_keeping = False
    is_capturing = False

    def __init__(self, listener: Any) -> None:
        self.listener = weakref.proxy(listener)  # no circle: what a reload has frozen is freed by counts alone
        self.name = listener.name
        self.world = listener.world
        self.cells = listener.cells
        self.is_open = False
        self._is_watching = False
        self.whole: Any = None

    @property
    def edge(self) -> Any:
        """The chain's rules for heads."""
        return self.whole.edge

    def replace(self, whole: Any) -> None:
        """Tell the sinks of this live chain from now on, and take its limits; None where guests cannot be answered."""
        self.whole = whole
        if whole is not None:
            self.chain = whole.refusing
            timeouts = attrs.evolve(whole.spec.timeouts, headers_s=STAY_S, send_s=STAY_S, body_gap_s=STAY_S)
            self.spec = attrs.evolve(whole.spec, timeouts=timeouts)

    def open(self) -> None:
        """Let guests in from now on."""
        self.is_open = True
        self._watch()

    def close(self) -> None:
        """Let nobody in any more; the listener's socket is another's to watch."""
        self.is_open = False
        self._ignore()

    def on_event(self, mask: int) -> None:
        """Called by the poller: somebody wants in."""
        overload = self.world.overload
        while self._is_watching and overload.has_room:
            try:
                found = io.accept(self.listener.socket.fileno())
            except OSError as error:
                self.listener.on_accept_error(error)
                return self._ignore()
            if found is None:
                return
            self._admit(*found)
        self._ignore()

    def on_bug(self) -> None:
        """Beginning to serve a guest raised: the others are served all the same."""

    def _admit(self, fd: int, peer: str, client: str) -> None:
        self.cells.rejected.value += 1
        if fd >= spare.upstream_ceiling():
            os.close(fd)
            self._ignore()
            return
        if self.whole is None:  # what it speaks is not known yet, or is not HTTP
            os.close(fd)
            return
        self.world.overload.guests += 1
        self.listener.admit(fd, peer, client, self).drain()

    def connect(self, descriptor: Any, peer: str, client: str, local: str) -> Any:
        """Return the connection of a guest."""
        return CONNECTIONS[self.whole.speaks](self, descriptor, peer, client, local)

    @property
    def http2(self) -> Any:
        """What HTTP/2 connections share."""
        return self.whole.http2

    def swap(self, connection: Any, other: Any) -> None:
        """``other`` serves the guest from now on."""
        self.listener.swap(connection, other)

    def closed(self, connection: Any) -> None:
        """A guest has left: the next may come in."""
        if self.listener.closed(connection):
            self.world.overload.guests -= 1
            if self.is_open:
                self._watch()

    def tunnel_ended(self, connection: Any, exchange: Any) -> None:
        """Guests get no tunnel."""

    def keep(self) -> bool:
        """A guest's connection ends with its answer, which is counted as a rejection already."""
        return False

    def _watch(self) -> None:
        if not self._is_watching:
            self._is_watching = True
            self.world.poller.register(self.listener.socket.fileno(), READ, self)

    def _ignore(self) -> None:
        if self._is_watching:
            self._is_watching = False
            self.world.poller.detach(self.listener.socket.fileno())
