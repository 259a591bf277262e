"""A cluster as a ServiceEntry with its endpoints and a DestinationRule with its policy."""

from meshd_plugins.istio.write.balancing import balancer, outlier_detection
from meshd_plugins.istio.write.form import document, given, lose, seconds, target
from meshd_plugins.istio.write.tls import client_tls

LIMITS = (("tcp", "maxConnections", "max_connections", 1024), ("http", "http1MaxPendingRequests", "max_pending", 1024),
          ("http", "http2MaxRequests", "max_requests", 1024), ("http", "maxRetries", "max_retries", 3))
"""block, field, option, and the native default."""
LIMITED = (*(name for _, _, name, _ in LIMITS), "budget")
POOL = ("idle_timeout_s", "max_requests_per_connection", "max_connection_duration_s", "tcp_keepalive")
SAID = (
    "name", "endpoints", "discovery", "load_balancer", "balancing", "outlier_detection", "circuit_breaker",
    "connect_timeout_s", "pool", "missing", "protocol", "http2", "proxy_protocol", "tls",
)
"""Options of a cluster that are written, or spoken of elsewhere."""
MOST = 2**31 - 1
"""Istio's numbers are signed; more than that is no limit."""


def host_documents(host, clusters, node, losses, of_bytes=frozenset()):
    """Yield the documents of the clusters of one host for a node; what they cannot say is added to ``losses``.

    ``of_bytes`` are the names of clusters that connections go to.
    """
    ports = sorted({target(cluster.name)[1] for cluster in clusters})
    spoken = {port: _protocol(port, clusters, of_bytes) for port in ports}
    words = {port: "tcp" if spoken[port] == "TCP" else "http" for port in ports}
    names = {port: words[port] if place == 0 else f"{words[port]}-{port}" for place, port in enumerate(ports)}
    endpoints = []
    for cluster in clusters:
        lose(losses, f"cluster {cluster.name}", cluster, SAID)
        for one in _endpoints_of(cluster, losses):
            _add(endpoints, _endpoint(one, names[target(cluster.name)[1]], losses, cluster))
    if any("ports" in one and len(one["ports"]) < len(ports) for one in endpoints):
        losses.append(f"host {host}: not every endpoint is there for every port")
    resolution = _resolution(clusters, endpoints)
    is_outside = resolution == "DYNAMIC_DNS"
    yield document("ServiceEntry", host, {
        "hosts": [host], "location": "MESH_EXTERNAL" if is_outside else "MESH_INTERNAL", "resolution": resolution,
        "ports": [{"number": port, "name": name, "protocol": spoken[port]}
                  for port, name in names.items()],
        **({} if is_outside else {"endpoints": endpoints})})
    yield document("DestinationRule", host, _rule(host, clusters, node, losses))


def _protocol(port, clusters, of_bytes):
    """Return a port's protocol: HTTP2 where all its clusters speak that, TCP where connections go to one of them."""
    found = [cluster for cluster in clusters if target(cluster.name)[1] == port]
    if any(cluster.name in of_bytes for cluster in found):
        return "TCP"
    spoken = {cluster.protocol for cluster in found}
    return "HTTP2" if spoken == {"http2"} else "HTTP"


def _endpoints_of(cluster, losses):
    """Return the static endpoints of a cluster, or the names that it looks up."""
    plugin, at = cluster.discovery, f"cluster {cluster.name}"
    if plugin is None:
        return cluster.endpoints or ()
    if plugin.type != "dns":
        losses.append(f"{at}: discovery {plugin.type}: endpoints are written by hand")
        return ()
    lose(losses, at, plugin.config, ("names", "mode"), "discovery: ")
    lost = [one.name for one in plugin.config.names if one.is_srv]
    losses.extend(f"{at}: discovery: {name}: SRV records cannot be asked for" for name in lost)
    return [one for one in plugin.config.names if not one.is_srv]


def _resolution(clusters, endpoints):
    plugins = [one.discovery for one in clusters if one.discovery is not None and one.discovery.type == "dns"]
    if any(one.load_balancer is not None and one.load_balancer.type == "dynamic_host" for one in clusters):
        return "DYNAMIC_DNS"
    if any(one.config.mode == "logical" for one in plugins):
        return "DNS_ROUND_ROBIN"
    return "DNS" if plugins or any(not _is_address(one["address"]) for one in endpoints) else "STATIC"


def _add(endpoints, new):
    """Put an endpoint into the list: to one that differs in nothing but the names of ports, where there is one."""
    rest, ports = {**new, "ports": None}, new.get("ports", {})
    for one in endpoints:
        known = one.get("ports", {})
        if {**one, "ports": None} == rest and all(known.get(name, port) == port for name, port in ports.items()):
            known.update(ports)
            return
    endpoints.append(new)


