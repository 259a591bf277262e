"""A native HTTP listener with Istio's settings; gateways and sidecars fill in the virtual hosts."""

import re

from meshd_plugins.istio.emit import At, default
from meshd_plugins.istio.translate.rate_limit import Tags

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
TAGS = "_tags"
"""Where a route has its ``rate_limit.Tags`` until its listener is made."""
NO_TAGS = Tags()
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


def listener_name(bind, port):
    """Return the name of a listener, such as ``0.0.0.0_80``."""
    word = re.sub(r"[^A-Za-z0-9.]+", "_", bind.removeprefix(UNIX)).strip("_.")
    return f"{word or 'any'}_{port}"


def http_listener(place, name, where, hosts, clusters, *, is_edge=False):
    """Return the native listener. ``hosts`` are native virtual hosts (plain dicts), ``is_edge`` that of a gateway."""
    mesh = clusters.mesh
    filters = _filters([route for host in hosts for route in _routes(host)], clusters.limits)
    return At(place, {
        "name": name, "address": where,
        "http": default({**_normalization(mesh), "accept_http_10": False, "use_remote_address": is_edge,
                         "xff_num_trusted_hops": _trusted_proxies(mesh) if is_edge else None}),
        "timeouts": default({"idle": IDLE, "stream_idle": IDLE, "body_gap": BODY_GAP}),
        "filters": [*filters, {"router": {"virtual_hosts": hosts}}],
    })


def _filters(routes, limits):
    """Return the filters before the router, and turn each off on the routes where it has no business."""
    tags = [route.pop(TAGS, NO_TAGS) for route in routes]
    off = [[] for _ in routes]
    filters = [route["filters"]["cors"] for route in routes if route.get("filters")][:1]
    if filters:
        for names, route in zip(off, routes):
            names += [] if route.get("filters") else ["cors"]
    for limit in limits:
        verdicts = [limit.applies(one) for one in tags]
        if any(verdicts):
            filters.append(limit.filter)
            for names, is_on in zip(off, verdicts):
                names += [] if is_on else [limit.name]
    for names, route in zip(off, routes):
        route["disabled_filters"] = names or None
    return filters


def _routes(host):
    return [route.value if type(route) is At else route for route in host["routes"]]


def _normalization(mesh):
    settings = getattr(mesh.config, "path_normalization", None)
    word = getattr(settings, "normalization", "") or "BASE"
    return NORMALIZATION.get(word, NORMALIZATION["BASE"])


def _trusted_proxies(mesh):
    topology = getattr(getattr(mesh.config, "default_config", None), "gateway_topology", None)
    return getattr(topology, "num_trusted_proxies", None) or None
