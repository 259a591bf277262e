"""The load balancer ``least_request``: the endpoint with fewer requests in flight."""

from meshd.api import Integer, Number, PluginType, config, hookimpl, option
from meshd_plugins.least_request.balancer import LeastRequest


@config
class LeastRequestOptions:
    """How the endpoint with the fewest requests is found."""

    choice_count: int = option(Integer(minimum=2, maximum=1000), default=2, doc="endpoints drawn for each pick")
    active_request_bias: float = option(
        Number(maximum=10.0), default=1.0,
        doc="with unequal weights, how much requests in flight count (0: not at all, as round robin)",
    )


def build(config, site):
    """Return a LeastRequest."""
    return LeastRequest(config or LeastRequestOptions(), site.random)


@hookimpl
def meshd_plugins():
    """Offer the balancer."""
    return [
        PluginType(
            kind="load_balancer", name="least_request", config=LeastRequestOptions, build=build,
            doc="The endpoint with fewer requests in flight, of some drawn at random.",
        )
    ]
