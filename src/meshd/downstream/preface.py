"""HTTP/2 by prior knowledge: whether a connection's first bytes are its preface (RFC 9113 3.3). HTTP/1.1 asks this."""

from typing import Any

from meshd.downstream.h2.connection import H2Connection
from meshd.http.h2.code import PREFACE
from meshd.wire.nobody import NOBODY, part


def sniff(connection: Any, data: bytes) -> bytes:
    """Return what is for HTTP/1.1's codec; nothing where the preface comes first, or may."""
    data = connection.early + data
    if not PREFACE.startswith(data[:24]):
        connection.early = None
        return data
    if len(data) < 24:
        connection.early = data
        connection.expect_head()
    else:
        switch(connection, data)
    return b""


def switch(connection: Any, data: bytes) -> None:
    """The client speaks HTTP/2: go on as such a connection."""
    part(connection)
    connection.parser.sink = NOBODY
    listener = connection.listener
    other = H2Connection(listener, connection.descriptor, connection.peer, connection.host, connection.local)
    listener.swap(connection, other)
    if connection.is_draining:
        other.drain()
    other.received(data)
