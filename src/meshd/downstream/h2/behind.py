"""What an HTTP/2 connection writes behind all else: the ping after a GOAWAY, resets after answers that are whole."""

from typing import Any

from meshd.http.h2.code import NO_ERROR

LAST_CALL = b"lastcall"


def write(connection: Any, descriptor: Any) -> None:
    """Write it; everything before it has been."""
    session = connection.session
    if connection.is_calling:
        connection.is_calling = False
        session.ping(LAST_CALL)
    end_cut(connection)
    data = session.take()
    if data:
        descriptor.send(data)


def end_cut(connection: Any) -> None:
    """Tell clients that the rest of requests which have been answered is not wanted (RFC 9113 8.1)."""
    waiting = []
    for stream in connection.cut:
        if stream.is_ended or stream.stream_id not in connection.streams:
            continue
        if connection.session.queued(stream.stream_id):
            waiting.append(stream)
        else:
            connection.reset(stream, NO_ERROR)
    connection.cut = waiting
