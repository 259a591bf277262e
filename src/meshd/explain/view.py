"""The exchange that filters are shown: a real one whose answers are noted and go nowhere."""

from random import Random
from typing import Any

import attrs

from meshd.exchange.exchange import Exchange
from meshd.http.head import RequestHead
from meshd.wire.address import render


@attrs.frozen(kw_only=True)
class Answer:
    """A local reply that would be sent; ``flags`` are response flags."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    flags: int
    detail: str


class Ground:
    """Stands for the world where an exchange reaches for it: chance is fixed, numbers are not used up."""

    def __init__(self, world: Any) -> None:
        self.clock = world.clock
        self.log = world.log
        self.random = Random(0)

    def unique(self) -> int:
        """Return a number that no request has."""
        return 0


@attrs.frozen
class Named:
    """Stands for the live chain: an exchange asks for the listener's name."""

    name: str


class Downstream:
    """Stands for the client's connection: who is there, and nobody to answer."""

    def __init__(self, world: Any, listener: str, client: str, local: str, scheme: bytes) -> None:
        self.world = Ground(world)
        self.poller = world.poller
        self.listener = Named(listener)
        self.host = client
        self.host_bytes = client.encode("latin-1", "replace")
        self.forwarded = b"\r\nx-forwarded-for: %b\r\nx-forwarded-proto: %b" % (self.host_bytes, scheme)
        self.peer = render((client, 0))
        self.local = local
        self.id = 0


class View(Exchange):
    """``answered`` is the first reply, ``routed`` the head as it was when the route was found, or None."""

    __slots__ = ("answered", "routed")

    def __init__(self, downstream: Downstream, chain: Any, request: RequestHead) -> None:
        super().__init__(downstream, chain, request, downstream.poller.now)
        self.answered: Answer | None = None
        self.routed: RequestHead | None = None

    @property
    def route(self) -> Any:
        """The route, matched when first read (IExchange)."""
        if self.route_found is False:
            self.route_found = self.chain.match(self)
            self.routed = copied(self.request)
        return self.route_found

    def reply(self, status: int, body: bytes = b"", headers: Any = (), flag: int = 0, detail: str = "",
              content_type: bytes = b"text/plain") -> None:
        """Note what would be answered (IExchange)."""
        if self.answered is None:
            self.answered = Answer(status=status, body=body, headers=tuple(headers), flags=flag, detail=detail)

    def forward(self, plan: Any) -> None:
        """Note the plan (IExchange)."""
        self.plan = plan

    def transform_request(self, transform: Any) -> None:
        """There is no body to be transformed (IExchange)."""


def copied(head: RequestHead) -> RequestHead:
    """Return an independent copy of a request's head."""
    new = RequestHead(head.method, head.original_target, head.host, head.version, head.headers.copy())
    new.set_target(head.target)
    for name in ("scheme", "content_length", "upgrade", "expect_continue", "keep_alive"):
        setattr(new, name, getattr(head, name))
    return new
