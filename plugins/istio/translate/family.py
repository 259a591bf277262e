"""Which families of IP a captured node has: those that its document names, else those of its kernel.

A kernel with IPv6 has it from the first address on; whether there is one yet does not matter.
"""

from pathlib import Path

from meshd_plugins.istio.emit import At

V4, V6 = "ipv4", "ipv6"
INTERFACES = Path("/proc/net/if_inet6")


def families(node, interfaces=INTERFACES):
    """Return the families of a node, IPv4 first."""
    if node.ip_families:
        return tuple(sorted(set(node.ip_families)))
    return (V4, V6) if _has_ipv6(interfaces) else (V4,)


def _has_ipv6(interfaces):
    try:
        return bool(interfaces.read_text().strip())
    except OSError:
        return False


def is_of(text, family):
    """Say whether an address or network is of a family."""
    return (":" in text) == (family == V6)


def of_family(chain, family):
    """Return a native filter chain with the networks of one family, None where it has others alone."""
    match = chain.value.get("match") or {}
    networks = match.get("prefix_ranges")
    if not networks:
        return chain
    found = [one for one in networks if is_of(one, family)]
    return At(chain.node, {**chain.value, "match": {**match, "prefix_ranges": found}}) if found else None
