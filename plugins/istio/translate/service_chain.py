"""Filter chains of a sidecar for a service that is not HTTP: rules for TLS by server name, rules for TCP, the service.

Istio's order: the ``tls`` rules; a service of TLS without any has its own name for SNI; else the ``tcp`` rules, and
what they leave goes to the service.
"""

import attrs

from meshd_plugins.istio.emit import seconds
from meshd_plugins.istio.translate.listener import listener_name
from meshd_plugins.istio.translate.tcp import proxy, tcp_chain, tcp_chains, tls_chains

TLS = frozenset(("tls", "https"))
ANY = "0.0.0.0"
RAW = "raw_buffer"
DETECTION_S = 0.2
"""Clients are near, and those of protocols in which the server speaks first are not kept waiting for long."""
INSPECTOR = {"tls_inspector": {"detection_timeout": seconds(DETECTION_S)}}


@attrs.frozen
class Where:
    """Connections that chains are for: the service's ``number``, the ``port`` to match (None: any), networks.

    ``is_detected``: a chain of HTTP takes what is found to be that, those of bytes take the rest.
    """

    base: str
    number: int
    port: int | None
    networks: tuple
    is_detected: bool = False

    def kinds(self, names):
        """Yield (word, transport protocol) of the chains of bytes beside one of HTTP, which takes plain text alone.

        There is no way back from ``raw_buffer`` to a chain of any transport, so the rest takes two.
        """
        return (("raw", RAW), ("tcp", None)) if self.is_detected and not names else (("", None),)


class ServiceChains:
    """Gathers chains; of two that match the same the first stays. ``found`` has them by their names."""

    def __init__(self, view):
        self.view = view
        self.found = {}
        self.has_names = False
        self._taken = set()
        self._rules = {}

    def add(self, service, number, addresses, wanted, place, *, is_captured=True, is_detected=False):
        """Add the chains of a service's port, for connections to ``addresses`` (to any, where there are none)."""
        is_tls = service.port(number).protocol in TLS
        where = Where(listener_name(addresses[0] if addresses else ANY, number), number,
                      number if is_captured else None, networks_of(addresses), is_detected)
        scope, is_routed, rules = self.view.scope(number), False, self._rules_of(service.host, wanted)
        for rule in rules:
            for names, subnets, filters, at in tls_chains(rule, scope):
                is_routed = True
                self._chain(where, subnets, [one.lower() for one in names], filters, at)
        if is_tls and not is_routed:
            names = [] if addresses or service.host == "*" else [service.host]
            self._chain(where, (), names, self._to(service, number, place), place)
        elif not is_tls:
            self._bytes(where, service, [chain for one in rules for chain in tcp_chains(one, scope)], place)

    def take(self, number, addresses):
        """Keep the connections to a port and addresses for a chain of somebody else's."""
        self._taken.update((number, one, "", ()) for one in networks_of(addresses) or ("",))

    def _rules_of(self, host, wanted):
        wanted = tuple(wanted)
        if wanted not in self._rules:
            self._rules[wanted] = self.view.rules(wanted)
        return self.view.rules_of(host, self._rules[wanted])

    def _to(self, service, number, place):
        return proxy(service.host, number, "", self.view.clusters, place)

    def _bytes(self, where, service, routed, place):
        for subnets, sources, filters in routed:
            self._chain(where, subnets, [], filters, place, tuple(sources))
        if not any(not subnets and not sources for subnets, sources, _ in routed):
            self._chain(where, (), [], self._to(service, where.number, place), place)

    def _chain(self, where, subnets, names, filters, place, sources=()):
        networks = tuple(subnets) or where.networks

        def keys(name):
            return {(where.port, one, name, sources) for one in networks or ("",)}
        free = [one for one in names or [""] if not keys(one) & self._taken]
        if not free:
            return
        self._taken.update(*map(keys, free))
        self.has_names = self.has_names or bool(names)
        is_plain = not names and not sources and networks == where.networks
        words = [] if is_plain else [
            free[0].replace("*", "_"), *(one.replace(":", "_") for one in (*sources, *networks[:1]))]
        for kind, transport in where.kinds(names):
            name = "|".join((where.base, *(one for one in (*words, kind) if one)))[-200:]
            self.found.setdefault(name, tcp_chain(place, name, {
                "destination_port": where.port, "prefix_ranges": networks or None,
                "server_names": free if names else None, "transport_protocol": transport,
                "source_prefix_ranges": list(sources) or None}, filters))


def networks_of(addresses):
    """Return the networks that hold these addresses alone; networks are kept."""
    return tuple(one if "/" in one else f"{one}/{128 if ':' in one else 32}" for one in addresses)
