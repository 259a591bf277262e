"""The codec of Dubbo 2: a head of 16 bytes, then a body (dubbo.apache.org, protocol dubbo2).

Routed by what stands first in a body of Hessian 2: service, its version, method. Bodies are passed on as they are. A
request in another serialization has no fields, so that only a route for everything takes it.
"""

import struct

from meshd.api import (
    HEARTBEAT, HEARTBEAT_ANSWER, NO_ROUTE, ONEWAY, OTHER, REQUEST, RESPONSE, TIMEOUT, Frame, ProtocolError, Size,
    config, option,
)
from meshd_plugins.codec.hessian import NULL, read_string, write_string

MAGIC = b"\xda\xbb"
HEAD = struct.Struct("!HBBQI")
HEAD_BYTES = 16
ID = slice(4, 12)
IS_REQUEST, IS_TWO_WAY, IS_EVENT, SERIALIZATION = 0x80, 0x40, 0x20, 0x1F
HESSIAN_2 = 2
OK = 20
STATUS = {
    20: "ok", 30: "client_timeout", 31: "server_timeout", 35: "channel_inactive", 40: "bad_request", 50: "bad_response",
    60: "service_not_found", 70: "service_error", 80: "server_error", 90: "client_error", 100: "server_exhausted",
    105: "too_large",
}
REFUSAL = {NO_ROUTE: (60, "no route for this service"), TIMEOUT: (31, "no answer in time")}
UNREACHABLE = (80, "no server can be reached")
EXCEPTIONS = (b"\x90", b"\x93")
"""First byte of a response's body (a small number of Hessian 2): an exception, without and with attachments."""
NAMES = (b"dubbo", b"service", b"service-version", b"method")


@config
class Dubbo:
    """Dubbo 2."""

    max_frame_bytes: int = option(
        Size(minimum=1024, maximum=2**30), default=8 * 1024 * 1024 + HEAD_BYTES, doc="longest frame (Dubbo's payload)"
    )


class DubboCodec:
    """See ``IProtocolCodec``."""

    is_multiplexed = True

    def __init__(self, config, site):
        self.max_frame_bytes = config.max_frame_bytes

    def decode(self, data):
        """Return (frames, rest)."""
        frames, at = [], 0
        while len(data) - at >= HEAD_BYTES:
            end = at + self._size(data, at)
            if end > len(data):
                break
            frames.append(_frame(data[at:end]))
            at = end
        rest = data[at:]
        if not MAGIC.startswith(rest[:2]):
            raise ProtocolError("dubbo: expected a frame that begins with da bb")
        return frames, rest

    def frame_bytes(self, start):
        """Return how long the frame is, 0 where that is not known yet."""
        return self._size(start, 0) if len(start) >= HEAD_BYTES else 0

    def _size(self, data, at):
        if data[at : at + 2] != MAGIC:
            raise ProtocolError("dubbo: expected a frame that begins with da bb")
        size = HEAD_BYTES + int.from_bytes(data[at + 12 : at + 16])
        if size > self.max_frame_bytes:
            raise ProtocolError(f"dubbo: a frame of {size} bytes: expected at most {self.max_frame_bytes}")
        return size

    def encode(self, frame):
        """Return the frame with its id."""
        data, number = frame.data, frame.id.to_bytes(8)
        return data if data[ID] == number else data[:4] + number + data[12:]

    def fields(self, frame):
        """Return the names that stand first in the body."""
        data = frame.data
        if data[2] & SERIALIZATION != HESSIAN_2:
            return ()
        found, at = [], HEAD_BYTES
        for name in NAMES:
            value, at = read_string(data, at)
            found.append((name, value))
        return found

    def heartbeat_answer(self, frame):
        """Return the answer to a heartbeat: the same id, nothing in it."""
        flags = frame.data[2] & SERIALIZATION | IS_EVENT
        return Frame(HEARTBEAT_ANSWER, HEAD.pack(0xDABB, flags, OK, frame.id, 1) + bytes((NULL,)), frame.id)

    def refusal(self, frame, reason):
        """Return a response that tells of a failure."""
        if frame.kind != REQUEST:
            return b""
        status, text = REFUSAL.get(reason, UNREACHABLE)
        body = write_string(f"meshd: {text}")
        return HEAD.pack(0xDABB, frame.data[2] & SERIALIZATION, status, frame.id, len(body)) + body

    def malformed(self, data):
        """Dubbo has no word for it: the connection ends."""
        return b""


def _frame(data):
    """Return the Frame of whole bytes."""
    flags, status, number = data[2], data[3], int.from_bytes(data[ID])
    if flags & IS_EVENT:
        is_heartbeat = data[HEAD_BYTES:] in (b"", b"N")
        if not flags & IS_REQUEST:
            return Frame(HEARTBEAT_ANSWER, data, number)
        return Frame(HEARTBEAT if is_heartbeat and flags & IS_TWO_WAY else OTHER, data, number)
    if flags & IS_REQUEST:
        return Frame(REQUEST if flags & IS_TWO_WAY else ONEWAY, data, number)
    is_exception = status == OK and data[HEAD_BYTES : HEAD_BYTES + 1] in EXCEPTIONS
    word = "exception" if is_exception else STATUS.get(status, "unknown")
    return Frame(RESPONSE, data, number, status=word, is_error=word != "ok")
