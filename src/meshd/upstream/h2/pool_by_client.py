"""Connections of the version of HTTP that each client speaks (``use_downstream_protocol``): a pool of each."""

from typing import Any

from meshd.upstream.h2.pool import StreamPool
from meshd.upstream.pool import Pool


class PoolByClient(Pool):
    """A pool of HTTP/1.1 with one of HTTP/2, ``streams``, beside it."""

    __slots__ = ("streams",)

    protocol = "use_downstream_protocol"
    kind = StreamPool

    def __init__(self, world: Any, address: str) -> None:
        super().__init__(world, address)
        self.streams = self.kind(world, address)

    def bind(self, cluster: Any) -> None:
        """Take settings and counters from ``cluster`` from now on."""
        super().bind(cluster)
        self.streams.bind(cluster)

    def bind_as(self, other: Any) -> None:
        """Take what ``other`` has from its cluster."""
        super().bind_as(other)
        self.streams.bind_as(other.streams)

    def call(self, name: Any) -> None:
        """Find addresses by ``name`` from now on."""
        self.name = self.streams.name = name

    def take(self, attempt: Any) -> Any:
        """Take a lease from one of the pools."""
        return self.streams.take(attempt) if attempt.version == 20 else super().take(attempt)

    def give_up(self, attempt: Any) -> None:
        """``attempt`` waits no more."""
        super().give_up(attempt)
        self.streams.give_up(attempt)

    def every(self) -> list[Pool]:
        """Return this pool, that of streams, and those below them."""
        return [*super().every(), *self.streams.every()]

    def retire(self) -> None:
        """Close what is idle now and the rest when it comes back."""
        super().retire()
        self.streams.retire()
