"""The proxies between gRPC's clients and servers (HTTP/2 by prior knowledge on both sides): read by compare.py.

The server is nghttpd twice: a message of a file, then ``grpc-status`` as trailer.

    compare.py --proxy envoy-grpc meshd-grpc --case grpc-unary
"""

import dataclasses

from peer import Ground, Peer, envoy, haproxy, meshd_command, meshd_text, nginx, typed

PATH = "/bench.Echo/Call.grpc"
"""nghttpd finds the content type by its end."""
MESSAGE = b"\0\0\0\0\x0d\x0a\x0bhello world"


def behind(ground: Ground) -> Ground:
    """Return the ground with the ports of the servers."""
    return dataclasses.replace(ground, backend=(ground.port("grpc-0"), ground.port("grpc-1")))


def message(ground: Ground) -> str:
    """Return the path of the file with a request's message, which is an answer's too."""
    path = ground.folder / "calls" / PATH.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(MESSAGE)
    (ground.folder / "calls" / "index.html").write_text("ready\n")
    return str(path)


def server(ground: Ground, number: int) -> list[str]:
    """One of the two servers."""
    message(ground)
    types = ground.write("mime.types", "application/grpc grpc\n")
    return ["nghttpd", "--no-tls", "-a", "127.0.0.1", "-d", str(ground.folder / "calls"), "-m", "1000",
            "--mime-types-file", types, "--trailer", "grpc-status: 0", str(ground.port(f"grpc-{number}"))]


def call_nginx(ground: Ground, name: str = "nginx-grpc") -> list[str]:
    """One upstream connection for each call that is open at once: it does not share them."""
    return nginx(behind(ground), name, "http2", way="grpc_pass grpc://backend; grpc_next_upstream_tries 3;")


def call_haproxy(ground: Ground, name: str = "haproxy-grpc") -> list[str]:
    """HTTP/2 on both sides."""
    return haproxy(behind(ground), name, "proto h2", "proto h2")


def call_envoy(ground: Ground, name: str = "envoy-grpc") -> list[str]:
    """HTTP/2 to the servers."""
    kind = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    options = typed("http", "upstreams.http.v3.HttpProtocolOptions",
                    explicit_http_config={"http2_protocol_options": {}})["typed_config"]
    return envoy(behind(ground), name, typed_extension_protocol_options={kind: options})


def call_meshd(ground: Ground, name: str) -> str:
    """Return meshd's configuration file."""
    return meshd_text(behind(ground), name, cluster="    protocol: http2\n")


SERVERS = (Peer("grpc-0", lambda ground: server(ground, 0)), Peer("grpc-1", lambda ground: server(ground, 1)))
PEERS = {
    peer.name: peer
    for peer in (
        Peer("nginx-grpc", call_nginx, scheme="h2c"),
        Peer("haproxy-grpc", call_haproxy, scheme="h2c"),
        Peer("envoy-grpc", call_envoy, scheme="h2c"),
        Peer("meshd-grpc", meshd_command("meshd-grpc", call_meshd), scheme="h2c"),
        Peer("meshd-grpc-pure", meshd_command("meshd-grpc-pure", call_meshd), {"MESHD_PURE": "1"}, "h2c"),
    )
}
