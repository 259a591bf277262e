"""RFC 9113 5.2 and 6.9: flow control, both ways."""

from meshd.http.h2.code import DATA, FLOW_CONTROL_ERROR, HEADERS, INITIAL_WINDOW_SIZE
from tests.h2.case import Answered, Case, Connection, Either, Frames, Stream, Until
from tests.h2.wire import GET, POST, START, data, headers, settings, window_update
from tests.h2.words import WINDOWS

OVER = Connection((FLOW_CONTROL_ERROR,))
BIG = tuple((name, b"/big" if name == b":path" else value) for name, value in GET)
HOLD = (*POST[:3], (b":path", b"/hold"))
GREATEST = (1 << 31) - 1
TRIED = 1 << 20
"""Windows up to this many bytes are filled to see what is behind them."""
HELD = 1 << 18
"""So many bytes more a proxy may take that cannot pass them on."""


def _got(count: int, stream_id: int = 1):
    """Exactly so many bytes came, in frames that a client without wishes takes, and the connection lives."""
    def test(heard):
        bodies = heard.of(DATA, stream_id)
        is_fit = all(len(one.payload) <= 16384 for one in bodies)
        return is_fit and sum(len(one.payload) for one in bodies) == count and heard.is_alive and (
            heard.is_done or not count)
    return Frames(test)


def _beyond(their):
    """Send more on one stream than its window."""
    size = their.get(INITIAL_WINDOW_SIZE, 65535)
    if size > TRIED:
        return None
    return headers(1, HOLD, False) + data(1, b"x" * 16384, False) * ((size + HELD) // 16384 + 1)


def _no_larger(limit: int):
    def test(heard):
        bodies = heard.of(DATA, 1)
        return all(len(one.payload) <= limit for one in bodies) and any(one.is_end for one in bodies)
    return Frames(test)


CASES = (
    Case("6.9.1", "a window of the connection above 2^31 - 1", window_update(0, GREATEST), OVER),
    Case("6.9.1", "a window of a stream above 2^31 - 1",
         (headers(1, POST, False), window_update(1, GREATEST)), Either((Stream(1, (FLOW_CONTROL_ERROR,)), OVER))),
    Case("6.9.1", "the sum of two updates above 2^31 - 1",
         (window_update(0, GREATEST - 65535), window_update(0, 1)), OVER),
    Case("6.9.1", "a window of the connection of 2^31 - 1", (window_update(0, GREATEST - 65535), headers(1)),
         Answered()),
    Case("6.9.1", "more than a stream's window", _beyond, Either((OVER, Stream(1, (FLOW_CONTROL_ERROR,)))),
         is_held=True),
    Case("6.9.2", "the initial window is obeyed: none", headers(1), Frames(
        lambda heard: heard.is_alive and heard.of(HEADERS, 1) and not any(one.payload for one in heard.of(DATA))),
        first=START[:24] + settings((4, 0))),
    Case("6.9.2", "the initial window is obeyed: one byte", headers(1), _got(1), first=START[:24] + settings((4, 1))),
    Case("6.9.2", "a window that is opened by one byte at a time",
         (headers(1), window_update(1, 1), window_update(1, 1), window_update(1, 1)), _got(3),
         first=START[:24] + settings((4, 0))),
    Case("6.9.2", "SETTINGS open the windows of open streams", (headers(1), settings((4, 3))), _got(3),
         first=START[:24] + settings((4, 0))),
    Case("6.9.2", "SETTINGS may make a window negative",
         (headers(1), settings((4, 1)), window_update(1, 4), window_update(1, 1)), _got(6),
         first=START[:24] + settings((4, 5))),
    Case("6.9.2", "SETTINGS that lift a window above 2^31 - 1",
         (headers(1, POST, False), window_update(1, GREATEST - 65535), settings((4, 65536))), OVER,
         WINDOWS),
    Case("6.9.2", "the window of the connection does not follow SETTINGS", headers(1, BIG), _got(65535),
         first=START[:24] + settings((4, GREATEST))),
    Case("6.9.2", "the window of a stream holds where the connection's is wide",
         (window_update(0, 1 << 20), headers(1, BIG)), _got(65535)),
    Case("6.9.2", "two streams share the window of the connection",
         (headers(1, BIG), headers(3, BIG)), Frames(lambda heard: heard.is_done and heard.is_alive and sum(
             len(one.payload) for one in heard.of(DATA)) == 65535)),
    Case("6.9", "the rest comes when both windows are opened",
         (headers(1, BIG), window_update(0, 1 << 20), window_update(1, 1 << 20), Until(1)), Answered()),
    Case("6.9", "a window update on a closed stream, then a request",
         (headers(1), Until(1), window_update(1, 1), headers(3)), Answered((3,))),
    Case("6.9", "credit comes back for what was taken", tuple(
        step for at in range(8) for step in
        (headers(1 + 2 * at, POST, False), data(1 + 2 * at, b"x" * 16000), Until(1 + 2 * at))), Answered((15,))),
    Case("4.2", "frames to a client are at most 16,384 bytes",
         (headers(1, BIG), window_update(0, 1 << 20), window_update(1, 1 << 20), Until(1)), _no_larger(16384)),
    Case("5.2.1", "HEADERS are not subject to flow control", headers(1),
         Frames(lambda heard: any(one.status for one in heard.of(HEADERS, 1))), first=START[:24] + settings((4, 0))),
    Case("5.2.2", "a request with a body while the answer waits",
         (headers(1), headers(3, POST, False), data(3, b"x" * 1000), window_update(1, 65535), window_update(3, 65535),
          Until(1), Until(3)), Answered((1, 3)), first=START[:24] + settings((4, 0))),
)
