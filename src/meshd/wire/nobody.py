"""Stands for a connection that has closed: its socket, codec and timer are tied to this, so that the connection is
freed at once and not when the garbage collector comes by. That never does where a reload came while it was open: what
there is at a reload is frozen. Used by ``downstream``, ``upstream`` and the dialer.
"""

from typing import Any


class Nobody:
    """Hears everything that a descriptor or a codec says, and does nothing."""

    def hear(self, said: Any = None) -> None:
        """Ignore it."""

    received = received_eof = drained = lost = on_request = on_body = on_end = hear


NOBODY = Nobody()


def part(connection: Any) -> None:
    """Undo the ties between a closed connection and its parts; its codec is the caller's."""
    rest(connection.timer)
    if connection.descriptor is not None:
        connection.descriptor.owner = NOBODY


def rest(timer: Any) -> None:
    """End a timer, and its tie to its owner."""
    timer.end()
    timer.fire = NOBODY.hear
