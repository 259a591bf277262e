"""One message of a request protocol, as codecs (``IProtocolCodec``) and what proxies them see it."""

import attrs

REQUEST, ONEWAY, RESPONSE, HEARTBEAT, HEARTBEAT_ANSWER, SESSION, OTHER = range(7)
"""Kinds of frames. A ONEWAY has no response. A HEARTBEAT wants an answer of the next hop. A SESSION opens one: all that
follows on its connection belongs to it. OTHER is passed over."""

NO_ROUTE, UNAVAILABLE, TIMEOUT = "no_route", "unavailable", "timeout"
"""Why a request is refused: nothing takes it, nobody can be reached, or nobody answered in time."""


@attrs.define(eq=False)
class Frame:
    """``data`` is the frame as it came. ``id`` ties a response to its request on one connection, 0 where the protocol
    has none. ``is_error``: a response that tells of a failure; ``status`` says which, for metrics: from a small set.
    """

    kind: int
    data: bytes
    id: int = 0
    status: str = ""
    is_error: bool = False
