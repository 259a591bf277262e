"""One TCP connection as filters, balancers and sinks see it: an exchange without a request, from accept to its end."""

from collections.abc import Callable
from typing import Any

from zope.interface import classImplements

from meshd.api.connection import ISession, TcpPlan
from meshd.exchange.exchange import Exchange
from meshd.http.head import RequestHead
from meshd.http.headers import Headers

NO_PROTOCOL = 0
"""Version of the request that a connection of TCP has not got."""


class Session(Exchange):
    """See ``ISession``. ``request_bytes`` came from the client, ``response_bytes`` from the upstream;
    ``fresh_received`` and ``fresh_sent`` are those since sinks were last told. ``released`` are called at the end.
    """

    __slots__ = ("server_name", "fresh_received", "fresh_sent", "told_received", "told_sent", "released")

    def __init__(self, downstream: Any, chain: Any, now: float) -> None:
        super().__init__(downstream, chain, RequestHead(b"", b"", b"", NO_PROTOCOL, Headers()), now)
        self.fresh_received = self.fresh_sent = self.told_received = self.told_sent = 0
        self.released: list[Callable[[], Any]] = []
        self.server_name = ""

    def forward(self, plan: TcpPlan) -> None:
        """Connect to one of the plan's clusters, once the filter has returned: what that takes is not its time."""
        self.plan = plan

    def refuse(self, flag: int = 0, detail: str = "") -> None:
        """Close the client's connection (ISession)."""
        self.flags |= flag
        self.detail = self.detail or detail
        self.downstream.refuse()

    def serve(self, make: Callable[[Any], Any], idle_timeout_s: float = 3600.0) -> None:
        """Let what ``make(link)`` returns serve the client, once the filter has returned (ISession)."""
        self.plan = TcpPlan(idle_timeout_s=idle_timeout_s)
        self.downstream.make = make

    def tell(self, exchange: Any) -> None:
        """Tell the sinks of a request that this connection has carried (ISession)."""
        serving = self.downstream.listener.chain
        serving.tell(serving.complete_steps, "on_complete", exchange)

    def at_end(self, callback: Callable[[], Any]) -> None:
        """Call ``callback()`` when the connection has ended."""
        self.released.append(callback)

    def count(self, received: int, sent: int) -> bool:
        """Note what has been moved so far; say whether that is more than sinks know."""
        self.request_bytes, self.response_bytes = received, sent
        self.fresh_received, self.fresh_sent = received - self.told_received, sent - self.told_sent
        self.told_received, self.told_sent = received, sent
        return bool(self.fresh_received or self.fresh_sent)


classImplements(Session, ISession)
