"""The proxies with TLS towards clients, over HTTP/1.1 and HTTP/2, configured alike: read by compare.py.

One certificate for all (ECDSA P-256), versions 1.2 and 1.3, session tickets, ALPN h2 and http/1.1; the rest as without
TLS. ``meshd-tls-h2`` has the engine that is written in Python (``http2.engine: pure``) and is compiled elsewhere.

    compare.py --proxy envoy-tls meshd-tls --case tls-keepalive tls-handshake h2-tls
"""

import functools
import subprocess

from peer import Ground, Peer, envoy, haproxy, meshd_command, meshd_text, nginx, typed


def certificate(ground: Ground) -> tuple[str, str]:
    """Return the paths of a chain and of its key; the file of the key has both."""
    chain, key = ground.folder / "bench.crt", ground.folder / "bench.key"
    if not chain.exists():
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "7",
             "-subj", "/CN=bench", "-addext", "subjectAltName=DNS:bench,IP:127.0.0.1", "-keyout", key, "-out", chain],
            check=True, capture_output=True)
        key.write_bytes(key.read_bytes() + chain.read_bytes())
        key.chmod(0o600)
    return str(chain), str(key)


def secure_nginx(ground: Ground, name: str = "nginx-tls") -> list[str]:
    """Tickets are on by default."""
    chain, key = certificate(ground)
    lines = f"ssl_certificate {chain}; ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3;"
    return nginx(ground, name, "ssl http2", lines)


def secure_haproxy(ground: Ground, name: str = "haproxy-tls") -> list[str]:
    """The versions are its default."""
    return haproxy(ground, name, f"ssl crt {certificate(ground)[1]} alpn h2,http/1.1")


def secure_envoy(ground: Ground, name: str = "envoy-tls") -> list[str]:
    """Tickets are on by default."""
    chain, key = certificate(ground)
    context = {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"},
        "tls_certificates": [{"certificate_chain": {"filename": chain}, "private_key": {"filename": key}}],
        "alpn_protocols": ["h2", "http/1.1"],
    }
    socket = typed("tls", "transport_sockets.tls.v3.DownstreamTlsContext", common_tls_context=context)
    return envoy(ground, name, chain={"transport_socket": socket})


def secure_meshd(ground: Ground, name: str, engine: str = "auto") -> str:
    """Return meshd's configuration file."""
    chain, key = certificate(ground)
    return meshd_text(ground, name, f"""    tls: {{certificates: [{{certificate_file: {chain}, key_file: {key}}}]}}
    http: {{http2: {{engine: {engine}}}}}
""")


_pure = functools.partial(secure_meshd, engine="pure")
PEERS = {
    peer.name: peer
    for peer in (
        Peer("nginx-tls", secure_nginx, scheme="https"),
        Peer("haproxy-tls", secure_haproxy, scheme="https"),
        Peer("envoy-tls", secure_envoy, scheme="https"),
        Peer("meshd-tls", meshd_command("meshd-tls", secure_meshd), scheme="https"),
        Peer("meshd-tls-h2", meshd_command("meshd-tls-h2", _pure), scheme="https"),
        Peer("meshd-tls-pure", meshd_command("meshd-tls-pure", secure_meshd), {"MESHD_PURE": "1"}, "https"),
    )
}
