"""Asks a proxy behind us for a tunnel by HTTP/1.1's CONNECT (RFC 9110 9.3.6), for a connection of TCP.

Strategy: the connection to the endpoint is ours until the proxy has agreed; what it sends behind its head is the first
of the server's bytes. Anything but 2xx is a connect that failed, so the next attempt may find another proxy.
"""

import re
from typing import Any

from meshd.errors import ProtocolError
from meshd.http import compose
from meshd.http.headers import Headers
from meshd.upstream.tunnel import head_of, note_fields
from meshd.wire.nobody import NOBODY, rest

HEAD_BYTES = 16384
"""Longest head of an answer that is read."""
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?\r\n")


class Tunnel:
    """``connection`` hears ``tunnelled(rest)`` or ``tunnel_failed(reason)``, once."""

    __slots__ = ("connection", "descriptor", "data", "timer", "timeout_s")

    def __init__(self, connection: Any, stream: Any) -> None:
        self.connection = connection
        self.descriptor = stream.descriptor
        self.data = b""
        self.timeout_s = stream.cluster.spec.connect_timeout_s
        self.timer = connection.world.wheel.timer(self.on_timer)
        self.timer.arm(connection.poller.now + self.timeout_s)
        self.descriptor.owner = self

    def begin(self) -> None:
        """Ask."""
        session = self.connection.session
        try:
            head = head_of(session.plan.tunnel, session, b"http")
        except ProtocolError as error:
            self.end(str(error))
        else:
            self.descriptor.send(compose.request_head(head))

    def received(self, data: bytes) -> None:
        """Part of the answer's head."""
        self.data += data
        end = self.data.find(b"\r\n\r\n")
        found = _STATUS.match(self.data)
        while end >= 0 and found is not None and found[1] < b"200":  # as many as one likes
            self.data = self.data[end + 4 :]
            end = self.data.find(b"\r\n\r\n")
            found = _STATUS.match(self.data)
        if end < 0:
            if len(self.data) > HEAD_BYTES:
                self.end("the proxy's answer has no end")
        elif found is None:
            self.end("the proxy's answer is no HTTP/1.1")
        elif found[1] < b"300":
            session = self.connection.session
            note_fields(session.plan.tunnel, session, Headers(self.data[found.end() - 2 : end]))
            self.end("")
        else:
            self.end(f"the proxy answered {found[1].decode()}")

    def received_eof(self) -> None:
        """It ends without an answer."""
        self.end("the proxy closed the connection")

    def lost(self, reason: str) -> None:
        """It broke."""
        self.end(reason)

    def drained(self) -> None:
        """The request is on its way."""

    def on_timer(self, now: float) -> None:
        """No answer."""
        self.end(f"the proxy did not answer within {self.timeout_s:g} s")

    def on_bug(self) -> None:
        """Something raised while it was told."""
        self.end("internal error")

    def end(self, reason: str) -> None:
        """Say how it went; "" for well."""
        connection, self.connection = self.connection, None
        if connection is None:
            return
        rest(self.timer)
        self.descriptor.owner = NOBODY
        if reason:
            connection.tunnel_failed(f"tunnel: {reason}")
        else:
            connection.tunnelled(self.data[self.data.index(b"\r\n\r\n") + 4 :])

    def cancel(self) -> None:
        """The client has gone."""
        self.connection = None
        rest(self.timer)
        self.descriptor.owner = NOBODY
