"""The admin API's HTTP: twisted.web with bounds on bodies, connections and time; finds pages, writes replies."""

from typing import Any
from urllib.parse import parse_qs

from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from twisted.web import http
from zope.interface import implementer

from meshd.admin import team
from meshd.admin.guard import refusal
from meshd.admin.page import BadQuery, Page, Query, Reply, text
from meshd.admin.view import IWorker

log = Logger(namespace="meshd.admin")

MAX_BODY_BYTES = 65536
MAX_CONNECTIONS = 64
IDLE_S = 60.0
FRESH_S = 3.0
"""How long a drain waits for the question of a client that has connected."""
TOO_LARGE = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
FORM = "application/x-www-form-urlencoded"


@implementer(IPushProducer)
class Pieces:
    """Writes an iterator's pieces, one for each turn of the reactor and none while the client does not read."""

    def __init__(self, pieces: Any, request: "AdminRequest", reactor: Any) -> None:
        self._pieces = pieces
        self._request = request
        self._reactor = reactor
        self._call: Any = None

    def resumeProducing(self) -> None:
        """Go on (IPushProducer)."""
        if self._call is None:
            self._call = self._reactor.callLater(0, self._step)

    def pauseProducing(self) -> None:
        """Wait (IPushProducer)."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def stopProducing(self) -> None:
        """The client has gone (IPushProducer)."""
        self.pauseProducing()
        self._pieces.close()

    def _step(self) -> None:
        self._call = None
        try:
            piece = next(self._pieces, None)
        except Exception:
            log.failure("bug: page {path} failed while it was written", path=self._request.path.decode("latin-1"))
            self._request.unregisterProducer()
            self._request.loseConnection()  # a cut body must not look whole
            return
        if piece is None:
            self._request.unregisterProducer()
            self._request.finish()
            return
        self.resumeProducing()
        if piece:
            self._request.write(piece)


class AdminRequest(http.Request):
    """One request of the admin API."""

    _parsePOSTFormSubmission = False

    def gotLength(self, length: int | None) -> None:
        """Refuse a body that is announced too long (http.Request)."""
        self.received_bytes = 0
        self.is_refused = False
        super().gotLength(length)
        if length is not None and length > MAX_BODY_BYTES:
            self._refuse_body()

    def handleContentChunk(self, data: bytes) -> None:
        """Refuse a body that grows too long (http.Request)."""
        self.received_bytes += len(data)
        if self.received_bytes > MAX_BODY_BYTES:
            self._refuse_body()
        elif not self.is_refused:
            super().handleContentChunk(data)

    def _refuse_body(self) -> None:
        if not self.is_refused:
            self.is_refused = True
            self.channel.transport.write(TOO_LARGE)
            self.channel.transport.loseConnection()

    def process(self) -> None:
        """Answer (http.Request)."""
        if self.is_refused:
            return
        self.setHeader("x-content-type-options", "nosniff")
        self.setHeader("cache-control", "no-store")
        reason = refusal(self._field("host"), self._field("origin"), self._field("sec-fetch-site"), self._is_unix())
        if reason:
            self.reply(text(f"{reason}\n", 403))
            return
        page = self.channel.factory.pages.get(self.path.decode("latin-1"))
        if page is None:
            self.reply(text(f"page {self.path.decode('latin-1')!r}: unknown: expected one of those on /\n", 404))
        elif self.method.decode("latin-1") not in page.methods:
            self.setHeader("allow", ", ".join(page.methods))
            method = self.method.decode("latin-1")
            self.reply(text(f"{page.path}: method {method!r}: expected {page.methods[0]}\n", 405))
        else:
            self._render(page)

    def _field(self, name: str) -> str | None:
        return self.getHeader(name)

    def _is_unix(self) -> bool:
        return self.channel.factory.is_unix

    def _query(self) -> Query:
        values = parse_qs(self.uri.partition(b"?")[2].decode("latin-1"), keep_blank_values=True, max_num_fields=100)
        if self.method == b"POST" and (self._field("content-type") or "").partition(";")[0].strip() == FORM:
            body = self.content.read().decode("utf-8", "replace")
            values = parse_qs(body, keep_blank_values=True, max_num_fields=100) | values
        return Query(values)

    def _render(self, page: Page) -> None:
        try:
            query = self._query()
        except ValueError as error:
            self.reply(text(f"query: {error}\n", 400))
            return
        answer = maybeDeferred(self.channel.factory.render, page, query)
        answer.addErrback(self._failed, page)
        answer.addCallback(self.reply)
        answer.addErrback(lambda failure: log.failure("bug: page {path}", failure, path=page.path))

    def _failed(self, failure: Any, page: Page) -> Reply:
        if failure.check(BadQuery):
            return text(f"{page.path}: {failure.getErrorMessage()}\n", 400)
        log.failure("bug: page {path} failed", failure, path=page.path)
        return text(f"{page.path}: unexpected error: {failure.type.__name__}: the log has more\n", 500)

    def reply(self, reply: Reply) -> None:
        """Write one reply, unless the client has gone."""
        if self.finished or self._disconnected:
            return
        self.setResponseCode(reply.status)
        self.setHeader("content-type", reply.content_type)
        if isinstance(reply.body, bytes):
            self.setHeader("content-length", str(len(reply.body)))
            if self.method != b"HEAD":
                self.write(reply.body)
            self.finish()
        elif self.method == b"HEAD":
            self.finish()
        else:
            pieces = Pieces(reply.body, self, self.channel.factory.reactor)
            self.registerProducer(pieces, True)
            pieces.resumeProducing()


class AdminSite(http.HTTPFactory):
    """The factory of admin connections; ``pages`` may be added to while it runs."""

    noisy = False

    def __init__(self, daemon: Any, pages: Any, *, is_unix: bool, reactor: Any) -> None:
        super().__init__(timeout=IDLE_S, reactor=reactor)
        self.daemon = daemon
        self.pages: dict[str, Page] = {page.path: page for page in pages}
        self.is_unix = is_unix
        self.channels: set[AdminChannel] = set()

    def render(self, page: Page, query: Query) -> Any:
        """Return a Reply or a Deferred of one; of all workers, where there are several and the page is about them."""
        if page.path in team.SHARED and IWorker.providedBy(self.daemon):
            return team.render(self.daemon, page.path, query)
        return page.render(self.daemon, query)

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self.channels)

    @property
    def is_owing(self) -> bool:
        """Say whether somebody still waits for an answer."""
        return any(channel.is_owing for channel in self.channels)

    def startFactory(self) -> None:
        """Start no log and no clock of one (http.HTTPFactory)."""

    def stopFactory(self) -> None:
        """Nothing was started (http.HTTPFactory)."""

    def buildProtocol(self, addr: Any) -> Any:
        """Return the protocol of a connection, or None where there are too many (it is then closed)."""
        if self.connections >= MAX_CONNECTIONS:
            return None
        channel = AdminChannel()
        channel.requestFactory = AdminRequest
        channel.factory = self
        channel.site = self
        channel.timeOut = IDLE_S
        channel.callLater = self.reactor.callLater
        return channel

    def log(self, request: http.Request) -> None:
        """Write no access log (http.HTTPFactory)."""


class AdminChannel(http.HTTPChannel):
    """One admin connection, counted; a client that does not read what it asked for is cut after ``IDLE_S``."""

    _stall: Any = None
    _since = 0.0
    _is_silent = True

    def connectionMade(self) -> None:
        """Count it (IProtocol)."""
        self.factory.channels.add(self)
        self._since = self.factory.reactor.seconds()
        super().connectionMade()

    def dataReceived(self, data: bytes) -> None:
        """The client says something (IProtocol)."""
        self._is_silent = False
        super().dataReceived(data)

    @property
    def is_owing(self) -> bool:
        """Say whether an answer is to come, is on its way out, or will be asked for at once: it has just connected."""
        reactor = self.factory.reactor
        if self._is_silent:
            return reactor.seconds() - self._since < FRESH_S
        return bool(self.requests) or self.transport in reactor.getWriters()

    def connectionLost(self, reason: Any) -> None:
        """Count it off (IProtocol)."""
        self.factory.channels.discard(self)
        self._end_stall()
        super().connectionLost(reason)

    def pauseProducing(self) -> None:
        """The client takes nothing more for now (IPushProducer)."""
        super().pauseProducing()
        if self._stall is None:
            self._stall = self.callLater(IDLE_S, self.forceAbortClient)

    def resumeProducing(self) -> None:
        """The client has taken everything (IPushProducer)."""
        self._end_stall()
        super().resumeProducing()

    def _end_stall(self) -> None:
        stall, self._stall = self._stall, None
        if stall is not None and stall.active():
            stall.cancel()
