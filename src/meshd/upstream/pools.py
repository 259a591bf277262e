"""Which pool an endpoint has, by the protocol of its cluster; HTTP/2 is imported with the first cluster that has it."""

from typing import Any

from meshd.model.cluster import AUTO, HTTP1, HTTP2, USE_DOWNSTREAM_PROTOCOL
from meshd.upstream.pool import Pool


def make_pool(world: Any, protocol: str, address: str) -> Pool:
    """Return a pool that is not bound yet."""
    if protocol == HTTP1:
        return Pool(world, address)
    from meshd.upstream.h2.pool import StreamPool
    from meshd.upstream.h2.two_pools import PoolByAlpn, PoolByClient
    return {HTTP2: StreamPool, AUTO: PoolByAlpn, USE_DOWNSTREAM_PROTOCOL: PoolByClient}[protocol](world, address)


def streams_to(metrics: Any, spec: Any) -> Any:
    """Return the HTTP/2 counters of a cluster, None where it does not speak that."""
    if spec.protocol == HTTP1:
        return None
    from meshd.upstream.h2.cells import StreamCells
    return StreamCells(metrics, spec.name)
