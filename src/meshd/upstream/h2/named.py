"""Pools of endpoints that are made while requests come in (``upstream/made.py``), of HTTP/2."""

from meshd.upstream.h2.pool import StreamPool
from meshd.upstream.h2.two_pools import PoolByAlpn, PoolByClient, StreamsByAlpn
from meshd.upstream.made import Named


class NamedStreamPool(Named, StreamPool):
    """Of HTTP/2."""


class NamedPoolByClient(Named, PoolByClient):
    """Of what the client speaks."""

    kind = NamedStreamPool


class NamedStreamsByAlpn(Named, StreamsByAlpn):
    """Of HTTP/2 where that is agreed on."""


class NamedPoolByAlpn(Named, PoolByAlpn):
    """Of what is agreed on."""

    kind = NamedStreamsByAlpn
