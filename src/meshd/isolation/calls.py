"""The calls of one isolated filter that have no answer yet, whichever child they are in; owned by ``Isolate``.

At most ``max_pending`` of them, each for ``timeout_s`` at most (while the child waits for a request's body, the
client's own timeouts apply). What a child answers is applied to the exchange here.
"""

import math
from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred

from meshd.api import CONTINUE, STOP, PluginError
from meshd.isolation.measure import Measures
from meshd.isolation.message import (
    HOOKS, MAX_BODY_BYTES, MAX_FRAME_BYTES, REQUEST, Answer, Ask, Body, Call, Drop, Raised, encode,
)
from meshd.isolation.process import Process
from meshd.isolation.view import apply, call_of


class Pending:
    """A call that is in ``process``, or waits for one (then ``payload`` is kept)."""

    __slots__ = ("number", "phase", "exchange", "asked", "deadline", "deferred", "process", "payload")

    def __init__(self, number: int, phase: int, exchange: Any, asked: float, timeout_s: float, drop: Any) -> None:
        self.number = number
        self.phase = phase
        self.exchange = exchange
        self.asked = asked
        self.deadline = asked + timeout_s
        self.deferred: Deferred = Deferred(lambda _: drop(number))
        self.process: Process | None = None
        self.payload = b""

    def fail(self, error: PluginError) -> None:
        """Let the chain give the filter's ``on_error`` answer."""
        if not self.deferred.called:
            self.deferred.errback(error)


class Calls:
    """``limits`` is the model's ``Isolation``; ``name`` the instance's."""

    def __init__(self, name: str, limits: Any, world: Any, measures: Measures) -> None:
        self.pending: dict[int, Pending] = {}
        self._name = name
        self._limits = limits
        self._world = world
        self._measures = measures
        self._numbers = 0

    def __len__(self) -> int:
        return len(self.pending)

    def ask(self, process: Process | None, part: int, phase: int, exchange: Any) -> Deferred:
        """Make a call, now or when there is a process; raises PluginError where no more can wait."""
        if len(self.pending) >= self._limits.max_pending:
            raise self.refusal(phase, f"{len(self.pending)} calls are waiting: expected less than max_pending")
        self._numbers += 1
        now = self._world.clock.now()
        pending = Pending(self._numbers, phase, exchange, now, self._limits.timeout_s, self.drop)
        pending.payload = self._packed(call_of(pending.number, part, phase, exchange))
        if process is not None:
            self._hand(pending, process)
        self.pending[pending.number] = pending
        return pending.deferred

    def tell(self, process: Process | None, part: int, phase: int, exchange: Any) -> None:
        """Call a hook whose answer nobody waits for; it is lost where no child is there to take it."""
        if process is None or not process.channel.send(self._packed(call_of(0, part, phase, exchange))):
            self._measures.refused(HOOKS[phase])

    def refusal(self, phase: int, why: str) -> PluginError:
        """Count a call that is not made; return what to raise."""
        self._measures.refused(HOOKS[phase])
        return PluginError(why, plugin=self._name)

    def hand_over(self, process: Process) -> None:
        """Make the calls that waited for a process."""
        for pending in self.of(None):
            try:
                self._hand(pending, process)
            except PluginError as error:
                self._take(pending.number)
                pending.fail(error)

    def of(self, process: Process | None) -> list[Pending]:
        """Return the calls that are in ``process``; None: in none yet."""
        return [one for one in self.pending.values() if one.process is process]

    def oldest(self, process: Process) -> float | None:
        """Return when the oldest call in ``process`` was made; None where there is none."""
        return next((one.asked for one in self.pending.values() if one.process is process), None)

    def fail(self, calls: Iterable[Pending], why: str) -> None:
        """Give up calls."""
        for pending in calls:
            self._take(pending.number)
            pending.fail(PluginError(why, plugin=self._name))

    def expire(self, now: float) -> None:
        """Give up calls that have waited too long."""
        for pending in [one for one in self.pending.values() if one.deadline <= now]:
            self.drop(pending.number)
            pending.fail(PluginError(f"no answer within {self._limits.timeout_s:g} s", plugin=self._name))

    def drop(self, number: int) -> None:
        """Nobody waits for it any more: the child need not go on with it."""
        pending = self._take(number)
        if pending is not None and pending.process is not None and not pending.process.is_gone:
            pending.process.channel.send(encode(Drop(number)))

    # What a child says

    def on_answer(self, process: Process, message: Answer) -> None:
        """Apply what a hook did, and let the chain go on."""
        pending = self._taken(process, message.id)
        if pending is None:
            return
        changes, is_request = message.changes, pending.phase == REQUEST
        self._measures.observe(HOOKS[pending.phase], self._world.clock.now() - pending.asked)
        has_reply = changes is not None and changes.reply is not None
        try:
            if is_request and message.is_stop and not has_reply:
                raise ValueError("on_request answered STOP: expected a reply before it")
            if changes is not None:
                apply(changes, pending.exchange, is_request)
        except ValueError as error:
            pending.fail(PluginError(str(error), plugin=self._name))
            return
        if not pending.deferred.called:
            pending.deferred.callback(STOP if has_reply else CONTINUE)

    def on_raised(self, process: Process, message: Raised) -> None:
        """Give the ``on_error`` answer."""
        pending = self._taken(process, message.id)
        if pending is not None:
            pending.fail(child_error(message, self._name))

    def on_ask(self, process: Process, message: Ask) -> None:
        """Read the request's body for a hook."""
        pending = self.pending.get(message.id)
        if pending is None or pending.process is not process:
            return
        if pending.phase != REQUEST or pending.deadline == math.inf or message.limit < 0:
            process.kill("it asked for a body that it cannot have")
            return
        pending.deadline = math.inf
        pending.exchange.read_body(min(message.limit, MAX_BODY_BYTES)).addCallback(self._on_body, pending)

    def _on_body(self, data: bytes | None, pending: Pending) -> None:
        if pending.number in self.pending and pending.process is not None:
            pending.deadline = self._world.clock.now() + self._limits.timeout_s
            pending.process.channel.send(encode(Body(pending.number, data)))

    def _taken(self, process: Process, number: int) -> Pending | None:
        """Return the call that a child has answered; a call that is in another one is none of its business."""
        pending = self.pending.get(number)
        return self._take(number) if pending is not None and pending.process is process else None

    def _take(self, number: int) -> Pending | None:
        """Return a call that is over; None where it was over before."""
        pending = self.pending.pop(number, None)
        if pending is not None and pending.process is not None:
            pending.process.call_ended()
        return pending

    def _packed(self, call: Call) -> bytes:
        payload = encode(call)
        if len(payload) > MAX_FRAME_BYTES:
            raise self.refusal(call.phase, f"head and metadata have {len(payload)} bytes: expected {MAX_FRAME_BYTES}")
        return payload

    def _hand(self, pending: Pending, process: Process) -> None:
        if not process.channel.send(pending.payload):
            raise self.refusal(pending.phase, "its child process does not read what it is sent")
        pending.process, pending.payload = process, b""
        process.calls += 1


def child_error(message: Raised, plugin: str) -> PluginError:
    """Return what a hook raised in the child, its traceback as a note."""
    error = PluginError(f"{message.kind}: {message.text}", plugin=plugin)
    error.add_note(f"in the child process:\n{message.trace}")
    return error
