"""What is shown and asked by TLS, towards clients and endpoints, as plain data: names and paths, never a key."""

from typing import Any


def tls_fact(spec: Any) -> dict:
    """Return what a listener's ``DownstreamTls`` does."""
    return {"certificates": [name_of(one) for one in spec.certificates],
            "client_certificate": spec.client_certificate, "where": spec.where}


def upstream_tls_fact(spec: Any) -> dict:
    """Return what a cluster's ``UpstreamTls`` does."""
    if spec.sni is not None:
        name = spec.sni
    else:
        name = "the request's host" if spec.auto_sni else ""
    return {"sni": name, "certificate": None if spec.certificate is None else name_of(spec.certificate),
            "is_verified": not spec.insecure_skip_verify, "where": spec.where}


def name_of(certificate: Any) -> str:
    """Return what a certificate is called in the configuration."""
    return certificate.secret or certificate.certificate_file
