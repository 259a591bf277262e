"""The http filter ``rate_limit_service``: asks a rate-limit service, in Envoy's protocol (RLS v3) over gRPC.

``config`` is what it is told, ``action`` what makes the descriptors of a request, ``wire`` the protocol's messages,
``filter`` what is done with the answer.
"""

from meshd.api import PluginType, hookimpl
from meshd_plugins.rate_limit_service.config import RateLimitService
from meshd_plugins.rate_limit_service.filter import RateLimitServiceFilter

__all__ = ["RateLimitService", "RateLimitServiceFilter"]


@hookimpl
def meshd_plugins():
    """Offer the filter."""
    return [
        PluginType(
            kind="http_filter", name="rate_limit_service", config=RateLimitService, build=RateLimitServiceFilter,
            doc="Asks a rate-limit service (Envoy's RLS v3) about each request.",
        )
    ]
