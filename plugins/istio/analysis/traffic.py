"""Traffic policies of DestinationRules, walked over: the host's, its ports', its subsets'. For several analyzers."""

BLOCKS = (("load_balancer", "loadBalancer"), ("connection_pool", "connectionPool"),
          ("outlier_detection", "outlierDetection"), ("tls", "tls"))
"""Attribute and key of what a port's settings may replace."""


def levels(spec):
    """Yield (TrafficPolicy, path, Subset or None) of the host's level and of each subset's."""
    if spec.traffic_policy is not None:
        yield spec.traffic_policy, "spec.trafficPolicy", None
    for place, subset in enumerate(spec.subsets):
        if subset.traffic_policy is not None:
            yield subset.traffic_policy, f"spec.subsets[{place}].trafficPolicy", subset


def ports(policy, path):
    """Yield (PortTrafficPolicy, path) of a TrafficPolicy."""
    for place, one in enumerate(policy.port_level_settings):
        yield one, f"{path}.portLevelSettings[{place}]"


def policies(spec):
    """Yield (policy, path) of every level, ports included."""
    for policy, path, _ in levels(spec):
        yield policy, path
        yield from ports(policy, path)
