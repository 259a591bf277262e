"""RFC 9113 3 and 4: the preface and frames in general."""

from meshd.http.h2.code import (
    COMPRESSION_ERROR, FRAME_SIZE_ERROR, MAX_FRAME_SIZE, PING, PREFACE, PROTOCOL_ERROR, SETTINGS,
)
from tests.h2.case import BARRIER, Alive, Answered, Case, Connection, Either, Frames, Stream
from tests.h2.wire import (
    ACK, END_HEADERS, GET, POST, PRIORITIZED, block, continuation, data, frame, headers, literal, ping, priority,
    settings,
)
from tests.h2.words import TOO_LARGE, UNKNOWN


def _first_is_settings(heard) -> bool:
    return bool(heard.frames) and heard.frames[0].kind == SETTINGS and not heard.frames[0].flags & ACK


def _too_large(kind: int, flags: int, stream_id: int, *before: bytes):
    def steps(their):
        size = their.get(MAX_FRAME_SIZE, 16384) + 1
        return None if size > 1 << 20 else (*before, frame(kind, flags, stream_id, b"\0" * size))
    return steps


BROKEN = Connection((PROTOCOL_ERROR,))
SIZE = Connection((FRAME_SIZE_ERROR,))
HALF = block(GET)[:10], block(GET)[10:]

CASES = (
    Case("3.4", "the server's first frame is SETTINGS", headers(1), Frames(_first_is_settings)),
    Case("3.4", "SETTINGS are acknowledged", b"",
         Frames(lambda heard: any(one.flags & ACK for one in heard.of(SETTINGS)))),
    Case("3.4", "a preface in two pieces", (settings(), headers(1)), Answered(), first=PREFACE),
    Case("3.4", "a preface that is none", b"GET / HTTP/2.0\r\n\r\n", BROKEN, first=b"XRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
         has_barrier=False),
    Case("3.4", "a preface with one wrong byte at the end", settings(), BROKEN, first=PREFACE[:-1] + b"x",
         has_barrier=False),
    Case("3.4", "HEADERS before SETTINGS", headers(1), BROKEN, first=PREFACE, has_barrier=False),
    Case("3.4", "PING before SETTINGS", ping(), BROKEN, first=PREFACE, has_barrier=False),
    Case("3.4", "an acknowledgement as the first SETTINGS", (frame(SETTINGS, ACK, 0), ping(BARRIER)), BROKEN,
         first=PREFACE, has_barrier=False),
    Case("3.4", "a request right behind the preface", headers(1), Answered()),
    Case("4.1", "a frame of an unknown type", frame(0xfe, 0, 0, b"abc"), Alive()),
    Case("4.1", "a frame of an unknown type on an idle stream", (frame(0xfe, 255, 7, b"abc"), headers(9)),
         Answered((9,)), UNKNOWN),
    *(Case("4.1", f"a frame of type {kind}, which is no server's business", (frame(kind, 0, 0, b"abc"), headers(1)),
           Answered(), UNKNOWN) for kind in (10, 12, 99)),
    Case("4.1", "undefined flags", ping(BARRIER, 0xfe), Alive()),
    Case("4.1", "undefined flags of HEADERS", headers(1, flags=END_HEADERS | 0xd2), Answered()),
    Case("4.1", "a reserved bit", frame(PING, 0, 0x80000000, BARRIER), Alive()),
    Case("4.1", "a reserved bit of a request", headers(0x80000001), Answered()),
    Case("4.2", "DATA of 16,384 bytes", (headers(1, POST, False), data(1, b"x" * 16384)), Answered()),
    Case("4.2", "HEADERS of 16,384 bytes",
         headers(1, block(GET) + literal(b"a", b"b" * (16384 - len(block(GET)) - 6))),
         Either((Answered(), Stream(1, (PROTOCOL_ERROR, 11), may_answer=True)))),
    Case("4.2", "DATA larger than announced", _too_large(0, 0, 1, headers(1, POST, False)),
         Either((SIZE, Stream(1, (FRAME_SIZE_ERROR,))))),
    Case("4.2", "HEADERS larger than announced", _too_large(1, 5, 1), SIZE, TOO_LARGE),
    Case("4.2", "SETTINGS larger than announced",
         lambda their: None if their.get(MAX_FRAME_SIZE, 16384) > 1 << 20 else
         frame(SETTINGS, 0, 0, b"\x10\0\0\0\0\0" * (their.get(MAX_FRAME_SIZE, 16384) // 6 + 1)), SIZE),
    Case("4.2", "CONTINUATION larger than announced", _too_large(9, 4, 1, headers(1, HALF[0], flags=0)),
         Connection((FRAME_SIZE_ERROR, 11)), TOO_LARGE),
    Case("4.3", "a field section that cannot be decoded", headers(1, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
         Connection((COMPRESSION_ERROR,))),
    Case("4.3", "a field section in three frames",
         (headers(1, block(GET)[:3], flags=0), continuation(1, block(GET)[3:10], False),
          continuation(1, block(GET)[10:])), Answered()),
    Case("4.3", "PRIORITY within a field section",
         (headers(1, HALF[0], flags=0), priority(1), continuation(1, HALF[1])), BROKEN),
    Case("4.3", "PING within a field section",
         (headers(1, HALF[0], flags=0), ping(), continuation(1, HALF[1])), BROKEN),
    Case("4.3", "HEADERS of another stream within a field section",
         (headers(1, HALF[0], flags=0), headers(3), continuation(1, HALF[1])), BROKEN),
    Case("4.3", "DATA within a field section", (headers(1, HALF[0], False, 0), data(1, b"x")), BROKEN),
    Case("4.3", "an unknown frame within a field section",
         (headers(1, HALF[0], flags=0), frame(0xfe, 0, 1, b"x"), continuation(1, HALF[1])), BROKEN),
    Case("4.3", "CONTINUATION of another stream",
         (headers(1, HALF[0], flags=0), continuation(3, HALF[1])), BROKEN),
    Case("5.5", "an unknown setting and an unknown frame, then a request",
         (settings((0xf000, 1)), frame(0x42, 0, 1), headers(1)), Answered(), UNKNOWN),
    Case("6.2", "priority fields in HEADERS", headers(1, b"\0\0\0\0\x10" + block(GET), flags=END_HEADERS | PRIORITIZED),
         Answered()),
    Case("6.2", "exclusive priority in HEADERS",
         headers(1, b"\x80\0\0\0\xff" + block(GET), flags=END_HEADERS | PRIORITIZED), Answered()),
    Case("6.2", "HEADERS too short for its priority fields", headers(1, b"\0\0\0", flags=END_HEADERS | PRIORITIZED),
         Connection((FRAME_SIZE_ERROR, PROTOCOL_ERROR))),
)
