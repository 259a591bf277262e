"""What the parent and the child of an isolated filter say to each other, and how it is framed on their socketpair.

Each frame is its length in four bytes and a MessagePack array whose first element says what it is. The first two of
the parent are an ``Opening`` and a pickle (``meshd.isolation.setup``); the child trusts its parent. The parent trusts
nothing: what the child sends is decoded against the types below, is never unpickled, and what does not fit ends the
child. Names and values of HTTP are bytes, times are monotonic seconds.
"""

import struct
from typing import Any

import msgspec

REQUEST, RESPONSE, COMPLETE = range(3)
HOOKS = ("on_request", "on_response", "on_complete")

LENGTH = struct.Struct("!I")
MAX_FRAME_BYTES = 2 * 1024 * 1024
"""A call, an answer, a note; a setup may be larger."""
MAX_SETUP_BYTES = 256 * 1024 * 1024
MAX_BODY_BYTES = 1024 * 1024
"""Of a request that is read, or of a reply."""
MAX_METADATA_BYTES = 65536
MAX_TEXT = 8192


class Message(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An array on the wire."""


class RequestView(Message):
    """A ``RequestHead``; ``headers`` is the block of lines."""

    method: bytes
    target: bytes
    original_target: bytes
    host: bytes
    scheme: bytes
    version: int
    headers: bytes
    content_length: int
    upgrade: bytes | None
    expect_continue: bool
    keep_alive: bool


class ResponseView(Message):
    """A ``ResponseHead``."""

    status: int
    reason: bytes
    version: int
    headers: bytes
    content_length: int


class IdentityView(Message):
    """An ``Identity``."""

    name: str
    method: str
    claims: tuple[tuple[str, str], ...] = ()


class Facts(Message):
    """What else an exchange shows and nobody changes; see ``IExchange``. ``route`` is (name, virtual host)."""

    route: tuple[str, str] | None
    cluster: str | None
    endpoint: str | None
    attempts: int
    flags: int
    detail: str
    failure: str
    peer: str
    client: str
    local: str
    upstream_local: str
    listener: str
    connection_id: int
    stream_id: int
    started: float
    request_ended: float
    upstream_began: float
    response_began: float
    ended: float
    request_bytes: int
    response_bytes: int
    is_local_reply: bool


class Opening(Message, tag=0):
    """The parent's first frame: what to load before the pickle that follows can be read.

    ``entries`` are (entry point, distribution) of the plugins to load now, ``types`` (kind, type) -> place in ``known``
    of those that may be asked for later. ``fingerprint`` rows are the parent's (distribution, version, digest).
    """

    parent_pid: int
    memory_bytes: int
    dir: str | None
    entries: tuple[tuple[str, str], ...]
    known: tuple[tuple[str, str], ...]
    types: tuple[tuple[str, str, int], ...]
    fingerprint: tuple[tuple[str, str, str], ...]


class Call(Message, tag=1):
    """Call the hook ``phase`` of the object ``part``. ``metadata`` is MessagePack, b"" for an empty dict."""

    id: int
    part: int
    phase: int
    request: RequestView
    response: ResponseView | None
    identity: IdentityView | None
    metadata: bytes
    facts: Facts


class Body(Message, tag=2):
    """The request's body, for a call that asked; None: it is longer than the limit."""

    id: int
    data: bytes | None


class Drop(Message, tag=3):
    """Nobody waits for this call any more."""

    id: int


class Ping(Message, tag=4):
    """Say that you are alive."""


class Reopen(Message, tag=5):
    """SIGUSR1 came."""


class Ready(Message, tag=10):
    """Everything is built and started. ``phases``: for each part, which of the three hooks it has."""

    phases: tuple[tuple[bool, bool, bool], ...]


class Failed(Message, tag=11):
    """It cannot be built or started, and why, in one line."""

    reason: str


class ReplyView(Message):
    """The arguments of ``exchange.reply``."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    flag: int
    detail: str
    content_type: bytes


class Changes(Message):
    """What a hook did to its exchange; None or empty where nothing. ``metadata`` holds the changed keys only."""

    method: bytes | None = None
    target: bytes | None = None
    headers: bytes | None = None
    status: int | None = None
    response_headers: bytes | None = None
    is_identified: bool = False
    identity: IdentityView | None = None
    metadata: bytes = b""
    forgotten: tuple[str, ...] = ()
    clears_route: bool = False
    reply: ReplyView | None = None


class Answer(Message, tag=12):
    """A hook has returned: CONTINUE, or STOP."""

    id: int
    is_stop: bool
    changes: Changes | None


class Raised(Message, tag=13):
    """A hook has raised."""

    id: int
    kind: str
    text: str
    trace: str


class Ask(Message, tag=14):
    """A hook wants the request's body, up to ``limit`` bytes."""

    id: int
    limit: int


class Pong(Message, tag=15):
    """Alive."""


class Delta(Message):
    """How much one series has moved. ``counts`` are a histogram's buckets, ``amount`` then its total."""

    kind: str
    name: str
    doc: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...]
    values: tuple[str | None, ...]
    amount: float
    counts: tuple[int, ...] = ()


class Note(Message, tag=16):
    """Log lines (level, text) and moved series since the last one; ``lost`` lines did not fit."""

    lines: tuple[tuple[str, str], ...]
    lost: int
    deltas: tuple[Delta, ...]


class BadMessage(Exception):
    """The other side does not keep to this module."""


encode = msgspec.msgpack.Encoder().encode
decode_downward = msgspec.msgpack.Decoder(Call | Body | Drop | Ping | Reopen).decode
decode_opening = msgspec.msgpack.Decoder(Opening).decode
decode_upward = msgspec.msgpack.Decoder(Ready | Failed | Answer | Raised | Ask | Pong | Note).decode
encode_plain = encode
decode_plain = msgspec.msgpack.Decoder(dict[str, Any]).decode


def frame(payload: bytes) -> bytes:
    """Return ``payload`` with its length before it."""
    return LENGTH.pack(len(payload)) + payload


class Frames:
    """Bytes to payloads; keeps at most one frame that is not whole."""

    def __init__(self, limit_bytes: int = MAX_FRAME_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the payloads that are whole now; raises BadMessage on a frame beyond the limit."""
        data = self._rest + data if self._rest else data
        found, at = [], 0
        while len(data) - at >= 4:
            (length,) = LENGTH.unpack_from(data, at)
            if length > self.limit_bytes:
                raise BadMessage(f"frame of {length} bytes, expected at most {self.limit_bytes}")
            if len(data) - at - 4 < length:
                break
            found.append(data[at + 4 : at + 4 + length])
            at += 4 + length
        self._rest = data[at:]
        return found
