"""The http filter ``rate_limit``: token buckets of this host, or of all machines that share a store.

``config`` is what it is told, ``filter`` what it does with a request, ``key`` what has a bucket of its own. ``store``
is the interface of shared stores, ``shared`` the one in Redis, on ``redis`` (the client), ``resp`` (its protocol) and
``script`` (the bucket as Redis runs it).
"""

from meshd.api import PluginType, hookimpl
from meshd_plugins.rate_limit.config import RateLimit
from meshd_plugins.rate_limit.filter import RateLimitFilter
from meshd_plugins.rate_limit.key import MAX_KEY_BYTES

__all__ = ["MAX_KEY_BYTES", "RateLimit", "RateLimitFilter"]


@hookimpl
def meshd_plugins():
    """Offer the filter."""
    return [
        PluginType(
            kind="http_filter", name="rate_limit", config=RateLimit, build=RateLimitFilter,
            doc="Limits the rate of requests with token buckets.",
        )
    ]
