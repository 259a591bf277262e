"""TLS of documents to the native form: towards clients (a Gateway's server) and towards hosts (DestinationRule).

A credential is a folder of that name under the native ``secrets.directory``: ``tls.crt``, ``tls.key``, ``ca.crt``,
``ca.crl``.
"""

from meshd_plugins.istio.emit import At, default, field
from meshd_plugins.istio.mesh.service import protocol_of
from meshd_plugins.istio.schema.gateway import PASSES
from meshd_plugins.istio.translate.identity import ISTIO_MUTUAL, lack_of_identity, mesh_server
from meshd_plugins.istio.translate.listener import is_http

KUBERNETES = "kubernetes://"
VERSIONS = {"TLSV1_2": "1.2", "TLSV1_3": "1.3"}
OLD = ("TLSV1_0", "TLSV1_1")
SYSTEM = "system"
CLIENT_ASKED = {"MUTUAL": "required", "OPTIONAL_MUTUAL": "optional"}
OF_CLIENTS = ("subjectAltNames", "verifyCertificateSpki", "verifyCertificateHash")
OF_FILES = ("clientCertificate", "privateKey", "caCertificates", "credentialName", "caCrl", "insecureSkipVerify")


def server_tls(tls, context, path, config=None):
    """Return the native ``tls`` of a server that ends TLS, or None where that is not possible; that is said.

    ``config`` is MeshConfig or None.
    """
    if tls.max_protocol_version in OLD:
        context.unsupported(field(tls, "maxProtocolVersion"), f"{path}.maxProtocolVersion",
                            "TLS before 1.2 is not there: this server is not bound")
        return None
    is_mesh, asked = tls.mode == ISTIO_MUTUAL, CLIENT_ASKED.get(tls.mode)
    if is_mesh and context.node.identity is None:
        lack_of_identity(tls, context, path, "this server is not bound", is_grave=False)
        return None
    found = {
        **(_of_mesh if is_mesh else _of_secrets)(tls, context, path, config, asked),
        "min_version": _oldest(tls, context, path), "max_version": VERSIONS.get(tls.max_protocol_version),
        "cipher_suites": list(tls.cipher_suites) or None, "ecdh_curves": list(tls.ecdh_curves) or None,
    }
    if not asked and not is_mesh:
        _warn_of(tls, OF_CLIENTS, context, path, f"no certificate is asked of clients with mode {tls.mode}")
    if tls.insecure_skip_verify:
        context.unsupported(field(tls, "insecureSkipVerify"), f"{path}.insecureSkipVerify",
                            "certificates of clients are verified all the same")
    return At(tls.node, found)


def _of_secrets(tls, context, path, config, asked):
    return {"certificates": _certificates(tls), "client_certificate": asked,
            "validation": _of_clients(tls, context, path) if asked else None}


def _of_mesh(tls, context, path, config, asked):
    _warn_of(tls, ("caCrl", "caCertCredentialName"), context, path, "with ISTIO_MUTUAL the identity's folder has it")
    found = mesh_server(context.node.identity, tls.subject_alt_names, config)
    found["validation"].update(_hashes(tls))
    return found


def ingress(one, place, context):
    """Return (whether a Sidecar's ingress listener carries requests, its native ``tls``), or None as ``server_tls``."""
    if one.tls is None or one.tls.mode in PASSES:
        return is_http(one.port), None
    native = server_tls(one.tls, context, f"spec.ingress[{place}].tls")
    return None if native is None else (protocol_of(one.port.name, one.port.protocol) == "https", native)


def _warn_of(tls, keys, context, path, why):
    for key in keys:
        if tls.node is not None and tls.node.get(key) is not None:
            context.unsupported(field(tls, key), f"{path}.{key}", why)


def _certificates(tls):
    if tls.has_credential:
        names = tls.credential_names or (tls.credential_name,)
        key = "credentialNames" if tls.credential_names else "credentialName"
        return [At(field(tls, key), {"secret": _secret(one)}) for one in names]
    pairs = tls.tls_certificates or (tls,)
    return [At(one.node, {"certificate_file": one.server_certificate, "key_file": one.private_key}) for one in pairs]


def _of_clients(tls, context, path):
    """A credential holds the authorities too, unless they have one of their own."""
    if tls.ca_cert_credential_name:
        source = {"secret": _secret(tls.ca_cert_credential_name)}
    elif tls.has_credential:
        source = {"secret": _secret(tls.credential_name or tls.credential_names[0])}
    else:
        source = {"ca_file": tls.ca_certificates, "crl_file": tls.ca_crl or None}
    if tls.ca_crl and "secret" in source:
        context.unsupported(field(tls, "caCrl"), f"{path}.caCrl", "the list is ca.crl of the credential")
    return {**source, "subject_alt_names": list(tls.subject_alt_names) or None, **_hashes(tls)}


def _hashes(tls):
    return {"verify_certificate_spki": list(tls.verify_certificate_spki) or None,
            "verify_certificate_hash": list(tls.verify_certificate_hash) or None}


def _oldest(tls, context, path):
    if tls.min_protocol_version in OLD:
        context.unsupported(field(tls, "minProtocolVersion"), f"{path}.minProtocolVersion",
                            "TLS before 1.2 is not there, 1.2 is the oldest")
    return VERSIONS.get(tls.min_protocol_version)


def _secret(name):
    return name.removeprefix(KUBERNETES)


def client_tls(tls, service):
    """Return the native ``tls`` towards a host, or None for mode DISABLE. ISTIO_MUTUAL is ``mesh_client``'s.

    Istio's rules: without ``sni`` the request's host is asked for, and must be in the certificate unless
    ``subjectAltNames`` (of the rule, else of the ServiceEntry) say more; with it alone the chain is verified.
    """
    if tls is None or tls.mode in ("", "DISABLE"):
        return None
    names = list(tls.subject_alt_names) or list(getattr(service.resource.spec, "subject_alt_names", None) or ())
    is_open = bool(tls.insecure_skip_verify)
    return At(tls.node, {
        "sni": At(field(tls, "sni"), tls.sni) if tls.sni else None,
        "auto_san_validation": default(False) if tls.sni and not names and not is_open else None,
        "insecure_skip_verify": At(field(tls, "insecureSkipVerify"), True) if is_open else None,
        "validation": None if is_open else _of_host(tls, names),
        "certificate": _own(tls) if tls.mode == "MUTUAL" else None,
    })


def warn_of_files(tls, context, path):
    """Say what a rule with mode ISTIO_MUTUAL has no use for."""
    _warn_of(tls, OF_FILES, context, path, "with ISTIO_MUTUAL certificates are the mesh's, and always verified")


def _own(tls):
    if tls.credential_name:
        return At(field(tls, "credentialName"), {"secret": _secret(tls.credential_name)})
    return {"certificate_file": At(field(tls, "clientCertificate"), tls.client_certificate),
            "key_file": At(field(tls, "privateKey"), tls.private_key)}


def _of_host(tls, names):
    if tls.credential_name:
        source = {"secret": _secret(tls.credential_name)}
    elif tls.ca_certificates and tls.ca_certificates != SYSTEM:
        source = {"ca_file": At(field(tls, "caCertificates"), tls.ca_certificates)}
    else:
        source = {"system_roots": True}
    if tls.ca_crl and not tls.credential_name:
        source["crl_file"] = At(field(tls, "caCrl"), tls.ca_crl)
    return {**source, "subject_alt_names": names or None}
