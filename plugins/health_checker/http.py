"""The health checker ``http``: one request to the endpoint, judged by its status, fields and body."""

from twisted.internet.defer import Deferred
from zope.interface import implementer

from meshd.api import (
    Boolean, Checked, Choice, Headers, Http2Client, IHealthChecker, Integer, ListOf, MapOf, ProtocolError, RequestHead,
    ResponseParser, Text, config, option,
)
from meshd_plugins.health_checker.part import address_of, has_all

STATUS = r"[1-5][0-9]{2}(-[1-5][0-9]{2})?"
IMMEDIATE, DEGRADED = b"x-envoy-immediate-health-check-fail", b"x-envoy-degraded"
SERVICE = b"x-envoy-upstream-healthchecked-cluster"
MAX_BODY_BYTES = 65536
"""So much of a body is kept for ``receive``."""
CONNECT_S = 3600.0  # the check's timeout comes first
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "TRACE")


@config
class HttpCheckOptions:
    """What is asked and expected; the words are Envoy's (HealthCheck.HttpHealthCheck)."""

    path: str = option(Text(minimum=1, pattern=r"/[!-~]*"), default="/", doc="path, with the query")
    host: str = option(Text(maximum=253, pattern=r"[!-~]*"), default="", doc="host field (absent: the cluster's name)")
    method: str = option(Choice(METHODS), default="GET", doc="method")
    request_headers_to_add: tuple[tuple[str, str], ...] = option(
        MapOf(value=Text(), key=Text(pattern=r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")), default=(), doc="more fields")
    expected_statuses: tuple[str, ...] = option(
        ListOf(item=Text(pattern=STATUS), maximum=100), default=("200",), doc="statuses or ranges (200-399) that pass")
    retriable_statuses: tuple[str, ...] = option(
        ListOf(item=Text(pattern=STATUS), maximum=100), default=(),
        doc="statuses or ranges that count towards unhealthy_threshold; others fail at once")
    receive: tuple[str, ...] = option(
        ListOf(item=Text(minimum=1), maximum=100), default=(), doc="texts that the body must have, in this order")
    service_name: str = option(
        Text(), default="", doc="how x-envoy-upstream-healthchecked-cluster of the answer must begin")
    reuse_connection: bool = option(Boolean(), default=True, doc="keep the connection for the next check")
    codec_client_type: str = option(
        Choice(("http1", "http2")), default="http1", doc="what is spoken; http2 is by prior knowledge")
    alt_port: int = option(Integer(maximum=65535), default=0, doc="ask this port of the endpoint (0: its own)")


def statuses(texts):
    """Return the statuses of a list of statuses and ranges."""
    found = set()
    for text in texts:
        first, _, last = text.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return frozenset(found)


@implementer(IHealthChecker)
class HttpChecker:
    """Asks; keeps one connection for each endpoint."""

    def __init__(self, options, site):
        self.options = options
        self.dial = site.dial
        self.expected = statuses(options.expected_statuses)
        self.retriable = statuses(options.retriable_statuses)
        self.kept = {}
        host = options.host or site.name
        fields = [(b"host", host.encode()), (b"user-agent", b"meshd/HealthCheck")]
        fields += [(name.lower().encode(), value.encode()) for name, value in options.request_headers_to_add]
        self.is_http2 = options.codec_client_type == "http2"
        if not options.reuse_connection and not self.is_http2:
            fields.append((b"connection", b"close"))
        if options.method in ("POST", "PUT"):
            fields.append((b"content-length", b"0"))
        line = f"{options.method} {options.path} HTTP/1.1".encode()
        self.request = line + Headers.of(*fields).raw + b"\r\n\r\n"
        self.head = RequestHead(options.method.encode(), options.path.encode(), host.encode(), 20, Headers.of(*fields))

    def check(self, endpoint):
        """Return a Deferred of Checked; it fails where nobody answers."""
        return Asking(self, address_of(endpoint.address, self.options.alt_port)).answer

    def stop(self):
        """Close what was kept."""
        while self.kept:
            self.kept.popitem()[1].close()

    def codec(self, sink):
        """Return what makes an answer of the bytes of a new connection."""
        return Http2Client(sink) if self.is_http2 else ResponseParser(sink)

    def send(self, codec, stream):
        """Ask."""
        if self.is_http2:
            codec.write = stream.send
            codec.ask(self.head)
        else:
            codec.expect(self.options.method.encode(), False)
            stream.send(self.request)

    def judge(self, head, body):
        """Return what an answer says."""
        options = self.options
        if IMMEDIATE in head.headers:
            reason = f"{IMMEDIATE.decode()} in the answer"
            return Checked(is_well=False, is_final=True, is_immediate=True, reason=reason)
        if head.status not in self.expected:
            is_final = head.status not in self.retriable
            return Checked(is_well=False, is_final=is_final, reason=f"status {head.status}")
        if not has_all(body, [text.encode() for text in options.receive]):
            return Checked(is_well=False, is_final=True, reason="the body has not what is expected")
        if options.service_name and not (head.headers.get(SERVICE) or b"").startswith(options.service_name.encode()):
            return Checked(is_well=False, is_final=True, reason=f"{SERVICE.decode()}: another service answers")
        return Checked(is_well=True, is_degraded=DEGRADED in head.headers)


class Kept:
    """A connection between two checks: it is dropped when the endpoint closes it, or says anything.

    HTTP/2 may say much; it is dropped when it takes no more requests.
    """

    def __init__(self, checker, address, stream, codec):
        self.checker, self.address, self.stream, self.codec = checker, address, stream, codec

    def close(self):
        """Nobody needs it any more."""
        self.stream.close()

    def lost(self, reason):
        """The endpoint has closed it."""
        self.checker.kept.pop(self.address, None)

    def received(self, data):
        """Nobody has asked."""
        if self.checker.is_http2:
            try:
                self.codec.receive(data)
            except ProtocolError:
                pass  # it is not usable any more
            if self.codec.is_usable:
                return
        self.close()
        self.lost("")


class Asking:
    """One check: the receiver of its connection, and the sink of its parser."""

    def __init__(self, checker, address):
        self.answer = Deferred(self._give_up)
        self._checker = checker
        self._address = address
        self._head = None
        self._body = b""
        self._has_answered = False
        kept = checker.kept.pop(address, None)
        self._is_again = kept is not None
        if kept is None:
            self._dial()
        else:
            self._parser = self._new_parser(kept)
            self._stream = kept.stream
            self._stream.receiver = self
            self.opened()

    def _new_parser(self, kept):
        if not self._checker.is_http2:
            return ResponseParser(self)
        kept.codec.sink = self
        return kept.codec

    def _dial(self):
        self._parser = self._checker.codec(self)
        self._stream = None
        checker = self._checker
        stream = checker.dial(self._address, self, CONNECT_S, checker.options.host or "")
        if self._stream is None and not self.answer.called:
            self._stream = stream

    def opened(self):
        """Ask."""
        self._checker.send(self._parser, self._stream)

    def received(self, data):
        """Part of the answer."""
        self._has_answered = True
        try:
            self._parser.receive(data)
        except ProtocolError as error:
            self._finish(Checked(is_well=False, is_final=True, reason=str(error)))

    def lost(self, reason):
        """The connection has ended: that may be the body's end, or a connection that was kept for too long."""
        if self._is_again and not self._has_answered:
            self._is_again = False
            self._dial()
            return
        try:
            self._parser.eof()
        except ProtocolError as error:
            reason = str(error)
        self._finish(Checked(is_well=False, reason=reason))

    def on_informational(self, head):
        """Not the answer yet."""

    def on_response(self, head):
        """The head of the answer."""
        self._head = head

    def on_body(self, data):
        """Part of its body."""
        if len(self._body) < MAX_BODY_BYTES:
            self._body += data

    def on_end(self, trailers):
        """It is whole."""
        checker, head = self._checker, self._head
        if checker.options.reuse_connection and head.keep_alive and not self.answer.called:
            stream, self._stream = self._stream, None
            kept = Kept(checker, self._address, stream, self._parser)
            stream.receiver = checker.kept[self._address] = kept
        self._finish(checker.judge(head, self._body))

    def _give_up(self, _):
        self._close()

    def _close(self):
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _finish(self, found):
        if not self.answer.called:
            self._close()
            self.answer.callback(found)
