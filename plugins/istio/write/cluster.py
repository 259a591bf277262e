"""A cluster as a ServiceEntry with its endpoints and a DestinationRule with its policy."""

from meshd_plugins.istio.write.form import document, given, seconds, target

SIMPLE = {"round_robin": "ROUND_ROBIN", "least_request": "LEAST_REQUEST"}
LIMITS = (("tcp", "maxConnections", "max_connections"), ("http", "http1MaxPendingRequests", "max_pending"),
          ("http", "http2MaxRequests", "max_requests"), ("http", "maxRetries", "max_retries"))
UNLIMITED = 2**32 - 1
MOST = 2**31 - 1
"""Istio's numbers are signed; more than that is no limit."""


def host_documents(host, clusters, losses):
    """Yield the documents of the clusters of one host; what they cannot say is added to ``losses``."""
    endpoints = {}
    for cluster in clusters:
        if cluster.discovery is not None:
            losses.append(f"cluster {cluster.name}: discovery {cluster.discovery.type}: endpoints are written by hand")
        for one in cluster.endpoints or ():
            endpoints.setdefault(one.address, _endpoint(one, losses, cluster))
    is_dns = any(not _is_address(one["address"]) for one in endpoints.values())
    ports = sorted({target(cluster.name)[1] for cluster in clusters})
    if len(ports) > 1:
        losses.append(f"host {host}: the endpoints' ports are those of its first port alone")
    yield document("ServiceEntry", host, {
        "hosts": [host], "location": "MESH_INTERNAL", "resolution": "DNS" if is_dns else "STATIC",
        "ports": [{"number": port, "name": "http" if place == 0 else f"http-{port}", "protocol": "HTTP"}
                  for place, port in enumerate(ports)],
        "endpoints": list(endpoints.values())})
    yield document("DestinationRule", host, _rule(host, clusters, losses))


def _rule(host, clusters, losses):
    whole = next((one for one in clusters if not target(one.name)[2]), None)
    subsets = [_subset(one, target(one.name)[2], losses) for one in clusters if target(one.name)[2]]
    return given(host=host, trafficPolicy=_policy(whole, losses) if whole is not None else None, subsets=subsets)


def _subset(cluster, name, losses):
    """The labels that all its endpoints share select them."""
    shared = set(cluster.endpoints[0].labels) if cluster.endpoints else set()
    for one in cluster.endpoints or ():
        shared &= set(one.labels)
    if not shared:
        losses.append(f"cluster {cluster.name}: its endpoints share no label, so nothing can select them")
    return given(name=name, labels=dict(sorted(shared)), trafficPolicy=_policy(cluster, losses))


def _is_address(text):
    return text.startswith("unix://") or ":" in text or text.replace(".", "").isdecimal()


def _endpoint(one, losses, cluster):
    if one.priority:
        losses.append(f"cluster {cluster.name}: endpoint {one.address}: priorities follow from localities alone")
    if one.address.startswith("unix:"):
        return given(address="unix://" + one.address[5:], labels=dict(one.labels), locality=one.locality)
    host, _, port = one.address.rpartition(":")
    return given(address=host.strip("[]"), ports={"http": int(port)}, labels=dict(one.labels), locality=one.locality,
                 weight=one.weight if one.weight != 1 else None)


def _policy(cluster, losses):
    pool = {"tcp": {"connectTimeout": seconds(cluster.connect_timeout_s)},
            "http": {"idleTimeout": seconds(cluster.pool.idle_timeout_s)}}
    each = cluster.pool.max_requests_per_connection
    pool["http"].update(given(maxRequestsPerConnection=each or None))
    breaker = cluster.circuit_breaker
    for block, key, name in LIMITS:
        limit = getattr(breaker.config, name, None) if breaker is not None else None
        if limit is not None and limit <= MOST:
            pool[block][key] = limit
    balancer = cluster.load_balancer.type if cluster.load_balancer is not None else "round_robin"
    if balancer not in SIMPLE:
        losses.append(f"cluster {cluster.name}: load balancer {balancer} is a plugin of meshd's alone")
    return given(connectionPool=pool, loadBalancer=given(simple=SIMPLE.get(balancer)))
