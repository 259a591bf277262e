"""What the policies of security, telemetry and extensions share: whom they are for."""

from meshd.api import ListOf, Nested, Text, camel_config, option
from meshd_plugins.istio.schema.common import WorkloadSelector

GROUP = r"|[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
TARGETS = frozenset((
    ("", "Service"), ("networking.istio.io", "ServiceEntry"), ("gateway.networking.k8s.io", "Gateway"),
    ("gateway.networking.k8s.io", "GatewayClass"),
))
"""Group and kind of what a policy may be attached to."""

NO_TARGETS = "policies are not attached to targets yet"


@camel_config
class PolicyTargetReference:
    """What a policy is attached to."""

    group: str = option(Text(pattern=GROUP, maximum=253), default="", doc="group of its kind")
    kind: str = option(Text(pattern=r"[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?", maximum=63), doc="kind of it")
    name: str = option(Text(minimum=1, maximum=253), doc="its name")
    namespace: str = option(Text(), default="", doc="must be empty: it is in the policy's namespace")

    def check(self):
        """Yield faults of istiod's."""
        if self.namespace:
            yield "namespace", "expected none: a target in another namespace is not supported"
        if (self.group.removeprefix("core"), self.kind) not in TARGETS:
            yield "kind", (f"expected Service, ServiceEntry of networking.istio.io, Gateway or GatewayClass of "
                           f"gateway.networking.k8s.io, got {self.kind} of {self.group or 'the core group'}")


TARGET_REFS = ListOf(item=Nested(PolicyTargetReference), maximum=16)


def selector_option():
    """Return the field ``selector``."""
    return option(Nested(WorkloadSelector), default=None, doc="workloads of its namespace that it is for (all)")


def target_option():
    """Return the field ``targetRef``."""
    return option(Nested(PolicyTargetReference), default=None, doc="what it is attached to", unsupported=NO_TARGETS)


def targets_option():
    """Return the field ``targetRefs``."""
    return option(TARGET_REFS, default=(), doc="what it is attached to", unsupported=NO_TARGETS)


def one_target(policy):
    """Yield a fault where a policy says in two ways whom it is for."""
    found = [key for key, value in (
        ("selector", policy.selector), ("target_ref", policy.target_ref), ("target_refs", policy.target_refs or None),
    ) if value is not None]
    if len(found) > 1:
        yield found[1], "expected at most one of selector, targetRef, targetRefs"