def _rule(host, clusters, node, losses):
    whole = next((one for one in clusters if not target(one.name)[2]), None)
    subsets = [_subset(one, target(one.name)[2], node, losses) for one in clusters if target(one.name)[2]]
    return given(host=host, trafficPolicy=_policy(whole, node, losses) if whole is not None else None, subsets=subsets)


def _subset(cluster, name, node, losses):
    """The labels that all its endpoints share select them."""
    points = cluster.endpoints or getattr(getattr(cluster.discovery, "config", None), "names", ())
    shared = set(points[0].labels) if points else set()
    for one in points:
        shared &= set(one.labels)
    if not shared:
        losses.append(f"cluster {cluster.name}: its endpoints share no label, so nothing can select them")
    return given(name=name, labels=dict(sorted(shared)), trafficPolicy=_policy(cluster, node, losses))


def _is_address(text):
    return text.startswith("unix://") or ":" in text or text.replace(".", "").isdecimal()


def _endpoint(one, port_name, losses, cluster):
    address = getattr(one, "address", None) or one.name
    if one.priority:
        losses.append(f"cluster {cluster.name}: endpoint {address}: priorities follow from localities alone")
    if getattr(one, "health", "unknown") != "unknown":
        losses.append(f"cluster {cluster.name}: endpoint {address}: health has no field of Istio's")
    if address.startswith("unix:"):
        return given(address="unix://" + address[5:], labels=dict(one.labels), locality=one.locality)
    host, _, port = address.rpartition(":")
    return given(address=host.strip("[]"), ports={port_name: int(port)}, labels=dict(one.labels), locality=one.locality,
                 weight=one.weight if one.weight != 1 else None)


def _policy(cluster, node, losses):
    return given(connectionPool=_pool(cluster, losses), loadBalancer=balancer(cluster, node, losses),
                 outlierDetection=outlier_detection(cluster, losses), retryBudget=_budget(cluster),
                 tls=client_tls(cluster.tls, f"cluster {cluster.name}", losses, cluster.name, node.identity),
                 proxyProtocol={"version": cluster.proxy_protocol.upper()} if cluster.proxy_protocol else None)


def _pool(cluster, losses):
    pool, at = cluster.pool, f"cluster {cluster.name}"
    lose(losses, at, pool, POOL, "pool: ")
    found = {"tcp": given(connectTimeout=seconds(cluster.connect_timeout_s),
                          maxConnectionDuration=_time(pool.max_connection_duration_s),
                          tcpKeepalive=_keepalive(pool.tcp_keepalive)),
             "http": given(idleTimeout=seconds(pool.idle_timeout_s),
                           maxRequestsPerConnection=pool.max_requests_per_connection or None,
                           **_streams(cluster, losses))}
    breaker = cluster.circuit_breaker
    if breaker is not None and breaker.type != "limits":
        losses.append(f"{at}: circuit breaker {breaker.type} is a plugin of meshd's alone")
        return found
    options = breaker.config if breaker is not None else None
    if options is not None:
        lose(losses, at, options, LIMITED, "circuit_breaker: ")
    for block, key, name, usual in LIMITS:
        limit = getattr(options, name, usual)
        if limit == 0:
            losses.append(f"{at}: circuit_breaker: {name} 0 cannot be said: there is no limit then")
        elif limit <= MOST:
            found[block][key] = limit
    return found


def _streams(cluster, losses):
    """Return what connectionPool.http says of HTTP/2."""
    if cluster.protocol == "http1":
        return {}
    http2, at = cluster.http2, f"cluster {cluster.name}"
    if cluster.protocol == "auto":
        losses.append(f"{at}: protocol auto: what is agreed on by ALPN cannot be said")
    lose(losses, at, http2, ("max_concurrent_streams", "connection_keepalive"), "http2: ")
    pings, interval = http2.connection_keepalive, None
    if pings is not None:
        lose(losses, at, pings, ("interval_s", "timeout_s"), "http2: connection_keepalive: ")
        interval = pings.interval_s
    by_client = cluster.protocol == "use_downstream_protocol"
    return {"useClientProtocol": by_client or None,
            "h2UpgradePolicy": "UPGRADE" if cluster.protocol == "http2" else None,
            "maxConcurrentStreams": http2.max_concurrent_streams,
            "http2KeepAlive": interval and {"interval": seconds(interval), "timeout": seconds(pings.timeout_s)}}


def _time(value_s):
    return seconds(value_s) if value_s else None


def _keepalive(probing):
    """Return tcpKeepalive; {} turns it on with the system's figures."""
    if probing is None:
        return None
    return {"probes": probing.probes, **given(time=_time(probing.time_s), interval=_time(probing.interval_s))}


def _budget(cluster):
    budget = getattr(getattr(cluster.circuit_breaker, "config", None), "budget", None)
    if budget is None:
        return None
    return {"percent": budget.percent, **given(minRetryConcurrency=budget.min_retry_concurrency,
                                               budgetInterval=_time(budget.interval_s))}
