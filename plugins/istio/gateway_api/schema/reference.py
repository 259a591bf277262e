"""Names and references that all Gateway API documents share."""

from meshd.api import Integer, ListOf, Nested, Text, camel_config, option
from meshd_plugins.istio.gateway_api.kinds import GROUP

LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
DOMAIN = rf"{LABEL}(\.{LABEL})*"

PORT = Integer(minimum=1, maximum=65535)
HOSTNAME = Text(pattern=rf"(\*\.)?{DOMAIN}", minimum=1, maximum=253)
PRECISE_HOSTNAME = Text(pattern=DOMAIN, minimum=1, maximum=253)
GROUP_NAME = Text(pattern=rf"({DOMAIN})?", maximum=253)
KIND_NAME = Text(pattern=r"[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?", minimum=1, maximum=63)
OBJECT_NAME = Text(minimum=1, maximum=253)
NAMESPACE = Text(pattern=LABEL, minimum=1, maximum=63)
SECTION_NAME = Text(pattern=DOMAIN, minimum=1, maximum=253)
HEADER_NAME = Text(pattern=r"[A-Za-z0-9!#$%&'*+\-.^_`|~]+", minimum=1, maximum=256)
QUALIFIED = Text(pattern=rf"({DOMAIN}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?", minimum=1, maximum=253)
CONTROLLER = Text(pattern=rf"{DOMAIN}/[A-Za-z0-9/\-._~%!$&'()*+,;=:]+", minimum=1, maximum=253)


@camel_config
class ParentReference:
    """What a route wants to be attached to."""

    group: str = option(GROUP_NAME, default=GROUP, doc="its group ('' for a Service)")
    kind: str = option(KIND_NAME, default="Gateway", doc="Gateway, ListenerSet or Service")
    namespace: str | None = option(NAMESPACE, default=None, doc="its namespace (the route's)")
    name: str = option(OBJECT_NAME, doc="its name")
    section_name: str | None = option(SECTION_NAME, default=None, doc="a listener, a Service's port (all)")
    port: int | None = option(PORT, default=None, doc="listeners with this port, a Service's port (all)")


PARENT_REFS = option(
    ListOf(item=Nested(ParentReference), maximum=32), default=(), doc="Gateways, ListenerSets or Services to attach to"
)
USE_DEFAULT_GATEWAYS = option(
    Text(maximum=16), default="", doc="attach to default Gateways (All, None)",
    unsupported="no Gateway is a default one"
)


def parent_faults(refs):
    """Yield the faults of several references to one parent."""
    seen = {}
    for ref in refs:
        key = ref.group, ref.kind, ref.name, ref.namespace
        first = seen.setdefault(key, [])
        for other in first:
            if (other.section_name is None, other.port is None) != (ref.section_name is None, ref.port is None):
                yield "parent_refs", ("expected sectionName or port in each of several references to "
                                      f"{ref.kind} {ref.name!r}")
            elif (other.section_name, other.port) == (ref.section_name, ref.port):
                yield "parent_refs", (f"expected another sectionName or port in the second reference to {ref.kind} "
                                      f"{ref.name!r}")
        first.append(ref)


@camel_config
class LocalObjectReference:
    """An object of the same namespace."""

    group: str = option(GROUP_NAME, doc="its group ('' is the core)")
    kind: str = option(KIND_NAME, doc="its kind")
    name: str = option(OBJECT_NAME, doc="its name")


@camel_config
class ObjectReference:
    """An object."""

    group: str = option(GROUP_NAME, doc="its group ('' is the core)")
    kind: str = option(KIND_NAME, doc="its kind")
    name: str = option(OBJECT_NAME, doc="its name")
    namespace: str | None = option(NAMESPACE, default=None, doc="its namespace (ours)")


@camel_config
class SecretObjectReference:
    """A Secret with a certificate."""

    group: str = option(GROUP_NAME, default="", doc="its group")
    kind: str = option(KIND_NAME, default="Secret", doc="its kind")
    name: str = option(OBJECT_NAME, doc="its name")
    namespace: str | None = option(NAMESPACE, default=None, doc="its namespace (ours)")


@camel_config
class BackendObjectReference:
    """A Service and its port."""

    group: str = option(GROUP_NAME, default="", doc="its group")
    kind: str = option(KIND_NAME, default="Service", doc="its kind")
    name: str = option(OBJECT_NAME, doc="its name")
    namespace: str | None = option(NAMESPACE, default=None, doc="its namespace (ours; another needs a ReferenceGrant)")
    port: int | None = option(PORT, default=None, doc="its port")

    def check(self):
        """Yield a fault for a Service without a port."""
        yield from port_faults(self)


def port_faults(ref):
    """Yield a fault for a reference to a Service that has no port."""
    if ref.group == "" and ref.kind == "Service" and ref.port is None:
        yield "port", "expected a port beside a Service"


WEIGHT = option(Integer(maximum=1_000_000), default=1, doc="share is weight / sum of weights")


@camel_config
class BackendRef:
    """One share of a TCP or TLS route."""

    group: str = option(GROUP_NAME, default="", doc="its group")
    kind: str = option(KIND_NAME, default="Service", doc="its kind")
    name: str = option(OBJECT_NAME, doc="its name")
    namespace: str | None = option(NAMESPACE, default=None, doc="its namespace (ours; another needs a ReferenceGrant)")
    port: int | None = option(PORT, default=None, doc="its port")
    weight: int = WEIGHT

    def check(self):
        """Yield a fault for a Service without a port."""
        yield from port_faults(self)


def names_fault(rules):
    """Yield a fault for each name of a rule that stands twice."""
    seen = set()
    for rule in rules:
        if rule.name is not None:
            if rule.name in seen:
                yield "rules", f"expected another name, {rule.name!r} is taken"
            seen.add(rule.name)
