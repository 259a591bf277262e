"""AuthorizationPolicy (security.istio.io): which requests and connections are let in."""

from meshd.api import Choice, ListOf, Nested, Text, camel_config, option, options
from meshd_plugins.istio.schema.common import WorkloadSelector, keys_of
from meshd_plugins.istio.schema.attribute import (
    account_fault, attribute_faults, domain_fault, path_fault, port_fault,
)
from meshd_plugins.istio.schema.form import deeper, each, subnet_fault
from meshd_plugins.istio.schema.policy import (
    PolicyTargetReference, one_target, selector_option, target_option, targets_option,
)

HTTP_ONLY = ("namespaces", "not_namespaces", "service_accounts", "not_service_accounts", "trust_domains",
             "not_trust_domains", "principals", "not_principals", "request_principals", "not_request_principals")
"""What action CUSTOM may not ask of a source: the provider decides."""

NOT_CUSTOM = ("source.namespace", "source.serviceAccount", "source.trustDomain", "source.principal")
VALUES = ListOf(item=Text(minimum=1))
ACCOUNTS = ListOf(item=Text(minimum=1, maximum=320), maximum=16)


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

    def check(self):
        """Yield faults of values and between fields."""
        if not any(getattr(self, name) for name in SOURCE):
            yield None, "expected at least one field"
        accounts = self.service_accounts or self.not_service_accounts
        if accounts and (self.principals or self.not_principals or self.namespaces or self.not_namespaces):
            yield "service_accounts", "expected no namespaces and principals beside service accounts"
        for name in ("ip_blocks", "not_ip_blocks", "remote_ip_blocks", "not_remote_ip_blocks"):
            yield from each(name, getattr(self, name), subnet_fault)
        for name in ("service_accounts", "not_service_accounts"):
            yield from each(name, getattr(self, name), account_fault)
        for name in ("trust_domains", "not_trust_domains"):
            yield from each(name, getattr(self, name), domain_fault)


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

    def check(self):
        """Yield faults of values."""
        if not any(getattr(self, name) for name in OPERATION):
            yield None, "expected at least one field"
        for name in ("ports", "not_ports"):
            yield from each(name, getattr(self, name), port_fault)
        for name in ("paths", "not_paths"):
            yield from each(name, getattr(self, name), path_fault)


@camel_config
class From:
    """One of several sources."""

    source: Source | None = option(Nested(Source), default=None, doc="the source")

    def check(self):
        """Yield a fault where nothing is given."""
        if self.source is None:
            yield "source", "expected a source"


@camel_config
class To:
    """One of several operations."""

    operation: Operation | None = option(Nested(Operation), default=None, doc="the operation")

    def check(self):
        """Yield a fault where nothing is given."""
        if self.operation is None:
            yield "operation", "expected an operation"


@camel_config
class Condition:
    """A further condition."""

    key: str = option(Text(), doc="attribute, such as request.headers[version]")
    values: tuple[str, ...] = _values("values of which it must have one")
    not_values: tuple[str, ...] = _values("values that it must not have")

    def check(self):
        """Yield faults of the attribute and its values."""
        if not self.key:
            yield "key", "expected an attribute, got nothing"
        elif not self.values and not self.not_values:
            yield None, "expected at least one of values, notValues"
        else:
            yield from attribute_faults(self)


@camel_config
class Rule:
    """A source, an operation and conditions; all must hold."""

    from_: tuple[From, ...] | None = option(
        ListOf(item=Nested(From), maximum=512), default=None, doc="any of these sources (all)"
    )
    to: tuple[To, ...] | None = option(ListOf(item=Nested(To)), default=None, doc="any of these operations (all)")
    when: tuple[Condition, ...] = option(ListOf(item=Nested(Condition)), default=(), doc="and all of these conditions")

    def check(self):
        """Yield faults of empty lists, which match nothing."""
        for name in ("from_", "to"):
            if getattr(self, name) == ():
                yield name, "expected at least one item, or no such key"

    def custom_faults(self):
        """Yield faults of what action CUSTOM may not ask for."""
        for place, one in enumerate(self.from_ or ()):
            for name in HTTP_ONLY:
                if getattr(one.source, name):
                    yield ("from", place, "source"), f"expected no {keys_of(one.source, (name,))} with action CUSTOM"
        for place, one in enumerate(self.when):
            if one.key in NOT_CUSTOM or one.key.startswith("request.auth."):
                yield ("when", place, "key"), f"expected another attribute with action CUSTOM, got {one.key}"


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
        if self.rules is None and self.action in ("DENY", "CUSTOM"):
            yield None, f"expected rules with action {self.action}; the rule {{}} is for every request"
        if self.action != "CUSTOM" and self.provider is not None:
            yield "provider", "expected none but with action CUSTOM"
        if self.action == "CUSTOM" and self.rules is not None:
            if self.provider is None or not self.provider.name:
                yield "provider", "expected a provider's name with action CUSTOM"
            for place, rule in enumerate(self.rules):
                yield from deeper(("rules", place), rule.custom_faults())


SOURCE = tuple(field.name for field in options(Source))
OPERATION = tuple(field.name for field in options(Operation))
