"""The traffic policy in force for one port of a host and one of its subsets: DestinationRules put together.

Istio's rules: a port's settings replace the destination's whole, so what they leave out falls to the defaults; a subset
replaces block by block; of several rules for one host the first that has a policy gives it, and subsets are added up.
"""

import attrs

BLOCKS = (
    "load_balancer", "connection_pool", "outlier_detection", "tls", "tunnel", "proxy_protocol", "retry_budget",
)
BY_PORT = ("load_balancer", "connection_pool", "outlier_detection", "tls")


@attrs.frozen(eq=False)
class Policy:
    """One block each, as decoded; None where nothing was said."""

    load_balancer: object = None
    connection_pool: object = None
    outlier_detection: object = None
    tls: object = None
    tunnel: object = None
    proxy_protocol: object = None
    retry_budget: object = None


def policy(rules, subset, port):
    """Return (Policy, the Subset's record or None) for a port number; ``rules`` come from ``Mesh.destination_rule``."""
    top = next((rule.spec.traffic_policy for rule in rules if rule.spec.traffic_policy is not None), None)
    found = _at_port(top, port) or _blocks(Policy(), top)
    record = find_subset(rules, subset)
    own = record.traffic_policy if record is not None else None
    return _at_port(own, port, found) or _blocks(found, own), record


def overlay(base, found):
    """Return the Policy ``found`` with the blocks of ``base`` where it has none."""
    return Policy(**{name: getattr(found, name) or getattr(base, name) for name in BLOCKS})


def find_subset(rules, name):
    """Return the first subset of this name, or None."""
    if not name:
        return None
    return next((one for rule in rules for one in rule.spec.subsets if one.name == name), None)


def _at_port(traffic_policy, port, base=None):
    settings = getattr(traffic_policy, "port_level_settings", ()) or ()
    for one in settings:
        if one.port is not None and one.port.number == port:
            values = {name: getattr(one, name, None) for name in BY_PORT}
            return attrs.evolve(_blocks(base or Policy(), traffic_policy), **values)
    return None


def _blocks(base, traffic_policy):
    given = {name: getattr(traffic_policy, name, None) for name in BLOCKS}
    return attrs.evolve(base, **{name: value for name, value in given.items() if value is not None})
