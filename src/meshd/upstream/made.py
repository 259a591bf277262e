"""Endpoints that are made while requests come in, for balancers that find them by the request (``site.endpoint``).

They belong to no endpoint set: whoever had them made keeps them, and lets go of them by ``retire``. Their connections
and requests count as the cluster's.
"""

from typing import Any

from meshd.http import flag
from meshd.upstream.endpoint import Endpoint
from meshd.upstream.pool import Pool
from meshd.upstream.proxied import ClientPool, ProxiedPool

UNRESOLVED = flag.DF
"""The response flag where the name has no address."""


class NamedPool(Pool):
    """A pool whose addresses come from ``name``: ``ask(then)``, ``next_target()`` and ``reason``, as ``wire.name`` has.
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


class NamedClientPool(NamedPool, ClientPool):
    """The same for one client, where connections begin with a PROXY protocol header."""


def make_endpoint(cluster: Any, spec: Any, name: Any) -> Endpoint:
    """Return an endpoint of a live cluster with the address of ``spec``, to which ``name`` knows the way."""
    version = cluster.spec.proxy_protocol
    if version is None:
        pool = NamedPool(cluster.world, spec.address)
    else:
        pool = ProxiedPool(cluster.world, spec.address, version)
        pool.client_pool = NamedClientPool
    pool.name = name
    pool.bind(cluster)
    return Endpoint(spec, pool)
