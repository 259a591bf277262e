"""TCPRoute and TLSRoute: connections that are passed on as they are, or behind TLS that ends at the listener."""

import ipaddress

from meshd.api import ListOf, Nested, camel_config, option
from meshd_plugins.istio.gateway_api.schema.reference import (
    HOSTNAME, PARENT_REFS, SECTION_NAME, USE_DEFAULT_GATEWAYS, BackendRef, ParentReference, names_fault, parent_faults,
)


@camel_config
class L4RouteRule:
    """Where connections go."""

    name: str | None = option(SECTION_NAME, default=None, doc="name in logs")
    backend_refs: tuple[BackendRef, ...] = option(
        ListOf(item=Nested(BackendRef), minimum=1, maximum=16), doc="where to"
    )


RULES = option(ListOf(item=Nested(L4RouteRule), minimum=1, maximum=16), doc="the rules")


@camel_config
class TCPRoute:
    """Rules for TCP connections."""

    parent_refs: tuple[ParentReference, ...] = PARENT_REFS
    use_default_gateways: str = USE_DEFAULT_GATEWAYS
    rules: tuple[L4RouteRule, ...] = RULES

    def check(self):
        """Yield faults between fields."""
        yield from parent_faults(self.parent_refs)
        yield from names_fault(self.rules)


@camel_config
class TLSRoute:
    """Rules for TLS connections, by server name."""

    parent_refs: tuple[ParentReference, ...] = PARENT_REFS
    use_default_gateways: str = USE_DEFAULT_GATEWAYS
    hostnames: tuple[str, ...] = option(ListOf(item=HOSTNAME, maximum=1024), default=(), doc="server names (any)")
    rules: tuple[L4RouteRule, ...] = RULES

    def check(self):
        """Yield faults between fields."""
        yield from parent_faults(self.parent_refs)
        yield from names_fault(self.rules)
        for name in self.hostnames:
            if _is_address(name):
                yield "hostnames", f"expected no IP address, got {name!r}"


def _is_address(text):
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
