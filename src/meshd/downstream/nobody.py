"""Stands for a connection that has closed: its socket, codec and timer are tied to this, so that the connection is
freed at once and not when the garbage collector comes by.
"""

from typing import Any


class Nobody:
    """Hears everything that a descriptor or a codec says, and does nothing."""

    def hear(self, said: Any = None) -> None:
        """Ignore it."""

    received = received_eof = drained = lost = on_request = on_body = on_end = hear


NOBODY = Nobody()


def part(connection: Any) -> None:
    """Undo the ties between a closed connection and its parts."""
    connection.timer.end()
    connection.timer.fire = NOBODY.hear
    connection.parser.sink = NOBODY
    connection.descriptor.owner = NOBODY
