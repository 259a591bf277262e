"""What access logs tell of TLS: one row for each operator, of the client's connection and of the upstream's."""

import time


class Nothing:
    """Stands for a connection without TLS."""

    version = cipher = server_name = session_id = peer_digest = ""
    peer = local = None
    is_resumed = False


NOTHING = Nothing()


def secure(security):
    """Return what TLS says of a connection."""
    return NOTHING if security is None else security


def names(certificate, kind):
    """Return the names of one kind, as Envoy lists them."""
    return ",".join(certificate.values(kind)) if certificate is not None else ""


def of(certificate, attribute):
    """Return an attribute of a certificate, "" without one."""
    return getattr(certificate, attribute) if certificate is not None else ""


def pem(certificate):
    """Return a certificate as Envoy writes it into a line: URL-encoded PEM."""
    text = of(certificate, "pem")
    for character, escape in (("\n", "%0A"), (" ", "%20"), ("+", "%2B"), ("/", "%2F"), ("=", "%3D")):
        text = text.replace(character, escape)
    return text


def when(certificate, attribute):
    """Return a time of a certificate."""
    if certificate is None:
        return ""
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(getattr(certificate, attribute)))


FUNCTIONS = {"secure": secure, "names": names, "of": of, "pem": pem, "when": when}

_OF_EACH = (
    ("TLS_VERSION", "{s}.version", "the version of TLS"),
    ("TLS_CIPHER", "{s}.cipher", "the cipher suite, by OpenSSL's name"),
    ("TLS_SESSION_ID", "{s}.session_id", "the TLS session's id"),
    ("PEER_URI_SAN", "names({s}.peer, 'uri')", "URI names in the peer's certificate"),
    ("PEER_DNS_SAN", "names({s}.peer, 'dns')", "DNS names in the peer's certificate"),
    ("PEER_SUBJECT", "of({s}.peer, 'subject')", "the subject of the peer's certificate"),
    ("PEER_ISSUER", "of({s}.peer, 'issuer')", "the issuer of the peer's certificate"),
    ("PEER_CERT", "pem({s}.peer)", "the peer's certificate, URL-encoded PEM"),
    ("LOCAL_URI_SAN", "names({s}.local, 'uri')", "URI names in our certificate"),
    ("LOCAL_DNS_SAN", "names({s}.local, 'dns')", "DNS names in our certificate"),
    ("LOCAL_SUBJECT", "of({s}.local, 'subject')", "the subject of our certificate"),
)
_OF_CLIENTS = (
    ("PEER_SERIAL", "of({s}.peer, 'serial')", "the serial number of the peer's certificate"),
    ("PEER_FINGERPRINT_256", "of({s}.peer, 'fingerprint')", "the SHA-256 of the peer's certificate"),
    ("PEER_CERT_V_START", "when({s}.peer, 'not_before_s')", "from when the peer's certificate is valid"),
    ("PEER_CERT_V_END", "when({s}.peer, 'not_after_s')", "until when the peer's certificate is valid"),
)


def rows():
    """Yield (operator, code, doc)."""
    down, up = "secure(getattr(x, 'security', None))", "secure(getattr(x, 'upstream_security', None))"
    asked = f"(getattr(x, 'server_name', '') or {down}.server_name)"
    yield "REQUESTED_SERVER_NAME", asked, "the name that the client asked for in TLS (SNI)"
    for prefix, code, table in (("DOWNSTREAM", down, _OF_EACH + _OF_CLIENTS), ("UPSTREAM", up, _OF_EACH)):
        for name, template, doc in table:
            yield f"{prefix}_{name}", template.format(s=code), f"{doc} ({prefix.lower()})"
