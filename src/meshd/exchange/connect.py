"""CONNECT that ends here: the bytes behind it go to an endpoint of TCP. ``forward`` calls it in place of a request."""

from typing import Any

from meshd.http import flag as flags
from meshd.http.target import CONNECT

AGREED = b"HTTP/1.1 200 OK\r\n\r\n"
"""What stands for an answer to CONNECT where an endpoint knows nothing of it."""


def refuse(exchange: Any) -> bool:
    """Answer CONNECT on a route that does not serve it; say whether it was."""
    is_asked: bool = exchange.request.method == b"CONNECT"
    if is_asked:
        exchange.reply(404, b"", (), flags.NR, "route_not_found")
    return is_asked


def terminate(exchange: Any, attempt: Any) -> bool:
    """Where the request is CONNECT: what follows is for the endpoint, as it is, and what it sends is for the client.

    Say whether that was so.
    """
    if exchange.request.upgrade != CONNECT:
        return False
    attempt.is_tunnel = exchange.is_tunnel = True
    exchange.deadline = 0.0
    attempt.connection.parser.receive(AGREED)
    if not exchange.is_ended:
        exchange.flush()
    return True
