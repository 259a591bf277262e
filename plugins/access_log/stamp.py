"""``%START_TIME%``: the text of a moment, of which the part that changes once a second is kept."""

import re
import time
from collections.abc import Callable
from typing import Any

DEFAULT = "%Y-%m-%dT%H:%M:%S.%3fZ"
"""Envoy's default, ISO 8601 in UTC with milliseconds."""

_PART = re.compile(r"%(?:([1-9]?)f|(s))")
_HALF_STEP_S = 5e-7  # a float of epoch seconds is true to a quarter of a microsecond: keeps .310 from becoming .309


class Layout:
    """strftime's layout with Envoy's %s, %f and %1f to %9f; ``digits`` are those of each fraction, in order."""

    def __init__(self, text: str, clock: Any, is_local: bool = False) -> None:
        self._pieces, self.digits = _parse(text or DEFAULT)
        self._clock = clock
        self._split = time.localtime if is_local else time.gmtime

    def turn(self, moment: float) -> tuple[float, int, list[bytes]]:
        """Lay out another second; the wall clock is read anew, as it may have been set.

        Return what to add to monotonic seconds, the epoch's second, and the texts before, between and after fractions.
        """
        offset = self._clock.wall() - self._clock.now() + _HALF_STEP_S
        second = int(moment + offset)
        return offset, second, _texts(self._pieces, second, self._split(second))


def make_stamp(layout: Layout) -> Callable[[float], bytes]:
    """Return a callable(monotonic seconds) -> bytes."""
    digits = layout.digits
    scales = tuple(10**one for one in digits)
    scale = scales[0] if len(scales) == 1 else 0
    offset = 0.0
    kept = -1
    template = b""
    last = -1.0
    text = b""

    def turn(moment: float) -> float:
        nonlocal offset, kept, template
        offset, kept, texts = layout.turn(moment)
        template = _template(texts, digits)
        return moment + offset

    def stamp(moment: float) -> bytes:
        nonlocal last, text
        if moment != last:  # exchanges of one batch began at the same moment
            last = moment
            text = render(moment)
        return text

    def render(moment: float) -> bytes:
        now = moment + offset
        if int(now) != kept:
            now = turn(moment)
        if scale:
            return template % int((now - kept) * scale)
        return template % tuple([int((now - kept) * one) for one in scales])

    return stamp


def _template(texts: list[bytes], digits: tuple) -> bytes:
    """Return the left side of a ``%`` that takes the fractions."""
    first, *others = [text.replace(b"%", b"%%") for text in texts]
    return first + b"".join([b"%%0%dd" % one + text for one, text in zip(digits, others)])


def _texts(pieces: list, second: int, moment: time.struct_time) -> list[bytes]:
    found = [""]
    for piece in pieces:
        if type(piece) is int:
            found.append("")
        else:
            found[-1] += str(second) if piece is None else time.strftime(piece, moment)
    return [text.encode("utf-8", "replace") for text in found]


def _parse(layout: str) -> tuple[list, tuple]:
    """Return the pieces (strftime text, digits of a fraction, or None for %s) and the digits of each fraction."""
    pieces: list = []
    position = 0
    for found in _PART.finditer(layout.replace("%%", "%\0")):
        pieces.append(layout[position:found.start()])
        position = found.end()
        pieces.append(None if found[2] else int(found[1] or 9))
    pieces.append(layout[position:])
    return [piece for piece in pieces if piece != ""], tuple(piece for piece in pieces if type(piece) is int)
