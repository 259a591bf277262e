"""RFC 9113 6: what each type of frame may say, flow control excepted."""

from meshd.http.h2.code import FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, GOAWAY, PING, PROTOCOL_ERROR, RST_STREAM, SETTINGS
from tests.h2.case import BARRIER, Alive, Answered, Case, Connection, Either, Frames, Stream, Until
from tests.h2.wire import (
    ACK, END_HEADERS, END_STREAM, PADDED, POST, block, continuation, data, frame, goaway, headers, ping, priority,
    push_promise, rst, settings, settings_ack, window_update, GET,
)
from tests.h2.words import GRACEFUL, LESS_PADDING, PADDING, PRIORITY_0, RESERVED

BROKEN = Connection((PROTOCOL_ERROR,))
SIZE = Connection((FRAME_SIZE_ERROR,))
OPEN = headers(1, POST, False)


def _acks(count: int):
    return Frames(lambda heard: sum(bool(one.flags & ACK) for one in heard.of(SETTINGS)) == count and heard.is_alive)


def _padded_headers(pad: int, padding: bytes, fields: bytes) -> bytes:
    return headers(1, bytes((pad,)) + fields + padding, flags=END_HEADERS | PADDED)


CASES = (
    Case("6.1", "DATA on stream 0", data(0, b"x"), BROKEN),
    Case("6.1", "DATA with padding",
         (OPEN, frame(0, END_STREAM | PADDED, 1, b"\x05hello" + bytes(5))), Answered(), LESS_PADDING),
    Case("6.1", "DATA with a padding of no bytes", (OPEN, frame(0, END_STREAM | PADDED, 1, b"\0hello")), Answered()),
    Case("6.1", "DATA of padding alone", (OPEN, frame(0, END_STREAM | PADDED, 1, b"\x05" + bytes(5))), Answered(),
         LESS_PADDING),
    Case("6.1", "DATA with more padding than payload", (OPEN, frame(0, END_STREAM | PADDED, 1, b"\x06hello")), BROKEN),
    Case("6.1", "DATA with padding as long as the payload", (OPEN, frame(0, END_STREAM | PADDED, 1, b"\x01")), BROKEN),
    Case("6.1", "DATA with a padding flag and no byte", (OPEN, frame(0, END_STREAM | PADDED, 1)),
         Connection((PROTOCOL_ERROR, FRAME_SIZE_ERROR))),
    Case("6.1", "DATA with more padding than payload on a stream that was reset",
         (OPEN, rst(1), frame(0, END_STREAM | PADDED, 1, b"\x06hello")), BROKEN, PADDING),
    Case("6.2", "HEADERS on stream 0", headers(0), BROKEN),
    Case("6.2", "HEADERS with padding", _padded_headers(4, bytes(4), block(GET)), Answered()),
    Case("6.2", "HEADERS with more padding than payload", _padded_headers(200, b"", block(GET)), BROKEN),
    Case("6.2", "HEADERS with END_STREAM and a CONTINUATION",
         (headers(1, block(GET)[:5], True, 0), continuation(1, block(GET)[5:])), Answered()),
    Case("6.3", "PRIORITY on stream 0", priority(0, 1), BROKEN,
         PRIORITY_0),
    Case("6.3", "PRIORITY of 4 bytes",
         (OPEN, frame(2, 0, 1, bytes(4))), Either((SIZE, Stream(1, (FRAME_SIZE_ERROR,))))),
    Case("6.3", "PRIORITY of 6 bytes",
         (OPEN, frame(2, 0, 1, bytes(6))), Either((SIZE, Stream(1, (FRAME_SIZE_ERROR,))))),
    Case("6.4", "RST_STREAM on stream 0", rst(0), BROKEN),
    Case("6.4", "RST_STREAM of 3 bytes", (OPEN, frame(RST_STREAM, 0, 1, bytes(3))), SIZE),
    Case("6.4", "RST_STREAM of 5 bytes", (OPEN, frame(RST_STREAM, 0, 1, bytes(5))), SIZE),
    Case("6.4", "RST_STREAM with an unknown error", (OPEN, rst(1, 0xdeadbeef), headers(3)), Answered((3,))),
    Case("6.5", "SETTINGS on a stream", frame(SETTINGS, 0, 1), BROKEN),
    Case("6.5", "SETTINGS of 5 bytes", frame(SETTINGS, 0, 0, bytes(5)), SIZE),
    Case("6.5", "an acknowledgement with a payload", frame(SETTINGS, ACK, 0, bytes(6)), SIZE),
    Case("6.5", "an acknowledgement that nobody waits for",
         (settings_ack(), settings_ack()), Either((Alive(), BROKEN))),
    Case("6.5.2", "ENABLE_PUSH of 2", settings((2, 2)), BROKEN),
    Case("6.5.2", "ENABLE_PUSH of 0", (settings((2, 0)), headers(1)), Answered()),
    Case("6.5.2", "ENABLE_PUSH of 1 by a client", (settings((2, 1)), headers(1)), Answered()),
    Case("6.5.2", "INITIAL_WINDOW_SIZE of 2^31", settings((4, 1 << 31)), Connection((FLOW_CONTROL_ERROR,))),
    Case("6.5.2", "INITIAL_WINDOW_SIZE of 2^31 - 1", (settings((4, (1 << 31) - 1)), headers(1)), Answered()),
    Case("6.5.2", "MAX_FRAME_SIZE of 16383", settings((5, 16383)), BROKEN),
    Case("6.5.2", "MAX_FRAME_SIZE of 2^24", settings((5, 1 << 24)), BROKEN),
    Case("6.5.2", "MAX_FRAME_SIZE of 2^24 - 1", (settings((5, (1 << 24) - 1)), headers(1)), Answered()),
    Case("6.5.2", "HEADER_TABLE_SIZE of 0", (settings((1, 0)), headers(1), Until(1), headers(3)), Answered((1, 3))),
    Case("6.5.2", "HEADER_TABLE_SIZE of 2^32 - 1", (settings((1, (1 << 32) - 1)), headers(1)), Answered()),
    Case("6.5.2", "MAX_CONCURRENT_STREAMS of 0", (settings((3, 0)), headers(1)), Answered()),
    Case("6.5.2", "an unknown setting", settings((0xff, 7)), Alive()),
    Case("6.5.2", "SETTINGS_NO_RFC7540_PRIORITIES, then a request", (settings((9, 1)), headers(1)),
         Either((Answered(), BROKEN))),
    Case("6.5.3", "each SETTINGS is acknowledged", (settings((3, 7)), settings((3, 8)), settings()), _acks(4)),
    Case("6.5.3", "the last of two values counts", (settings((4, 1), (4, 65535)), headers(1)), Answered()),
    Case("6.6", "PUSH_PROMISE of a client", (OPEN, push_promise(1, 2)), BROKEN),
    Case("6.6", "PUSH_PROMISE on an idle stream", push_promise(1, 2), BROKEN),
    Case("6.7", "PING is answered with its payload", ping(b"\0\1\2\3\xff\xfe\n\r"),
         Frames(lambda heard: any(one.payload == b"\0\1\2\3\xff\xfe\n\r" and one.flags & ACK
                                  for one in heard.of(PING)))),
    Case("6.7", "the acknowledgement of a PING is not answered", ping(b"87654321", ACK),
         Frames(lambda heard: heard.is_alive and not any(one.payload == b"87654321" for one in heard.of(PING)))),
    Case("6.7", "PINGs are answered in order", (ping(b"aaaaaaaa"), ping(b"bbbbbbbb")),
         Frames(lambda heard: [one.payload for one in heard.of(PING)] == [b"aaaaaaaa", b"bbbbbbbb", BARRIER])),
    Case("6.7", "PING on a stream", frame(PING, 0, 1, bytes(8)), BROKEN),
    Case("6.7", "PING of 7 bytes", frame(PING, 0, 0, bytes(7)), SIZE),
    Case("6.7", "PING of 9 bytes", frame(PING, 0, 0, bytes(9)), SIZE),
    Case("6.7", "an acknowledgement of 6 bytes", frame(PING, ACK, 0, bytes(6)), SIZE),
    Case("6.8", "GOAWAY on a stream", frame(GOAWAY, 0, 1, bytes(8)), BROKEN),
    Case("6.8", "GOAWAY of 7 bytes", frame(GOAWAY, 0, 0, bytes(7)), SIZE),
    Case("6.8", "an open stream ends after a client's GOAWAY", (OPEN, goaway(), data(1, b"x")),
         Frames(lambda heard: any(one.status for one in heard.of(1, 1))), has_barrier=False),
    Case("6.8", "GOAWAY with 2^31 - 1, then the rest of a request", (OPEN, goaway((1 << 31) - 1), data(1, b"x")),
         Frames(lambda heard: any(one.status for one in heard.of(1, 1))),
         GRACEFUL, has_barrier=False),
    Case("6.8", "GOAWAY with an unknown error and debug data", (OPEN, goaway(0, 0xdeadbeef, b"why"), data(1)),
         Frames(lambda heard: not any(one.code for one in heard.of(GOAWAY))
                and (heard.is_done or any(one.status for one in heard.of(1, 1)))), has_barrier=False),
    Case("6.9", "WINDOW_UPDATE of 3 bytes", frame(8, 0, 0, bytes(3)), SIZE),
    Case("6.9", "WINDOW_UPDATE of 5 bytes", frame(8, 0, 0, bytes(5)), SIZE),
    Case("6.9", "WINDOW_UPDATE of 3 bytes on a stream", (OPEN, frame(8, 0, 1, bytes(3))), SIZE),
    Case("6.9", "a WINDOW_UPDATE of 0 on the connection", window_update(0, 0), BROKEN),
    Case("6.9", "a WINDOW_UPDATE of 0 on a stream", (OPEN, window_update(1, 0)),
         Stream(1, (PROTOCOL_ERROR,), is_strict=False)),
    Case("6.9", "WINDOW_UPDATE with the reserved bit", (window_update(0, 0x80000001), headers(1)), Answered(),
         RESERVED),
    Case("6.10", "CONTINUATION on stream 0", (headers(1, block(GET)[:5], flags=0), continuation(0, block(GET)[5:])),
         BROKEN),
    Case("6.10", "CONTINUATION without HEADERS", continuation(1, block(GET)), BROKEN),
    Case("6.10", "CONTINUATION after END_HEADERS", (OPEN, continuation(1, block(GET))), BROKEN),
    Case("6.10", "CONTINUATION after CONTINUATION with END_HEADERS",
         (headers(1, block(GET)[:5], False, 0), continuation(1, block(GET)[5:]), continuation(1, b"")), BROKEN),
    Case("6.10", "CONTINUATION after DATA", (OPEN, data(1, b"x", False), continuation(1, block(GET))), BROKEN),
    Case("6.10", "an empty CONTINUATION at the end", (headers(1, block(GET), flags=0), continuation(1, b"")),
         Answered()),
    Case("7", "unknown errors do not matter", (OPEN, rst(1, 99), headers(3, POST, False), rst(3, 0), headers(5)),
         Answered((5,))),
)
