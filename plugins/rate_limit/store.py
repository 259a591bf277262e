"""Where the tokens are: the interface of stores beside the host's own buckets, and what they answer.

A store is asked once for each request, over the network as a rule. ``shared`` keeps buckets in Redis. Envoy's
rate-limit service is to be another: ``Limit.name`` is its domain, (``Limit.kind``, value) its descriptor, its answer a
``Verdict``.
"""

import attrs
from zope.interface import Interface


class StoreError(Exception):
    """No verdict could be had. ``reason`` is timeout, connection, reply or overflow; the text says more."""

    def __init__(self, reason, text):
        super().__init__(text)
        self.reason = reason


@attrs.frozen
class Limit:
    """What is limited: ``name`` is the same on all machines that share it, ``kind`` the configured ``key``."""

    name: str
    kind: str
    rate_per_s: float
    burst: int


@attrs.frozen
class Verdict:
    """``level`` is how many tokens were left after it."""

    is_admitted: bool
    level: float
    limit: Limit

    def available(self, now):
        """Return the level; ``now`` has no part in it (the face of a TokenBucket)."""
        return self.level

    def wait_s(self, now):
        """Return the seconds until there is a token."""
        return max(0.0, 1.0 - self.level) / self.limit.rate_per_s

    def full_s(self, now):
        """Return the seconds until the bucket is full."""
        return (self.limit.burst - self.level) / self.limit.rate_per_s


class IRateLimitStore(Interface):
    """Decides on requests for a ``rate_limit`` filter."""

    def ask(limit, value):
        """Return a Deferred of the Verdict on one request with this value of the key (None, or at most 64 bytes).

        Fails with StoreError, no later than the store's timeout. Cancelling it is how a client's leaving is told.
        """

    def start():
        """Open what has to be opened: a runtime uses it from now on."""

    def describe():
        """Return words for people: ``redis at cluster X``."""
