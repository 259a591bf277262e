"""The retry policy ``retry``: which failed attempts are made again, and when; routes name it, attempts ask it."""

from meshd.api import PluginType, hookimpl
from meshd_plugins.retry.config import Retry
from meshd_plugins.retry.policy import RetryPolicy

__all__ = ["Retry", "RetryPolicy", "build", "meshd_plugins"]


def build(config, site):
    """Return a RetryPolicy; without a configuration, the default one."""
    return RetryPolicy(config or Retry(), site.random, site.clock.wall)


@hookimpl
def meshd_plugins():
    """Offer the policy."""
    return [
        PluginType(
            kind="retry_policy", name="retry", config=Retry, build=build,
            doc="Retries by condition, with jittered exponential back-off.",
        )
    ]
