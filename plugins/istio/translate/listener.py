"""A native HTTP listener with Istio's settings; gateways and sidecars fill in the virtual hosts."""

import re

from meshd_plugins.istio.emit import At, default, tree
from meshd_plugins.istio.mesh.service import protocol_of
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
OWN = ("cors", "fault")
"""Filters that routes configure for themselves; they do nothing where no route says more."""
STATS, WEB = "grpc_stats", "grpc_web"
"""Istio's for all requests, and for ports of its protocol GRPC-WEB."""
UNDEFINED = "UNDEFINED"
TOLD = {"subject": True, "cert": True, "uri": True, "dns": True}
"""What Istio's gateways say of a client's certificate."""
HTTP_WORDS = frozenset(("HTTP", "HTTP2", "GRPC", "GRPC-WEB", "HTTP_PROXY"))


def is_http(port):
    """Say whether a port of a Gateway or Sidecar carries requests; without a protocol its name tells."""
    word = port.protocol.upper() or port.name.partition("-")[0].upper()
    return word in HTTP_WORDS


def is_grpc_web(port):
    """Say whether browsers speak gRPC to a port of a Gateway, Sidecar or service."""
    return protocol_of(port.name, port.protocol) == "grpc-web"


def is_detected_port(port):
    """Say whether the protocol of a port of a Sidecar is found out from the first bytes of each connection."""
    return not protocol_of(port.name, port.protocol)


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


def http_listener(place, name, where, hosts, clusters, *, is_edge=False, asks=False, is_web=False):
    """Return the native listener. ``hosts`` are native virtual hosts (plain dicts), ``is_edge`` that of a gateway,
    ``asks``: clients show certificates, ``is_web``: they speak gRPC-Web.
    """
    mesh = clusters.mesh
    filters, off = _filters([route for host in hosts for route in _routes(host)], clusters, is_web)
    once = clusters.context.once
    rest = iter(off)
    made = [_virtual_host(place, host, [next(rest) for _ in host["routes"]], once) for host in hosts]
    return At(place, {
        "name": name, "address": where,
        "http": default({**_normalization(mesh), "accept_http_10": False, "use_remote_address": is_edge,
                         "xff_num_trusted_hops": _trusted_proxies(mesh) if is_edge else None,
                         **(_client_certificates(mesh, asks) if is_edge else {})}),
        "timeouts": default({"idle": IDLE, "stream_idle": IDLE, "body_gap": BODY_GAP}),
        "filters": [*filters, {"router": {"virtual_hosts": made}}],
    })


def _virtual_host(place, host, off, once):
    """Return the node of a virtual host; ``off`` has the names of the filters that are off, for each route."""
    def make():
        routes = [_finished(route, names) for route, names in zip(host["routes"], off)]
        return tree(place, {**host, "routes": routes})
    values = host["name"], tuple(host["domains"]), tuple(map(tuple, off))
    return once("virtual host", (place, *host["routes"]), make, values)


def _finished(route, names):
    """Return a native route without its tags, but with the names of the filters that are off on it."""
    fields = {key: value for key, value in _value(route).items() if key != TAGS}
    fields["disabled_filters"] = names or None
    return At(route.node, fields) if type(route) is At else fields


def _filters(routes, clusters, is_web):
    """Return the filters before the router, and for each route the names of those that have no business there."""
    tags = [route.get(TAGS, NO_TAGS) for route in routes]
    off = [[] for _ in routes]
    filters = []
    for name in OWN:
        own = [(route.get("filters") or {}).get(name) for route in routes]
        if any(own):
            filters.append({name: {}})
            for names, one in zip(off, own):
                names += [name] if one is None else []
    filters += [{WEB: {}}, {STATS: {}}] if is_web else [{STATS: {}}]
    for limit in clusters.limits:
        verdicts = [limit.applies(one) for one in tags]
        if any(verdicts):
            filters.append(limit.filter)
            if limit.needs is not None:
                clusters.use(*limit.needs)
            for names, is_on in zip(off, verdicts):
                names += [] if is_on else [limit.name]
    return filters, off


def _routes(host):
    return [_value(route) for route in host["routes"]]


def _value(route):
    return route.value if type(route) is At else route


def _normalization(mesh):
    settings = getattr(mesh.config, "path_normalization", None)
    word = getattr(settings, "normalization", "") or "BASE"
    return NORMALIZATION.get(word, NORMALIZATION["BASE"])


def _trusted_proxies(mesh):
    return getattr(_topology(mesh), "num_trusted_proxies", None) or None


def _client_certificates(mesh, asks):
    """Return what upstreams of a gateway are told of a client's certificate; Istio's default needs one to be there."""
    word = getattr(_topology(mesh), "forward_client_cert_details", UNDEFINED)
    if word == UNDEFINED and not asks:
        return {}
    return {"forward_client_cert_details": "sanitize_set" if word == UNDEFINED else word.lower(),
            "set_current_client_cert_details": TOLD}


def _topology(mesh):
    return getattr(getattr(mesh.config, "default_config", None), "gateway_topology", None)
