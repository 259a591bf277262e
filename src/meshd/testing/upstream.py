"""An upstream that answers as it is told and remembers what came; real sockets, a thread for each connection.

    api = Upstream(200, body=b"hi")                      # always the same
    api = Upstream([503, RESET, Response(body=b"hi")])   # in turn; the last goes on
    api = Upstream(lambda request: request.body)         # made of each request

An answer is a status, a body (text or bytes), a ``Response``, ``Raw`` bytes, ``RESET``, ``CLOSE`` or ``NEVER``.
"""

import http.client
import threading
from collections.abc import Callable, Iterable
from typing import Any

import attrs

from meshd.testing.field import Fields, fields_of, lines_of, pairs_of
from meshd.testing.server import Peer, Server

LIMIT_S = 10.0
BODILESS = (204, 304)


@attrs.frozen
class Request:
    """A request that came whole. ``connection`` counts from 1; ``head`` is as it was written."""

    method: str
    target: str
    headers: Fields
    body: bytes
    connection: int
    head: bytes = attrs.field(repr=False)

    @property
    def path(self) -> str:
        """The target up to its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """What follows the question mark."""
        return self.target.partition("?")[2]


@attrs.frozen
class Response:
    """One answer. ``delay_s`` passes before its first byte.

    ``cut_at``: the connection ends after so many bytes of the body. ``is_chunked``: without a length. ``is_last``: the
    connection is closed afterwards. ``then(peer)`` has the connection after the head of a 101, and ends it.
    """

    status: int = 200
    body: bytes = b""
    headers: Any = ()
    delay_s: float = 0.0
    cut_at: int | None = None
    is_chunked: bool = False
    is_last: bool = False
    then: Callable[[Peer], Any] | None = None


@attrs.frozen
class Raw:
    """Bytes that are sent as they are; the connection stays unless ``is_last``."""

    data: bytes
    is_last: bool = False


@attrs.frozen
class Silent:
    """No answer: ``RESET`` and ``CLOSE`` end the connection, ``NEVER`` waits until the proxy does."""

    ending: str


RESET = Silent("reset")
CLOSE = Silent("close")
NEVER = Silent("never")


class Upstream(Server):
    """A server of loopback; ``address`` goes into the configuration, ``requests`` are what came, in order.

    ``script`` is an answer, a list of answers (the last is repeated), or a function of the Request that returns one.
    ``body`` and ``headers`` belong to a script that is a status. ``close`` raises what the function raised.
    """

    def __init__(
        self, script: Any = None, *, status: int = 200, body: str | bytes = b"", headers: Any = (),
    ) -> None:
        self.requests: list[Request] = []
        self._faults: list[BaseException] = []
        self._come = threading.Condition()
        self._is_over = threading.Event()
        if script is None or isinstance(script, int):
            script = Response(status if script is None else script, _bytes(body), headers)
        self._answer = script if callable(script) else Turns(script if isinstance(script, list) else [script])
        super().__init__(self._talk)

    def wait(self, count: int, *, limit_s: float = LIMIT_S) -> list[Request]:
        """Return the requests once at least ``count`` have come; AssertionError where they do not."""
        with self._come:
            if not self._come.wait_for(lambda: len(self.requests) >= count, limit_s):
                raise AssertionError(f"upstream: {len(self.requests)} requests in {limit_s:g} s, expected {count}")
            return list(self.requests)

    def close(self) -> None:
        """End all connections and threads; raises what the script's function raised first."""
        self._is_over.set()
        super().close()
        faults, self._faults = self._faults, []
        if faults:
            raise faults[0]

    def _talk(self, peer: Peer) -> None:
        goes_on = True
        while goes_on:
            request = self._read(peer)
            goes_on = self._say(peer, self._next(request), request.method)

    def _read(self, peer: Peer) -> Request:
        head = peer.head()
        line, *lines = head[:-4].split(b"\r\n")
        method, target, _ = line.decode("latin-1").split(" ", 2)
        request = Request(method, target, Fields(fields_of(lines)), peer.body(head), peer.number, head)
        with self._come:
            self.requests.append(request)
            self._come.notify_all()
        return request

    def _next(self, request: Request) -> Any:
        try:
            return as_answer(self._answer(request))
        except Exception as error:  # the test's own function: its test fails by it
            self._faults.append(error)
            return Response(500, f"the upstream's script failed: {error!r}".encode(), is_last=True)

    def _say(self, peer: Peer, answer: Any, method: str) -> bool:
        """Send an answer; say whether the connection goes on."""
        if isinstance(answer, Silent):
            self._be_silent(peer, answer)
            return False
        if isinstance(answer, Raw):
            peer.send(answer.data)
            return not answer.is_last
        if answer.delay_s and self._is_over.wait(answer.delay_s):
            return False
        peer.send(composed(answer, method))
        if answer.then is not None:
            answer.then(peer)
        return answer.then is None and answer.cut_at is None and not answer.is_last

    @staticmethod
    def _be_silent(peer: Peer, answer: Silent) -> None:
        if answer is RESET:
            peer.reset()
        elif answer is NEVER:
            peer.wait_end()


class Turns:
    """Answers in turn, whatever the request; the last is given again and again."""

    def __init__(self, answers: Iterable[Any]) -> None:
        self._answers = [as_answer(answer) for answer in answers]
        if not self._answers:
            raise ValueError("upstream: no answer: expected at least one")
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Any:
        with self._lock:
            return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def as_answer(found: Any) -> Response | Raw | Silent:
    """Return what a status, a body or an answer means; raises TypeError on anything else."""
    if isinstance(found, Response | Raw | Silent):
        return found
    if isinstance(found, int):
        return Response(found)
    if isinstance(found, str | bytes):
        return Response(200, _bytes(found))
    raise TypeError(f"upstream: answer {found!r}: expected a status, a body, Response, Raw, RESET, CLOSE or NEVER")


def composed(answer: Response, method: str) -> bytes:
    """Return the bytes of a response to ``method``."""
    body = _bytes(answer.body)
    pairs = pairs_of(answer.headers)
    if answer.is_chunked:
        pairs.append((b"transfer-encoding", b"chunked"))
    elif answer.status >= 200 and answer.status not in BODILESS:
        pairs.append((b"content-length", b"%d" % len(body)))
    if answer.is_last:
        pairs.append((b"connection", b"close"))
    reason = http.client.responses.get(answer.status, "-").encode()
    head = b"HTTP/1.1 %d %b\r\n%b\r\n" % (answer.status, reason, lines_of(pairs))
    if method == "HEAD" or answer.status < 200 or answer.status in BODILESS:
        return head
    shown = body if answer.cut_at is None else body[:answer.cut_at]
    if answer.is_chunked:
        shown = (b"%x\r\n%b\r\n" % (len(shown), shown) if shown else b"") + (b"0\r\n\r\n" if shown == body else b"")
    return head + shown


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text
