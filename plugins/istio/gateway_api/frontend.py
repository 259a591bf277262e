"""Certificates that the listeners of a Gateway ask of clients: ``spec.tls.frontend``, for all ports or for one."""

from meshd_plugins.istio.emit import At, field
from meshd_plugins.istio.gateway_api.authority import GRANT, KIND, authorities
from meshd_plugins.istio.gateway_api.condition import RESOLVED, bad

INSECURE = "AllowInsecureFallback"
NO_FALLBACK = "clients without a good certificate are let in by no TLS of ours (AllowInsecureFallback)"
REASONS = {KIND: "InvalidCACertificateKind", GRANT: "RefNotPermitted"}


def validation_of(gateway, port):
    """Return the FrontendTLSValidation that holds for a port of a Gateway, or None where nothing is asked."""
    frontend = getattr(gateway.spec.tls, "frontend", None)
    if frontend is None:
        return None
    own = next((one.tls for one in frontend.per_port if one.port == port), frontend.default)
    return own.validation


def unresolved(validation, gateway, world):
    """Return the condition of a reference that does not resolve, or None."""
    if validation is None:
        return None
    _, wrong, message = authorities(validation.ca_certificate_refs, gateway, world)
    return bad(RESOLVED, REASONS.get(wrong, "InvalidCACertificateRef"), message) if wrong else None


def client_fields(validation):
    """Return the part of the native ``tls`` that asks clients for a certificate, {} where nothing is asked."""
    if validation is None:
        return {}
    ref = validation.ca_certificate_refs[0]
    return {"client_certificate": At(validation.node, "required"),
            "validation": At(ref.node, {"secret": At(field(ref, "name"), ref.name)})}
