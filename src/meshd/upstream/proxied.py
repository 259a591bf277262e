"""Pools of upstreams that want a PROXY protocol header: a connection belongs to the client that its header names.

Strategy (Envoy's): one pool for each pair of downstream addresses, as a header stands for all requests behind it. What
asks for itself (a plugin's call, a health check) gets a header without addresses. A pool without connections and
waiters is dropped, so there are no more of them than connections and waiting requests.
"""

from typing import Any

from meshd.upstream.pool import Pool
from meshd.wire.proxy_protocol import write

VERSIONS = {"v1": 1, "v2": 2}


def header(version: str, source: str = "", destination: str = "") -> bytes:
    """Return the header of ``version`` (the model's word)."""
    return write(VERSIONS[version], source, destination)


class ClientPool(Pool):
    """The connections for one client of ``owner``, a ProxiedPool."""

    def __init__(self, owner: "ProxiedPool", preface: bytes) -> None:
        super().__init__(owner.world, owner.address)
        self.owner = owner
        self.preface = preface
        self.name = owner.name
        self.bind_as(owner)

    def forget(self, connection: Any) -> None:
        """Uncount a connection (Pool); the last takes the pool along."""
        super().forget(connection)
        self.leave()

    def give_up(self, attempt: Any) -> None:
        """``attempt`` waits no more (Pool)."""
        super().give_up(attempt)
        self.leave()

    def leave(self) -> None:
        """Go, if nothing is here any more."""
        if not self.connections and not self.waiters:
            self.owner.pools.pop(self.preface, None)


class ProxiedPool(Pool):
    """``version`` is the model's word. An attempt that takes from it is told the pool of its client as its own.

    ``client_pool`` is the class of these.
    """

    client_pool = ClientPool

    def __init__(self, world: Any, address: str, version: str) -> None:
        super().__init__(world, address)
        self.version = version
        self.preface = header(version)
        self.pools: dict[bytes, ClientPool] = {}

    def take(self, attempt: Any) -> Any:
        """Take from the pool of the attempt's client."""
        asked = getattr(attempt, "exchange", None)
        preface = header(self.version, asked.peer, asked.local) if asked is not None else self.preface
        pool = self.pools.get(preface)
        if pool is None:
            pool = self.pools[preface] = self.client_pool(self, preface)
        attempt.pool = pool
        connection = pool.take(attempt)
        pool.leave()
        return connection

    def bind(self, cluster: Any) -> None:
        """Take settings and counters from ``cluster`` from now on (Pool)."""
        super().bind(cluster)
        self.bind_all()

    def bind_as(self, other: Pool) -> None:
        """Take what ``other`` has from its cluster (Pool)."""
        super().bind_as(other)
        self.bind_all()

    def bind_all(self) -> None:
        """Hand on what we have from our cluster."""
        for pool in self.pools.values():
            pool.bind_as(self)

    def unused(self) -> int:
        """Return how many connections are idle."""
        return sum(len(pool.idle) for pool in self.pools.values())

    def retire(self) -> None:
        """Close what is idle now and the rest when it comes back."""
        super().retire()
        for pool in list(self.pools.values()):
            pool.retire()
