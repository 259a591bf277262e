"""gRPC as far as a proxy must know it: content types, statuses, ``grpc-timeout``, the frames of messages.

The rules are gRPC's (PROTOCOL-HTTP2.md, http-grpc-status-mapping.md) as Envoy reads them (its ``Grpc::Common``). They
hold for any version of HTTP: gRPC needs HTTP/2, but a head says no less of itself over HTTP/1.1.
"""

from typing import Any

CONTENT_TYPE = b"application/grpc"
TYPE = b"\r\ncontent-type:"
STATUS, MESSAGE, TIMEOUT = b"grpc-status", b"grpc-message", b"grpc-timeout"
OK, CANCELLED, UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = (
    0, 1, 2, 4, 8, 12, 13, 14)
INVALID = -1
"""What a ``grpc-status`` says that is no number of a status."""
LAST = 16
ANY = 10 ** 9
NAMES = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)
HTTP_STATUS = {
    0: 200, 1: 499, 2: 500, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400, 12: 501,
    13: 500, 14: 503, 15: 500, 16: 401,
}
"""gRPC status -> the HTTP status that stands for it (google.rpc.Code)."""
FROM_HTTP = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}
"""HTTP status -> the gRPC status that a caller makes of it; of others UNKNOWN (http-grpc-status-mapping.md)."""
UNITS_MS = {b"H": 3_600_000.0, b"M": 60_000.0, b"S": 1000.0, b"m": 1.0, b"u": 1e-3, b"n": 1e-6}
DIGITS = 8
MOST = 10 ** DIGITS - 1
ESCAPED = {byte: b"%%%02X" % byte for byte in (*range(0x20), 0x25, *range(0x7E, 0x100))}
PLAIN = [ESCAPED.get(byte, bytes((byte,))) for byte in range(0x100)]


def is_grpc(headers: Any) -> bool:
    """Say whether these are of a gRPC call: ``application/grpc`` or ``application/grpc+...``; gRPC-Web is another."""
    kind = headers.value(TYPE)
    return kind is not None and kind.startswith(CONTENT_TYPE) and kind[16:17] in (b"", b"+")


def is_grpc_answer(head: Any) -> bool:
    """Say whether an answer is one of gRPC: 200 with its content type, or a status in a head that is all there is."""
    if is_head_alone(head):
        return STATUS in head.headers
    return head.status == 200 and is_grpc(head.headers)


def is_head_alone(head: Any) -> bool:
    """Say whether nothing follows the head of an answer.

    Trailers may follow one of HTTP/2 that says ``content-length: 0``; an answer that has its status has none.
    """
    if head.content_length:
        return False
    headers = head.headers
    return (head.version < 20 or head.status != 200 or STATUS in headers or b"content-length" not in headers
            or not is_grpc(headers))


def status_in(headers: Any, most: int = LAST) -> int | None:
    """Return the ``grpc-status`` of a head or of trailers, INVALID for what is none, None where nothing is said.

    ``most`` is the largest number that is one; services may have more of their own.
    """
    value = headers.get(STATUS) if headers is not None else None
    if not value:
        return None
    return number if value.isdigit() and len(value) < 10 and (number := int(value)) <= most else INVALID


def status_of(response: Any, trailers: Any, most: int = LAST) -> int | None:
    """Return how a call has ended: as its trailers say, else its head, else what a caller makes of the HTTP status."""
    found = status_in(trailers, most)
    if found is None and response is not None:
        found = status_in(response.headers, most)
        if found is None:
            found = FROM_HTTP.get(response.status, UNKNOWN)
    return found


def encode_message(text: bytes) -> bytes:
    """Return ``text`` as the value of a ``grpc-message``: percent-encoded outside printable ASCII."""
    return b"".join([PLAIN[byte] for byte in text])


def shape(status: int, body: bytes, headers: Any) -> list[tuple[bytes, bytes]]:
    """Return the fields of a local reply to a gRPC call, whose HTTP status is 200 and which has no body.

    ``status`` and ``body`` are what any other caller would get. A ``grpc-status`` among ``headers`` stands.
    """
    pairs = [pair for pair in headers if pair[0] not in (b"content-type", b"content-length")]
    names = [name for name, _ in pairs]
    pairs.append((b"content-type", CONTENT_TYPE))
    if STATUS not in names:
        pairs.append((STATUS, b"%d" % FROM_HTTP.get(status, UNKNOWN)))
    if body and MESSAGE not in names:
        pairs.append((MESSAGE, encode_message(body.removesuffix(b"\n"))))
    return pairs


def timeout_s(headers: Any) -> float | None:
    """Return the seconds of ``grpc-timeout`` in whole milliseconds, rounded up; None where there is none or a bad one.

    At most eight digits and a unit, nothing else.
    """
    value = headers.get(TIMEOUT)
    if value is None or not value[:-1].isdigit() or len(value) > DIGITS + 1:
        return None
    unit_ms = UNITS_MS.get(value[-1:])
    return None if unit_ms is None else -int(-round(int(value[:-1]) * unit_ms, 6) // 1) / 1000.0


def timeout_text(seconds: float) -> bytes:
    """Return a ``grpc-timeout``: milliseconds, or the finest unit in which eight digits are enough (Envoy's way)."""
    count = round(seconds * 1000.0)
    for unit, more in ((b"m", 1000), (b"S", 60), (b"M", 60)):
        if count <= MOST:
            return b"%d%b" % (count, unit)
        count //= more
    return b"%dH" % min(count, MOST)


def frame(message: bytes) -> bytes:
    """Return a message with gRPC's prefix: not compressed, its length."""
    return b"\0%b%b" % (len(message).to_bytes(4, "big"), message)


def messages_of(data: bytes) -> list[bytes]:
    """Return the messages of a whole body; raises ValueError where it is none, or has a compressed message."""
    found, at = [], 0
    while at < len(data):
        if data[at]:
            raise ValueError("a message is compressed, which was not asked for")
        start = at + 5
        at = start + int.from_bytes(data[at + 1:start], "big")
        if start > len(data) or at > len(data):
            raise ValueError("a message is cut short")
        found.append(data[start:at])
    return found
