"""One request of a protocol as balancers and sinks see it: like an exchange of HTTP."""

import re

from meshd.api import Headers, ProtocolError, RequestHead, ResponseHead, flag

NOT_HTTP = 0
"""The version of HTTP of a request that is none of its requests."""
STATUS = {flag.NR: 404, flag.UT: 504}
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
"""What no field of HTTP may have either: it would write lines of its own into logs."""


class View:
    """``request.headers`` are the codec's fields, ``protocol`` is its name. The response's status says for sinks how
    it went: 200, 500 for an error that the server tells of, 404, 503 or 504 for a refusal of ours.

    Raises ProtocolError.
    """

    plan = route = identity = None
    attempts = 1
    detail = failure = upstream_local = ""
    flags = stream_id = 0
    upstream_began = response_began = 0.0
    is_local_reply = False
    wanted = None

    def __init__(self, session, codec, frame, now, protocol=""):
        pairs = [(name, value) for name, value in codec.fields(frame) if value]
        for name, value in pairs:
            if _CONTROL.search(value):
                raise ProtocolError(f"{protocol}: {name.decode()}: a control character")
        known = dict(pairs)
        path = b"/".join((b"", *(known[name] for name in (b"service", b"method") if name in known)))
        self.protocol = protocol
        self.request = RequestHead(b"", path, b"", NOT_HTTP, Headers.of(*pairs))
        self.response = None
        self.session = session
        self.peer, self.client, self.local = session.peer, session.client, session.local
        self.listener, self.connection_id = session.listener, session.connection_id
        self.metadata = {}
        self.tried = ()
        self.cluster = self.endpoint = None
        self.started = self.request_ended = now
        self.ended = 0.0
        self.request_bytes = len(frame.data)
        self.response_bytes = 0

    def answered(self, frame, now):
        """The response is here."""
        self.response = ResponseHead(500 if frame.is_error else 200, Headers())
        self.detail = "via_upstream"
        self.response_bytes = len(frame.data)
        self.response_began = self.ended = now

    def session_ended(self, now):
        """A session is over that had an upstream."""
        self.response = ResponseHead(200, Headers())
        self.detail = "via_upstream"
        self.ended = now

    def refused(self, bit, reason, now):
        """It is not passed on, or nobody answered."""
        self.response = ResponseHead(STATUS.get(bit, 503), Headers())
        self.flags |= bit
        self.failure = self.detail = reason
        self.is_local_reply = True
        self.ended = now
