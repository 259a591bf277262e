"""Listeners of Gateways and ListenerSets: what they take, and their conditions. Made by ``plan``."""

import base64
import binascii

import attrs

from meshd_plugins.istio.gateway_api.condition import (
    ACCEPTED, CONFLICTED, FALSE, PROGRAMMED, RESOLVED, TRUE, UNKNOWN, Condition, bad, good,
)
from meshd_plugins.istio.gateway_api.frontend import INSECURE, NO_FALLBACK, unresolved, validation_of
from meshd_plugins.istio.gateway_api.kinds import GROUP

KINDS = {
    "HTTP": ("HTTPRoute", "GRPCRoute"), "HTTPS": ("HTTPRoute", "GRPCRoute"), "TLS": ("TLSRoute",), "TCP": ("TCPRoute",),
}
"""Protocol -> kinds of routes that it takes."""
FAMILIES = {"HTTP": "http", "HTTPS": "tls", "TLS": "tls", "TCP": "tcp"}
"""Protocols of one family can share a port, told apart by the hostname."""
NO_CERTIFICATE = "no options of ours give a certificate"
CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


@attrs.define(eq=False)
class Listener:
    """One listener: its document (a Gateway or ListenerSet), its Gateway, its spec, and what became of it."""

    owner: object
    gateway: object
    place: int
    spec: object
    is_here: bool
    kinds: tuple = ()
    conditions: dict = attrs.field(factory=dict)
    routes: list = attrs.field(factory=list)
    """(Binding, effective hostnames), for each route that is attached."""

    @property
    def is_programmed(self):
        """Say whether this node serves it."""
        return PROGRAMMED in self.conditions and self.conditions[PROGRAMMED].is_true

    @property
    def title(self):
        """Return ``Gateway default/web, listener http``."""
        return f"{self.owner.title}, listener {self.spec.name}"

    @property
    def clients(self):
        """Return what is asked of clients that speak TLS (FrontendTLSValidation), or None."""
        return validation_of(self.gateway, self.spec.port)

    @property
    def not_yet(self):
        """Return why it cannot be served, though it is right, or ''."""
        tls = self.spec.tls
        if tls is None or tls.mode != "Terminate":
            return ""
        if self.clients is not None and self.clients.mode == INSECURE:
            return NO_FALLBACK
        return "" if tls.certificate_refs else NO_CERTIFICATE

    def judge(self, world):
        """Set the conditions that depend on its own document and on what it refers to; conflicts come later."""
        protocol = self.spec.protocol
        self.kinds, wrong = _kinds(self.spec)
        self._set(_accepted(self.spec))
        self._set(Condition(CONFLICTED, FALSE, "NoConflicts"))
        self._set(_resolved(self, wrong, world) if protocol in KINDS else good(RESOLVED))

    def conflict(self, reason, message):
        """Take it out of the set, as it is not distinct."""
        self._set(Condition(CONFLICTED, TRUE, reason, message))
        self._set(bad(ACCEPTED, reason, message))

    def finish(self, gateway_fault):
        """Set Programmed, when everything else is known; ``gateway_fault`` says why its Gateway is not accepted."""
        self._set(self._programmed(gateway_fault))

    def _programmed(self, gateway_fault):
        accepted, resolved = self.conditions[ACCEPTED], self.conditions[RESOLVED]
        if not accepted.is_true:
            return bad(PROGRAMMED, accepted.reason if self.conditions[CONFLICTED].is_true else "Invalid",
                       accepted.message)
        if gateway_fault:
            return bad(PROGRAMMED, "Invalid", gateway_fault)
        if not resolved.is_true and (resolved.reason != "InvalidRouteKinds" or not self.kinds):
            return bad(PROGRAMMED, "Invalid", resolved.message)
        if self.not_yet:
            return bad(PROGRAMMED, "Pending", self.not_yet)
        if not self.is_here:
            return Condition(PROGRAMMED, UNKNOWN, "Pending", "another node's to serve")
        return good(PROGRAMMED)

    def _set(self, condition):
        self.conditions[condition.type] = condition


def _accepted(spec):
    if spec.protocol not in KINDS:
        return bad(ACCEPTED, "UnsupportedProtocol", f"{spec.protocol} is not served, expected {', '.join(KINDS)}")
    if spec.protocol == "HTTPS" and spec.tls is None:
        return bad(ACCEPTED, "UnsupportedValue", "HTTPS without tls has no certificate")
    return good(ACCEPTED)


def _kinds(spec):
    """Return (kinds that it takes, names of those that it asks for in vain)."""
    able = KINDS.get(spec.protocol, ())
    if not spec.allowed_routes.kinds:
        return able, []
    asked = [(one.group, one.kind) for one in spec.allowed_routes.kinds]
    return (tuple(kind for group, kind in asked if group == GROUP and kind in able),
            [kind for group, kind in asked if group != GROUP or kind not in able])


def _resolved(listener, wrong, world):
    if wrong:
        return bad(RESOLVED, "InvalidRouteKinds",
                   f"{', '.join(wrong)}: {listener.spec.protocol} takes {', '.join(KINDS[listener.spec.protocol])}")
    tls = listener.spec.tls
    for ref in tls.certificate_refs if tls is not None and tls.mode == "Terminate" else ():
        namespace = ref.namespace or listener.owner.namespace
        name = f"{ref.kind} {namespace}/{ref.name}"
        if (ref.group, ref.kind) != ("", "Secret"):
            return bad(RESOLVED, "InvalidCertificateRef", f"{name}: expected a Secret")
        if not world.permits(listener.owner, ref.kind, namespace, ref.name):
            return bad(RESOLVED, "RefNotPermitted", f"{name}: no ReferenceGrant in {namespace} allows it")
        if fault := secret_fault(world.find("Secret", namespace, ref.name)):
            return bad(RESOLVED, "InvalidCertificateRef", f"{name}: {fault}")
    is_end = tls is not None and tls.mode == "Terminate"
    return is_end and unresolved(listener.clients, listener.gateway, world) or good(RESOLVED)


def secret_fault(secret):
    """Return what is wrong with a Secret of a certificate, or ''."""
    if secret is None:
        return "there is no such document"
    data = {**dict(secret.spec.data)}
    plain = dict(secret.spec.string_data)
    for key, mark in (("tls.crt", CERTIFICATE), ("tls.key", b"PRIVATE KEY-----")):
        text = plain[key].encode() if key in plain else _decoded(data.get(key))
        if text is None or mark not in text:
            return f"{key} is no PEM text"
    return ""


def _decoded(text):
    try:
        return None if text is None else base64.b64decode(text, validate=False)
    except (binascii.Error, ValueError):
        return None


def overlap_of(one, two):
    """Return the reason why two listeners of one address and port are not distinct, or ''."""
    first, second = FAMILIES[one.spec.protocol], FAMILIES[two.spec.protocol]
    if first != second or first == "tcp":
        return "ProtocolConflict"
    return "HostnameConflict" if one.spec.hostname == two.spec.hostname else ""
