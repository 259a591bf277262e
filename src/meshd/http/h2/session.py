"""The face of both engines: one HTTP/2 connection, seen from one side."""

from meshd.http.h2.code import CANCEL
from meshd.http.h2.settings import Settings
from meshd.http.h2.sink import Sink
from meshd.http.head import RequestHead, ResponseHead
from meshd.http.headers import Headers

BODY, HEAD, UPGRADE = range(3)  # kinds of answers

SERVER, CLIENT = "server", "client"
FAST, PURE, AUTO = "fast", "pure", "auto"


def start(role: str, settings: Settings, sink: Sink, engine: str = AUTO, clock=None) -> "Session":
    """Return a session that has its preface and SETTINGS ready for ``take``.

    ``engine``: ``fast`` (raises ImportError without ngh2), ``pure``, or ``auto``: fast where it can be had. ``clock``:
    a function that returns seconds, to tell premature resets from late ones; without it all count.
    """
    return engine_class(engine)(role, settings, sink, clock)


def engine_class(engine: str = AUTO):
    """Return the class of an engine; it is looked for once."""
    if not _classes:
        _classes[PURE] = _pure
        _classes[AUTO] = _pure
        try:
            from meshd.http.h2.fast import FastSession
        except ImportError as error:
            _classes[FAST] = error
        else:
            _classes[FAST] = _classes[AUTO] = FastSession
    found = _classes[engine]
    if found is _pure:
        from meshd.http.h2.pure import PureSession
        found = _classes[engine] = PureSession
    if isinstance(found, ImportError):
        raise ImportError(str(found)) from None
    return found


_pure = object()  # not imported yet: nothing is before it is needed
_classes = {}


class Session:
    """One connection. No method raises for what the peer did; what cannot be done any more is left undone.

    The owner hands every byte that arrives to ``receive``, and writes what ``take`` returns after each batch of calls,
    as long as its descriptor accepts output: what is not taken waits here, where ``queued`` and the watermarks count
    it. ``is_closed``: nothing more is read; write the last ``take``, then close. ``is_done``: ``finish`` was called,
    or (client side) the peer said GOAWAY, and no stream is open: the same.

    ``role``, ``settings``, ``last_stream_id`` (of the peer's requests) and, once the peer has sent SETTINGS,
    ``max_streams`` and ``allows_connect``: a request with ``upgrade`` needs the latter.
    """

    engine = ""
    """``fast`` or ``pure``."""

    def __init__(self, role: str, settings: Settings, sink: Sink, clock=None) -> None:
        self.role = role
        self.settings = settings
        self.sink = sink
        self.clock = clock
        self.is_closed = False
        self.last_stream_id = 0
        self.streams = {}

    def receive(self, data: bytes) -> None:
        """Take what the peer sent, and call the sink."""
        raise NotImplementedError

    def take(self) -> bytes:
        """Return what is to be written now, as flow control permits; may call the sink (``on_writable``,
        ``on_closed``, ``on_reset``)."""
        raise NotImplementedError

    def request(self, head: RequestHead, is_last: bool) -> int:
        """Begin a request (client side); return its stream, or 0 where ``can_request`` is False."""
        raise NotImplementedError

    def respond(self, stream_id: int, head: ResponseHead, is_last: bool) -> None:
        """Send a head: any number of 1xx, then the final one (server side). 101 grants an extended CONNECT."""
        raise NotImplementedError

    def send(self, stream_id: int, data: bytes, is_last: bool = False) -> int:
        """Queue bytes of a body (b"" to end it); return how many bytes of the stream wait.

        Above ``settings.write_high_bytes`` the caller should stop and wait for ``on_writable``.
        """
        raise NotImplementedError

    def trailers(self, stream_id: int, headers: Headers) -> None:
        """End a message with trailers, behind all that is queued."""
        raise NotImplementedError

    def queued(self, stream_id: int) -> int:
        """Return how many bytes of a stream's body were not yet taken."""
        raise NotImplementedError

    def consume(self, stream_id: int, count: int) -> None:
        """Give flow-control credit back for ``count`` bytes of ``on_body`` that have been passed on or dropped."""
        raise NotImplementedError

    def reset(self, stream_id: int, code: int = CANCEL) -> None:
        """End a stream at once, with all that is queued; does nothing to one that is closed.

        NO_ERROR after an answer that was ended here waits until that is out: the server needs no more of the request.
        """
        raise NotImplementedError

    def shut_down(self) -> None:
        """Say that the connection will end: GOAWAY with 2**31 - 1 (6.8). Requests are still taken.

        A client's has the last stream of the server's, which is 0.
        """
        raise NotImplementedError

    def finish(self, code: int = 0) -> None:
        """Say GOAWAY with the last stream that was taken; later ones are ignored, open ones go on."""
        raise NotImplementedError

    def abort(self, code: int, message: str = "") -> None:
        """End the connection with a GOAWAY: ``is_closed`` from now on. The sink is not told."""
        raise NotImplementedError

    def ping(self, payload: bytes = b"meshd\0\0\0") -> None:
        """Ask for an ``on_ping_ack``; ``payload`` is eight bytes."""
        raise NotImplementedError

    @property
    def can_request(self) -> bool:
        """Whether a request may begin now: the peer takes one more stream, and no GOAWAY was said."""
        raise NotImplementedError

    @property
    def open_streams(self) -> int:
        """How many streams are open, or have bytes that were not consumed."""
        return len(self.streams)


class Stream:
    """What a session keeps of one stream. ``is_told``: the sink knows it and is told of what happens.

    ``held``: bytes of its body that were not consumed. ``interim`` counts 1xx answers. ``kind`` is the answer's: 0 has
    a body, 1 has none (HEAD), 2 grants an upgrade.
    """

    __slots__ = ("begun", "held", "interim", "is_answered", "is_closed", "is_ended", "is_over", "is_told", "kind")

    def __init__(self, is_told: bool, kind: int, begun: float) -> None:
        self.is_told = is_told
        self.kind = kind
        self.begun = begun
        self.is_answered = self.is_over = self.is_ended = self.is_closed = False
        self.held = self.interim = 0
