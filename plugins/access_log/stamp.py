"""``%START_TIME%``: the text of a moment, of which the part that changes once a second is kept."""

import re
import time
from collections.abc import Callable
from typing import Any

DEFAULT = "%Y-%m-%dT%H:%M:%S.%3fZ"
"""Envoy's default, ISO 8601 in UTC with milliseconds."""

_PART = re.compile(r"%(?:([1-9]?)f|(s))")
_HALF_STEP_S = 5e-7  # a float of epoch seconds is true to a quarter of a microsecond: keeps .310 from becoming .309


def make_stamp(layout: str, clock: Any, is_local: bool = False) -> Callable[[float], bytes]:
    """Return a callable(monotonic seconds) -> bytes. ``layout`` is strftime's with Envoy's %s, %f and %1f to %9f."""
    pieces, scales = _parse(layout or DEFAULT)
    split = time.localtime if is_local else time.gmtime
    offset = 0.0
    kept = -1
    template = b""
    scale = scales[0] if len(scales) == 1 else 0
    last = -1.0
    text = b""

    def turn(moment: float) -> float:
        """Lay out the text of another second; the wall clock is read anew, as it may have been set."""
        nonlocal offset, kept, template
        offset = clock.wall() - clock.now() + _HALF_STEP_S
        kept = int(moment + offset)
        template = _lay_out(pieces, kept, split(kept))
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


def _lay_out(pieces: list, second: int, moment: time.struct_time) -> bytes:
    found = []
    for piece in pieces:
        if type(piece) is int:
            found.append(f"%0{piece}d")
        else:
            found.append(str(second) if piece is None else time.strftime(piece, moment).replace("%", "%%"))
    return "".join(found).encode("utf-8", "replace")


def _parse(layout: str) -> tuple[list, tuple]:
    """Return the pieces (strftime text, digits of a fraction, or None for %s) and the scale of each fraction."""
    pieces: list = []
    scales = []
    position = 0
    for found in _PART.finditer(layout.replace("%%", "%\0")):
        pieces.append(layout[position:found.start()])
        position = found.end()
        if found[2]:
            pieces.append(None)
            continue
        digits = int(found[1] or 9)
        pieces.append(digits)
        scales.append(10**digits)
    pieces.append(layout[position:])
    return [piece for piece in pieces if piece != ""], tuple(scales)
