"""Consistent hashing of a DestinationRule to the native balancers ``ring_hash`` and ``maglev``."""

from meshd_plugins.istio.emit import At, seconds

MAX_RING = 8 * 2**20
"""Envoy's bound of a ring."""


def native_hashing(settings):
    """Return the native ``load_balancer`` of a consistentHash: a ring unless it asks for Maglev's table."""
    key = _key(settings)
    rules = {"hash": [key] if key else None}
    if settings.maglev is not None:
        return At(settings.node, {"maglev": {**rules, "table_size": settings.maglev.table_size or None}})
    size = settings.ring_hash.minimum_ring_size if settings.ring_hash is not None else settings.minimum_ring_size
    return At(settings.node, {"ring_hash": {**rules, "minimum_ring_size": min(size, MAX_RING) or None}})


def _key(settings):
    cookie = settings.http_cookie
    if cookie is not None:
        return {"cookie": At(cookie.node, {
            "name": cookie.name, "path": cookie.path or None, "ttl": seconds(cookie.ttl_s),
            "attributes": {one.name: one.value for one in cookie.attributes} or None})}
    if settings.http_header_name:
        return {"header": settings.http_header_name}
    if settings.http_query_parameter_name:
        return {"query": settings.http_query_parameter_name}
    return {"source_address": True} if settings.use_source_ip else None
