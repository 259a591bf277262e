"""The client of ``meshd.testing`` with an address of its own for each connection, and with bytes one by one."""

import itertools

from meshd.testing import client
from meshd.testing.client import Answer as Heard
from meshd.testing.field import SIZE, Cut, fields_of

LIMIT_S = 20.0

__all__ = ["LIMIT_S", "SIZE", "Client", "Cut", "Heard", "fields_of", "pieces"]


def pieces(data, mode):
    """Return ``data`` as it is written: ``whole``, or ``split`` byte by byte (large ones in some hundred pieces)."""
    if mode == "whole":
        return [data]
    size = 1 if len(data) < 4000 else 509
    return [data[at:at + size] for at in range(0, len(data), size)]


class Client(client.Client):
    """One connection. ``host`` is its address, and no other's."""

    numbers = itertools.count()

    def __init__(self, port, limit_s=LIMIT_S):
        number = next(self.numbers)
        self.host = f"127.{1 + (number >> 14) % 250}.{(number >> 7) % 128}.{1 + number % 128}"
        super().__init__(port, limit_s=limit_s, source=self.host)

    def send(self, data, mode="whole"):
        """Send all that the peer takes; say whether that was all."""
        return all(map(super().send, pieces(data, mode)))
