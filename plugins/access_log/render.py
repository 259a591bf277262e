"""The maker of a text format's lines, called by ``line``. Twin of ``render.pyx``, which writes the line in C."""

from collections.abc import Callable
from typing import Any


def make(parts: list, write: Callable[[bytes], Any], matches: Callable | None, generate: Callable) -> Callable:
    """Return a callable(exchange) that writes its line where it ``matches`` (all do when None).

    ``parts`` are literal text and Terms. ``generate(write, matches)`` returns such a callable as a generated function:
    Python has no quicker way than that.
    """
    return generate(write, matches)
