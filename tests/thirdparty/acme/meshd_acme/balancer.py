"""The load balancer ``acme_sticky``: requests with the same x-acme-key go to the same endpoint."""

import zlib

from zope.interface import implementer

from meshd.api import ILoadBalancer


@implementer(ILoadBalancer)
class Sticky:
    """One object for each cluster."""

    def __init__(self):
        self._endpoints = ()

    def update(self, endpoints):
        """Take the usable endpoints, in an order that does not depend on theirs."""
        self._endpoints = tuple(sorted(endpoints, key=lambda endpoint: endpoint.address))

    def pick(self, exchange):
        """Return the key's endpoint; the next one where it was tried already."""
        key = exchange.request.headers.get(b"x-acme-key") or b""
        place = zlib.crc32(key) + len(exchange.tried)
        return self._endpoints[place % len(self._endpoints)] if self._endpoints else None
