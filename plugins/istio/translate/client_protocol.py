"""Which HTTP a cluster speaks to its endpoints (istiod's setUpstreamProtocol and shouldH2Upgrade)."""

from meshd_plugins.istio.emit import At, default, field, seconds
from meshd_plugins.istio.mesh.service import HTTP2_PROTOCOLS, HTTP_PROTOCOLS

UPGRADE, KEEP = "UPGRADE", "DO_NOT_UPGRADE"
STREAMS = 2**30
"""Istio's default of streams on a connection."""


def client_protocol(protocol, pool, mesh, *, is_detected=False):
    """Return the options ``protocol`` and ``http2`` of a native cluster, {} for HTTP/1.1.

    ``protocol`` is the port's, ``pool`` connectionPool settings or None. ``mesh`` is MeshConfig or None, which decides
    for ports of HTTP alone; who says UPGRADE for a host is taken to know what it speaks. ``is_detected``: the protocol
    of a port without any is found out, and its endpoints are spoken to as the client speaks.
    """
    http = getattr(pool, "http", None)
    if getattr(http, "use_client_protocol", False):
        return {"protocol": At(field(http, "useClientProtocol"), "use_downstream_protocol"), "http2": _options(http)}
    if protocol in HTTP2_PROTOCOLS:
        return {"protocol": default("http2"), "http2": _options(http)}
    wanted = getattr(http, "h2_upgrade_policy", "DEFAULT")
    if wanted == UPGRADE:
        return {"protocol": At(field(http, "h2UpgradePolicy"), "http2"), "http2": _options(http)}
    if wanted != KEEP and protocol in HTTP_PROTOCOLS and getattr(mesh, "h2_upgrade_policy", KEEP) == UPGRADE:
        return {"protocol": default("http2"), "http2": _options(http)}
    if is_detected and not protocol:
        return {"protocol": default("use_downstream_protocol"), "http2": _options(http)}
    return {}


def _options(http):
    streams = getattr(http, "max_concurrent_streams", 0)
    pings = getattr(http, "http2_keep_alive", None)
    return {
        "max_concurrent_streams": At(field(http, "maxConcurrentStreams"), streams) if streams else default(STREAMS),
        "connection_keepalive": None if pings is None else At(pings.node, {
            "interval": seconds(pings.interval_s), "timeout": seconds(pings.timeout_s)}),
    }
