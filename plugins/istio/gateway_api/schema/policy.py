"""ReferenceGrant and BackendTLSPolicy: who may be referred to, and how a backend is spoken to."""

from meshd.api import Choice, ListOf, MapOf, Nested, Text, camel_config, option
from meshd_plugins.istio.gateway_api.schema.reference import (
    GROUP_NAME, HOSTNAME, KIND_NAME, NAMESPACE, OBJECT_NAME, PRECISE_HOSTNAME, QUALIFIED, SECTION_NAME,
    LocalObjectReference,
)


@camel_config
class ReferenceGrantFrom:
    """Who may refer."""

    group: str = option(GROUP_NAME, doc="group of the referring object")
    kind: str = option(KIND_NAME, doc="its kind")
    namespace: str = option(NAMESPACE, doc="its namespace")


@camel_config
class ReferenceGrantTo:
    """What may be referred to, in the grant's namespace."""

    group: str = option(GROUP_NAME, doc="its group ('' is the core)")
    kind: str = option(KIND_NAME, doc="its kind")
    name: str | None = option(OBJECT_NAME, default=None, doc="its name (all of the kind)")


@camel_config
class ReferenceGrant:
    """References from other namespaces that are allowed."""

    from_: tuple[ReferenceGrantFrom, ...] = option(
        ListOf(item=Nested(ReferenceGrantFrom), minimum=1, maximum=16), doc="from any of these", key="from"
    )
    to: tuple[ReferenceGrantTo, ...] = option(
        ListOf(item=Nested(ReferenceGrantTo), minimum=1, maximum=16), doc="to any of these"
    )


@camel_config
class PolicyTarget:
    """What a policy speaks of."""

    group: str = option(GROUP_NAME, doc="its group")
    kind: str = option(KIND_NAME, doc="its kind")
    name: str = option(OBJECT_NAME, doc="its name")
    section_name: str | None = option(SECTION_NAME, default=None, doc="one port, by name (all)")


@camel_config
class SubjectAltName:
    """A name that the backend's certificate must have."""

    type: str = option(Choice(("Hostname", "URI")), doc="what it is")
    hostname: str | None = option(HOSTNAME, default=None, doc="a host")
    uri: str | None = option(
        Text(pattern=r"([^:/?#]+:)(//[^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?", minimum=1, maximum=253),
        default=None, doc="a URI"
    )

    def check(self):
        """Yield faults between type and fields."""
        for word, name in (("Hostname", "hostname"), ("URI", "uri")):
            if self.type == word and not getattr(self, name):
                yield name, f"expected {name} with type {word}"
            elif self.type != word and getattr(self, name):
                yield name, f"expected no {name} with type {self.type}"


@camel_config
class BackendTLSPolicyValidation:
    """How the backend's certificate is checked."""

    ca_certificate_refs: tuple[LocalObjectReference, ...] = option(
        ListOf(item=Nested(LocalObjectReference), maximum=8), default=(), doc="ConfigMaps with ca.crt",
        key="caCertificateRefs"
    )
    well_known_ca_certificates: str = option(
        Text(pattern=r"System|[a-z0-9.-]+/[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?|", maximum=253), default="",
        doc="System: those of the machine", key="wellKnownCACertificates"
    )
    hostname: str = option(PRECISE_HOSTNAME, doc="server name that is sent and expected")
    subject_alt_names: tuple[SubjectAltName, ...] = option(
        ListOf(item=Nested(SubjectAltName), maximum=5), default=(), doc="names expected in place of hostname"
    )

    def check(self):
        """Yield a fault unless exactly one source of authorities is given."""
        if self.ca_certificate_refs and self.well_known_ca_certificates:
            yield "well_known_ca_certificates", "expected either caCertificateRefs or wellKnownCACertificates, not both"
        elif not self.ca_certificate_refs and not self.well_known_ca_certificates:
            yield "ca_certificate_refs", "expected caCertificateRefs or wellKnownCACertificates"


@camel_config
class BackendTLSPolicy:
    """TLS to a Service's endpoints."""

    target_refs: tuple[PolicyTarget, ...] = option(
        ListOf(item=Nested(PolicyTarget), minimum=1, maximum=16), doc="Services"
    )
    validation: BackendTLSPolicyValidation = option(Nested(BackendTLSPolicyValidation), doc="whom to trust")
    options: tuple[tuple[str, str], ...] = option(
        MapOf(value=Text(maximum=4096), key=QUALIFIED, maximum=16), default=(), doc="of implementations"
    )

    def check(self):
        """Yield faults of several references to one target."""
        seen = {}
        for ref in self.target_refs:
            sections = seen.setdefault((ref.group, ref.kind, ref.name), [])
            if sections and (ref.section_name is None) != (sections[0] is None):
                yield "target_refs", f"expected sectionName in each of several references to {ref.name!r}"
            elif ref.section_name in sections:
                yield "target_refs", f"expected another sectionName in the second reference to {ref.name!r}"
            sections.append(ref.section_name)
