"""Native TLS as a Gateway's server has it, and as a DestinationRule has it."""

from meshd_plugins.istio.translate.identity import ISTIO_MUTUAL, TRUST_DOMAIN, sni_of
from meshd_plugins.istio.write.form import given, lose, target

MODES = {"none": "SIMPLE", "optional": "OPTIONAL_MUTUAL", "required": "MUTUAL"}
SERVER = ("certificates", "client_certificate", "validation", "min_version", "max_version", "cipher_suites",
          "ecdh_curves", "where")
CLIENT = ("sni", "auto_sni", "auto_san_validation", "validation", "insecure_skip_verify", "certificate", "where")
VALIDATION = ("ca_file", "crl_file", "secret", "subject_alt_names", "verify_certificate_spki",
              "verify_certificate_hash", "where")
OF_MESH = ("spiffe", "trust_domains")
VERSION = {"1.2": "TLSV1_2", "1.3": "TLSV1_3"}
MOST = 2


def is_of_mesh(certificates, validation, identity):
    """Say whether what is shown and trusted is the node's identity."""
    return identity is not None and [one.secret for one in certificates] == [identity] and (
        validation is not None and validation.secret == identity)


def server_tls(tls, at, losses, identity=None):
    """Return ``tls`` of a server; what it cannot say is added to ``losses``. ``identity`` is that of the node."""
    lose(losses, at, tls, SERVER, "tls: ")
    validation = tls.validation
    if tls.client_certificate == "required" and is_of_mesh(tls.certificates, validation, identity) and (
            validation.trust_domains):
        lose(losses, at, validation, (*VALIDATION, *OF_MESH), "tls: validation: ")
        _trust(validation, at, losses)
        return {"mode": ISTIO_MUTUAL, **_versions(tls), **_of_clients(validation, at, losses)}
    found = {"mode": MODES[tls.client_certificate], **_shown(tls.certificates, at, losses), **_versions(tls)}
    if validation is None:
        return found
    lose(losses, at, validation, VALIDATION, "tls: validation: ")
    is_own = validation.secret is not None and found.get("credentialName") == validation.secret
    if validation.ca_file and "serverCertificate" not in found and "tlsCertificates" not in found:
        losses.append(f"{at}: tls: validation: ca_file has no field beside secrets")
    if not validation.has_authorities:
        losses.append(f"{at}: tls: validation: hashes alone cannot be said: authorities are written by hand")
    return {**found, **given(
        caCertCredentialName=validation.secret if not is_own else None, caCertificates=validation.ca_file,
        caCrl=validation.crl_file), **_of_clients(validation, at, losses)}


def _trust(validation, at, losses):
    if validation.trust_domains not in ((), (TRUST_DOMAIN,)):
        losses.append(f"{at}: tls: validation: trust_domains are MeshConfig's: written by hand")


def _of_clients(validation, at, losses):
    return given(subjectAltNames=_names(validation, at, losses),
                 verifyCertificateSpki=list(validation.verify_certificate_spki),
                 verifyCertificateHash=list(validation.verify_certificate_hash))


def _versions(tls):
    default = type(tls)(certificates=tls.certificates)
    return given(
        minProtocolVersion=VERSION[tls.min_version] if tls.min_version != default.min_version else None,
        maxProtocolVersion=VERSION[tls.max_version] if tls.max_version != default.max_version else None,
        cipherSuites=list(tls.cipher_suites) if tls.cipher_suites != default.cipher_suites else None,
        ecdhCurves=list(tls.ecdh_curves))


def _shown(certificates, at, losses):
    if len(certificates) > MOST:
        losses.append(f"{at}: tls: a server has at most {MOST} certificates, the others are left out")
    secrets = [one.secret for one in certificates if one.secret is not None]
    if secrets:
        if len(secrets) < len(certificates):
            losses.append(f"{at}: tls: files beside secrets are left out")
        return {"credentialName": secrets[0]} if len(secrets) == 1 else {"credentialNames": secrets[:MOST]}
    pairs = [{"serverCertificate": one.certificate_file, "privateKey": one.key_file} for one in certificates[:MOST]]
    return pairs[0] if len(pairs) == 1 else {"tlsCertificates": pairs}


def _names(validation, at, losses):
    exact = [one.exact for one in validation.subject_alt_names if one.exact is not None and one.type == "any"]
    if len(exact) < len(validation.subject_alt_names):
        losses.append(f"{at}: tls: names of a kind, or by prefix, suffix or regex, cannot be asked for: left out")
    return exact


def client_tls(tls, at, losses, cluster="", identity=None):
    """Return ``tls`` of a policy, None where there is none; what it cannot say is added to ``losses``.

    ``cluster`` is the name of the cluster, ``identity`` that of the node.
    """
    if tls is None:
        return None
    if tls.certificate is not None and is_of_mesh((tls.certificate,), tls.validation, identity):
        return _to_mesh(tls, at, losses, cluster)
    lose(losses, at, tls, CLIENT, "tls: ")
    validation, own = tls.validation, tls.certificate
    names = _names(validation, at, losses) if validation is not None else []
    if validation is not None:
        lose(losses, at, validation, (*VALIDATION[:4], "system_roots", "where"), "tls: validation: ")
    if tls.sni and tls.auto_san_validation and not names and not tls.insecure_skip_verify:
        names = [tls.sni]
    elif not tls.sni and not (tls.auto_sni and tls.auto_san_validation) and not tls.insecure_skip_verify:
        losses.append(f"{at}: tls: auto_sni and auto_san_validation are always on without sni")
    return {"mode": "MUTUAL" if own is not None else "SIMPLE", **given(
        sni=tls.sni, subjectAltNames=names, insecureSkipVerify=tls.insecure_skip_verify or None,
        **_sources(tls, at, losses))}


def _to_mesh(tls, at, losses, cluster):
    lose(losses, at, tls, (*CLIENT, "mesh_alpn", "alpn"), "tls: ")
    lose(losses, at, tls.validation, (*VALIDATION[:4], *OF_MESH, "where"), "tls: validation: ")
    _trust(tls.validation, at, losses)
    host, port, subset = target(cluster)
    return {"mode": ISTIO_MUTUAL, **given(sni=tls.sni if tls.sni != sni_of(host, port, subset) else None,
                                          subjectAltNames=_names(tls.validation, at, losses))}


def _sources(tls, at, losses):
    validation, own = tls.validation, tls.certificate
    trusted = getattr(validation, "secret", None)
    if own is not None and own.secret is not None:
        if trusted != own.secret and not tls.insecure_skip_verify:
            losses.append(f"{at}: tls: authorities are those of the credential {own.secret}")
        return {"credentialName": own.secret}
    if trusted is not None and own is None:
        return {"credentialName": trusted}
    if trusted is not None:
        losses.append(f"{at}: tls: a secret of authorities cannot stand beside files of a certificate: left out")
    return {"clientCertificate": getattr(own, "certificate_file", None), "privateKey": getattr(own, "key_file", None),
            "caCertificates": getattr(validation, "ca_file", None), "caCrl": getattr(validation, "crl_file", None)}
