"""A native HTTP listener with Istio's settings; gateways and sidecars fill in the virtual hosts."""

from meshd_plugins.istio.emit import At, default

IDLE = "1h"
"""Istio's idle time-out of connections; it has none for quiet streams, which get the same here."""
BODY_GAP = "5m"
NORMALIZATION = {
    "NONE": {"normalize_path": False, "merge_slashes": False, "path_with_escaped_slashes_action": "keep_unchanged"},
    "BASE": {"merge_slashes": False, "path_with_escaped_slashes_action": "keep_unchanged"},
    "MERGE_SLASHES": {"path_with_escaped_slashes_action": "keep_unchanged"},
    "DECODE_AND_MERGE_SLASHES": {"path_with_escaped_slashes_action": "unescape_and_forward"},
}
"""meshConfig.pathNormalization -> native rules."""
UNIX = "unix://"
HTTP_WORDS = frozenset(("HTTP", "HTTP2", "GRPC", "GRPC-WEB", "HTTP_PROXY"))


def is_http(port):
    """Say whether a port of a Gateway or Sidecar carries requests; without a protocol its name tells."""
    word = port.protocol.upper() or port.name.partition("-")[0].upper()
    return word in HTTP_WORDS


def address(bind, port, node):
    """Return HOST:PORT or unix:PATH; the port goes through ``node.ports``."""
    if bind.startswith(UNIX):
        return "unix:" + bind.removeprefix(UNIX)
    number = dict(node.ports).get(str(port), port)
    return f"[{bind}]:{number}" if ":" in bind else f"{bind}:{number}"


def http_listener(place, name, where, hosts, mesh, *, is_edge=False):
    """Return the native listener. ``hosts`` are native virtual hosts (plain dicts), ``is_edge`` that of a gateway."""
    cors = next((route["filters"]["cors"] for host in hosts for route in _routes(host) if route.get("filters")), None)
    if cors is not None:
        hosts = [{**host, "disabled_filters": ["cors"]} for host in hosts]
    return At(place, {
        "name": name, "address": where,
        "http": default({**_normalization(mesh), "accept_http_10": False, "use_remote_address": is_edge,
                         "xff_num_trusted_hops": _trusted_proxies(mesh) if is_edge else None}),
        "timeouts": default({"idle": IDLE, "stream_idle": IDLE, "body_gap": BODY_GAP}),
        "filters": [*([cors] if cors is not None else []), {"router": {"virtual_hosts": hosts}}],
    })


def _routes(host):
    return [route.value if type(route) is At else route for route in host["routes"]]


def _normalization(mesh):
    settings = getattr(mesh.config, "path_normalization", None)
    word = getattr(settings, "normalization", "") or "BASE"
    return NORMALIZATION.get(word, NORMALIZATION["BASE"])


def _trusted_proxies(mesh):
    topology = getattr(getattr(mesh.config, "default_config", None), "gateway_topology", None)
    return getattr(topology, "num_trusted_proxies", None) or None
