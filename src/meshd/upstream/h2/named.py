"""Pools of endpoints that are made while requests come in (``upstream/made.py``), of HTTP/2."""

from meshd.upstream.h2.pool import StreamPool
from meshd.upstream.h2.pool_by_client import PoolByClient
from meshd.upstream.made import Named


class NamedStreamPool(Named, StreamPool):
    """Of HTTP/2."""


class NamedPoolByClient(Named, PoolByClient):
    """Of what the client speaks."""

    kind = NamedStreamPool
