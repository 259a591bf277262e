"""From one runtime's listeners to the next one's: everything is bound before anything is touched."""

from collections.abc import Iterable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, gatherResults

from meshd.downstream.listener import LiveListener
from meshd.downstream.live_chain import LiveChain
from meshd.runtime.runtime import Runtime


@attrs.define(eq=False)
class Swap:
    """``kept`` serve on, ``moved`` (old, new) pass their socket on to another name, ``bound`` are new, ``gone`` end.

    ``ending`` are (listener, chain) of chains that listeners which serve on have no more.
    """

    runtime: Runtime
    kept: list[LiveListener] = attrs.field(factory=list)
    moved: list[tuple[LiveListener, LiveListener]] = attrs.field(factory=list)
    bound: list[LiveListener] = attrs.field(factory=list)
    gone: list[LiveListener] = attrs.field(factory=list)
    ending: list[tuple[LiveListener, LiveChain]] = attrs.field(factory=list)

    @classmethod
    def plan(cls, runtime: Runtime, live: Iterable[LiveListener]) -> "Swap":
        """Return the swap to ``runtime``, its new listeners bound; raises MeshdError with nothing left bound."""
        swap = cls(runtime)
        left = {listener.spec.name: listener for listener in live}
        fresh = []
        for spec in runtime.snapshot.listeners:
            known = left.get(spec.name)
            if known is not None and _key(known.spec) == _key(spec):
                swap.kept.append(left.pop(spec.name))
            else:
                fresh.append(spec)
        try:
            for spec in fresh:
                swap._place(runtime.live(spec), left)
        except BaseException:
            swap.undo()
            raise
        swap.gone += left.values()
        return swap

    def _place(self, listener: LiveListener, left: dict[str, LiveListener]) -> None:
        """Give a new listener its address: from a listener that goes and has it, else from the system."""
        for name, old in left.items():
            if _key(old.spec) == _key(listener.spec):
                self.moved.append((left.pop(name), listener))
                return
        self.bound.append(listener)
        listener.bind()

    def undo(self) -> None:
        """Free what was bound and claimed."""
        for listener in (*self.bound, *(new for _, new in self.moved)):
            listener.close()

    def do(self) -> dict[str, LiveListener]:
        """Serve by the new runtime from the next request on; return its listeners by name. Nothing here can fail."""
        specs = {spec.name: spec for spec in self.runtime.snapshot.listeners}
        for listener in self.kept:
            name = listener.spec.name
            gone = self.runtime.renew(listener, specs[name])
            self.ending += [(listener, chain) for chain in gone]
        for old, new in self.moved:
            pass_socket(old, new)
        for listener in self.bound:
            listener.start()
        serving = {one.spec.name: one for one in (*self.kept, *(new for _, new in self.moved), *self.bound)}
        return {name: serving[name] for name in specs}

    def drain(self, deadline_s: float) -> Deferred:
        """Close the listeners and drain the chains that are gone; the Deferred fires when their connections have ended.
        """
        for listener in self.gone:
            if not listener.spec.is_udp:
                listener.take_last(True)  # of several workers too, whose supervisor has the socket a little longer
        closed = drain([*self.gone, *(old for old, _ in self.moved)], deadline_s)
        return gatherResults([closed, *(listener.drain_chain(chain, deadline_s) for listener, chain in self.ending)])


def _key(spec: Any) -> tuple[bool, str]:
    """Return what no two listeners have in common."""
    return spec.is_udp, spec.address


def pass_socket(old: LiveListener, new: LiveListener) -> None:
    """Let ``new`` accept on the socket of ``old``, whose open connections stay with it.

    Where the admin API has closed ``old``, ``new`` is closed too, as a listener that keeps its name would be.
    """
    if new.spec.is_udp:
        new.take_from(old)
        return
    new.local = old.local
    new.is_foreign = old.is_foreign
    if old.socket is None:
        return
    old.withdraw()
    new.socket, old.socket = old.socket, None
    if new.spec.backlog != old.spec.backlog:
        new.socket.listen(new.spec.backlog)
    new.start()


def drain(listeners: Iterable[LiveListener], deadline_s: float) -> Deferred:
    """Close ``listeners``; the Deferred fires when their connections have ended or were cut after ``deadline_s``."""
    waits = []
    for listener in listeners:
        listener.close()
        waits.append(listener.drain(deadline_s))
    return gatherResults(waits)
