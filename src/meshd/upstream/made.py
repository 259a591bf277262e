"""Endpoints that are made while requests come in, for balancers that find them by the request (``site.endpoint``).

They belong to no endpoint set: whoever had them made keeps them, and lets go of them by ``retire``. Their connections
and requests count as the cluster's.
"""

from typing import Any

from meshd.http import flag
from meshd.model.cluster import AUTO, HTTP1, HTTP2
from meshd.upstream.endpoint import Endpoint
from meshd.upstream.pool import Pool

UNRESOLVED = flag.DF
"""The response flag where the name has no address."""


class Named:
    """Makes a pool one whose addresses come from ``name``: ``ask(then)``, ``next_target()`` and ``reason``, as
    ``wire.name`` has.
    """

    def on_dial_failed(self, connection: Any, reason: str) -> None:
        """A dial failed (Pool); where there is no address nobody who waits can be served."""
        if reason != self.name.reason:
            super().on_dial_failed(connection, reason)
            return
        self.dialing -= 1
        self.forget(connection)
        while self.waiters:
            self.next_waiter().on_failure(UNRESOLVED, reason, False)


class NamedPool(Named, Pool):
    """Of HTTP/1.1."""


def named_pool(cluster: Any, address: str) -> Pool:
    """Return a pool for the cluster's protocol."""
    protocol = cluster.spec.protocol
    if protocol == HTTP1:
        return NamedPool(cluster.world, address)
    from meshd.upstream.h2 import named
    kinds = {HTTP2: named.NamedStreamPool, AUTO: named.NamedPoolByAlpn}
    return kinds.get(protocol, named.NamedPoolByClient)(cluster.world, address)


def make_endpoint(cluster: Any, spec: Any, name: Any) -> Endpoint:
    """Return an endpoint of a live cluster with the address of ``spec``, to which ``name`` knows the way."""
    pool = named_pool(cluster, spec.address)
    pool.call(name)
    pool.bind(cluster)
    return Endpoint(spec, pool)
