"""AuthorizationPolicy (security.istio.io): which requests and connections are let in."""

from meshd.api import Choice, ListOf, Nested, Text, camel_config, option
from meshd_plugins.istio.schema.common import WorkloadSelector
from meshd_plugins.istio.schema.policy import (
    PolicyTargetReference, one_target, selector_option, target_option, targets_option,
)

VALUES = ListOf(item=Text())
ACCOUNTS = ListOf(item=Text(maximum=320), maximum=16)


def _values(doc, spec=VALUES):
    return option(spec, default=(), doc=doc)


@camel_config
class Source:
    """Where a request comes from; all that is given must hold."""

    principals: tuple[str, ...] = _values("identities of peers")
    not_principals: tuple[str, ...] = _values("identities that peers must not have")
    request_principals: tuple[str, ...] = _values("identities in tokens, as issuer/subject")
    not_request_principals: tuple[str, ...] = _values("identities that tokens must not have")
    namespaces: tuple[str, ...] = _values("namespaces of peers")
    not_namespaces: tuple[str, ...] = _values("namespaces that peers must not have")
    service_accounts: tuple[str, ...] = _values("accounts of peers, as [namespace/]account", ACCOUNTS)
    not_service_accounts: tuple[str, ...] = _values("accounts that peers must not have", ACCOUNTS)
    ip_blocks: tuple[str, ...] = _values("addresses of peers")
    not_ip_blocks: tuple[str, ...] = _values("addresses that peers must not have")
    remote_ip_blocks: tuple[str, ...] = _values("addresses of clients (x-forwarded-for, PROXY protocol)")
    not_remote_ip_blocks: tuple[str, ...] = _values("addresses that clients must not have")
    trust_domains: tuple[str, ...] = _values("trust domains of peers")
    not_trust_domains: tuple[str, ...] = _values("trust domains that peers must not have")


@camel_config
class Operation:
    """What is asked for; all that is given must hold."""

    hosts: tuple[str, ...] = _values("hosts")
    not_hosts: tuple[str, ...] = _values("hosts that it must not be")
    ports: tuple[str, ...] = _values("ports")
    not_ports: tuple[str, ...] = _values("ports that it must not be")
    methods: tuple[str, ...] = _values("methods")
    not_methods: tuple[str, ...] = _values("methods that it must not be")
    paths: tuple[str, ...] = _values("paths")
    not_paths: tuple[str, ...] = _values("paths that it must not be")


@camel_config
class From:
    """One of several sources."""

    source: Source | None = option(Nested(Source), default=None, doc="the source")


@camel_config
class To:
    """One of several operations."""

    operation: Operation | None = option(Nested(Operation), default=None, doc="the operation")


@camel_config
class Condition:
    """A further condition."""

    key: str = option(Text(), doc="attribute, such as request.headers[version]")
    values: tuple[str, ...] = _values("values of which it must have one")
    not_values: tuple[str, ...] = _values("values that it must not have")


@camel_config
class Rule:
    """A source, an operation and conditions; all must hold."""

    from_: tuple[From, ...] | None = option(
        ListOf(item=Nested(From), maximum=512), default=None, doc="any of these sources (all)"
    )
    to: tuple[To, ...] | None = option(ListOf(item=Nested(To)), default=None, doc="any of these operations (all)")
    when: tuple[Condition, ...] = option(ListOf(item=Nested(Condition)), default=(), doc="and all of these conditions")


@camel_config
class ExtensionProvider:
    """Who decides (CUSTOM)."""

    name: str = option(Text(), default="", doc="one of the mesh's extension providers")


@camel_config
class AuthorizationPolicy:
    """Rules; one that matches is enough."""

    selector: WorkloadSelector | None = selector_option()
    target_ref: PolicyTargetReference | None = target_option()
    target_refs: tuple[PolicyTargetReference, ...] = targets_option()
    rules: tuple[Rule, ...] | None = option(
        ListOf(item=Nested(Rule), maximum=512), default=None, doc="the rules (ALLOW without any: nothing is let in)"
    )
    action: str = option(Choice(("ALLOW", "DENY", "AUDIT", "CUSTOM")), default="ALLOW", doc="what a match means")
    provider: ExtensionProvider | None = option(Nested(ExtensionProvider), default=None, doc="who decides (CUSTOM)")

    def check(self):
        """Yield faults between fields."""
        yield from one_target(self)
