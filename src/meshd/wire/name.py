"""An endpoint that is configured by a host name: its addresses, looked up when connections are opened; used by pools.

Strategy: nothing is looked up ahead. The first connection waits for the answer; later ones use what is known, and once
it is older than ``FRESH_S`` a look-up runs beside them. A failed look-up keeps the last answer. Connections take the
addresses in turn.
"""

from collections.abc import Callable
from typing import Any

from meshd.wire.address import parse, split

FRESH_S = 30.0
"""How long an answer is used without asking again, in seconds (nginx's default for a resolver without a TTL)."""


class Name:
    """``text`` is HOST:PORT. ``world.resolve(host)`` gives a Deferred of a list of numeric addresses."""

    __slots__ = ("world", "host", "port", "targets", "asked", "is_asking", "waiting", "reason", "turn")

    def __init__(self, world: Any, text: str) -> None:
        self.world = world
        self.host, self.port = split(text)
        self.targets: list[tuple[int, Any]] = []
        self.asked = 0.0
        self.is_asking = False
        self.waiting: list[Callable[[], Any]] = []
        self.reason = ""
        self.turn = 0

    def ask(self, then: Callable[[], Any]) -> None:
        """Call ``then()`` once there is an answer or a reason why there is none: at once where addresses are known."""
        if not self.is_asking and (not self.targets or self.world.poller.now - self.asked > FRESH_S):
            self.look_up()
        if self.targets or not self.is_asking:
            then()
        else:
            self.waiting.append(then)

    def look_up(self) -> None:
        """Ask the resolver."""
        self.is_asking = True
        self.asked = self.world.poller.now
        self.world.resolve(self.host).addCallbacks(self.found, self.missing)

    def found(self, addresses: list[str]) -> None:
        """The resolver has answered; an empty answer counts as none."""
        targets = [parse(f"[{one}]:{self.port}" if ":" in one else f"{one}:{self.port}") for one in addresses]
        self.targets = targets or self.targets
        self.answer("" if targets else f"name {self.host!r} has no address")

    def missing(self, failure: Any) -> None:
        """The resolver has failed."""
        self.answer(f"name {self.host!r} cannot be resolved: {str(failure.value).lower()}")

    def answer(self, reason: str) -> None:
        """Tell all who wait."""
        self.is_asking = False
        self.reason = reason
        waiting, self.waiting = self.waiting, []
        for then in waiting:
            then()

    def next_target(self) -> tuple[int, Any] | None:
        """Return (family, sockaddr) for one more connection, None where nothing is known."""
        if not self.targets:
            return None
        self.turn = (self.turn + 1) % len(self.targets)
        return self.targets[self.turn]
