"""VirtualService (networking.istio.io): how requests and connections for hosts are routed."""

from meshd.api import ListOf, Nested, Text, camel_config, option
from meshd_plugins.istio.schema.common import HOST, NAMESPACES
from meshd_plugins.istio.schema.form import (
    MESH, deeper, each, gateway_name_fault, is_ip, is_within, overlaps, sni_fault, wildcard_fault,
)
from meshd_plugins.istio.schema.header import is_claim
from meshd_plugins.istio.schema.http_route import HTTPRoute, weight_faults
from meshd_plugins.istio.schema.match import L4MatchAttributes, TLSMatchAttributes
from meshd_plugins.istio.schema.route import RouteDestination


@camel_config
class TLSRoute:
    """A rule for TLS that passes through."""

    match: tuple[TLSMatchAttributes, ...] = option(
        ListOf(item=Nested(TLSMatchAttributes), minimum=1), doc="any of these"
    )
    route: tuple[RouteDestination, ...] = option(ListOf(item=Nested(RouteDestination)), default=(), doc="where to")

    def check(self):
        """Yield faults of the shares."""
        if not self.route:
            yield "route", "expected at least one destination"
        yield from weight_faults(self.route)


@camel_config
class TCPRoute:
    """A rule for TCP."""

    match: tuple[L4MatchAttributes, ...] = option(
        ListOf(item=Nested(L4MatchAttributes)), default=(), doc="any of these"
    )
    route: tuple[RouteDestination, ...] = option(ListOf(item=Nested(RouteDestination)), default=(), doc="where to")

    def check(self):
        """Yield faults of the shares."""
        if not self.route:
            yield "route", "expected at least one destination"
        yield from weight_faults(self.route)


@camel_config
class VirtualService:
    """The rules of some hosts."""

    hosts: tuple[str, ...] = option(ListOf(item=HOST), default=(), doc="who is asked for")
    gateways: tuple[str, ...] = option(
        ListOf(item=Text(minimum=1)), default=(), doc="Gateways, and mesh for sidecars (mesh when empty)"
    )
    http: tuple[HTTPRoute, ...] = option(ListOf(item=Nested(HTTPRoute)), default=(), doc="rules for HTTP")
    tls: tuple[TLSRoute, ...] = option(ListOf(item=Nested(TLSRoute)), default=(), doc="rules for TLS")
    tcp: tuple[TCPRoute, ...] = option(ListOf(item=Nested(TCPRoute)), default=(), doc="rules for TCP")
    export_to: tuple[str, ...] = option(NAMESPACES, default=(), doc="namespaces that see it (*: all)")

    @property
    def is_delegate(self):
        """Say whether its rules stand in other VirtualServices."""
        return not self.hosts

    @property
    def is_for_gateways(self):
        """Say whether it is for gateways only."""
        return bool(self.gateways) and MESH not in self.gateways

    def check(self):
        """Yield faults of the whole; those that need ``metadata`` are in ``validate``."""
        yield from self._delegate_faults()
        yield from each("gateways", self.gateways, gateway_name_fault)
        yield from self._host_faults()
        if not (self.http or self.tls or self.tcp):
            yield None, "expected at least one of http, tls, tcp"
        for place, rule in enumerate(self.http):
            yield from deeper(("http", place), rule.action_faults(self.is_delegate))
        if not self.is_for_gateways:
            yield from self._claim_faults()
        for place, rule in enumerate(self.tls):
            for number, match in enumerate(rule.match):
                yield from deeper(("tls", place, "match", number), self._sni_faults(match))

    def _delegate_faults(self):
        for name in ("gateways", "tls", "tcp"):
            if self.is_delegate and getattr(self, name):
                yield name, "expected none without hosts: such a VirtualService is a delegate, with http only"

    def _host_faults(self):
        has_sni = any(match.sni_hosts for rule in self.tls for match in rule.match)
        fault = sni_fault if self.is_for_gateways and has_sni else wildcard_fault
        found = list(each("hosts", self.hosts, lambda host: "" if is_ip(host) else fault(host)))
        yield from found
        if MESH in self.gateways and "*" in self.hosts:
            yield ("hosts", self.hosts.index("*")), "expected no host * with the gateway mesh"
        elif not found:
            for place, host in enumerate(self.hosts):
                other = next((one for one in self.hosts[:place] if overlaps(one, host)), None)
                if other is not None:
                    yield ("hosts", place), f"expected hosts that do not overlap, {host!r} does with {other!r}"

    def _claim_faults(self):
        for place, rule in enumerate(self.http):
            for number, match in enumerate(rule.match):
                for key, pairs in (("headers", match.headers), ("withoutHeaders", match.without_headers)):
                    for name, _ in pairs:
                        if is_claim(name):
                            yield ("http", place, "match", number, key, name), "expected claims only with gateways"

    def _sni_faults(self, match):
        fault = wildcard_fault if MESH in self.gateways else sni_fault
        for place, host in enumerate(match.sni_hosts):
            found = fault(host)
            if found and not is_ip(host):
                yield ("sniHosts", place), found
            elif not found and not any(is_within(host, one) for one in self.hosts):
                yield ("sniHosts", place), f"expected a name within hosts, got {host!r}"
