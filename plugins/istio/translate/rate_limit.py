"""RateLimitPolicy documents to ``rate_limit`` filters, each in force on the routes that its target names alone.

A Gateway's policy counts on every route through it; a VirtualService's on its own routes (or the one it names); a
service's on every route that may lead to it; a workload's (``selector``) on all that a selected node takes in.
"""

import math

import attrs

from meshd_plugins.istio.emit import At, field, seconds
from meshd_plugins.istio.mesh.name import cluster_name, kubernetes_host
from meshd_plugins.istio.translate.gateway_label import gateway_labels

GATEWAY, VIRTUAL_SERVICE, SERVICE, SERVICE_ENTRY = "Gateway", "VirtualService", "Service", "ServiceEntry"


@attrs.frozen(eq=False)
class Tags:
    """What a native route comes from: the rule's document and name, the gateway, and the hosts that it leads to."""

    resource: object = None
    rule: str = ""
    gateway: str = ""
    hosts: frozenset = frozenset()
    is_inbound: bool = False


@attrs.frozen(eq=False)
class Extra:
    """A filter of a chain that is in force on some routes: ``applies(tags)`` says on which.

    ``needs`` are the arguments of ``Clusters.use`` for the cluster that it asks, or None.
    """

    name: str
    filter: object
    applies: object
    needs: object = None


def rate_limits(mesh, node):
    """Return the Extra of each limit of each policy that can concern this node."""
    return [_extra(policy, place, limit, applies, _store(policy, mesh))
            for policy in mesh.of("RateLimitPolicy", "meshd.io") if (applies := _target(policy, mesh, node)) is not None
            for place, limit in enumerate(policy.spec.limits)]


def _extra(policy, place, limit, applies, store):
    name = f"rate_limit|{policy.namespace}/{policy.name}|{place}"
    native, needs = store
    settings = {**_settings(policy.spec, limit, name), "store": native}
    return Extra(name, At(limit.node, {"rate_limit": settings, "name": name}), applies, needs)


def _store(policy, mesh):
    """Return (the native store, what it needs of ``Clusters.use``), or (None, None)."""
    if policy.spec.store is None:
        return None, None
    redis = policy.spec.store.redis
    host = mesh.resolve(redis.host, policy.namespace)
    native = {
        "cluster": cluster_name(host, redis.port), "prefix": redis.prefix,
        "timeout": At(field(redis, "timeout"), seconds(redis.timeout_s)), "on_error": redis.on_error.lower(),
        "username": redis.username or None,
        "password_file": At(field(redis, "passwordFile"), redis.password_file) if redis.password_file else None,
        "database": redis.database or None,
    }
    return {"redis": At(redis.node, native)}, (host, redis.port, "", field(redis, "host"))


def _settings(spec, limit, name):
    return {
        "rate": limit.requests, "per": f"{limit.per_s:g}s", "burst": limit.burst or max(1, math.ceil(limit.requests)),
        **_key(limit.key), "status": spec.status, "enforce": spec.mode != "SHADOW", "headers": spec.headers,
        "bucket": name,
    }


def _key(key):
    if key is None:
        return {}
    if key.header is not None:
        return {"key": "header", "header": key.header}
    if key.client_address is not None:
        return {"key": "client_address"}
    if key.path is not None:
        return {"key": "path_prefix", "path_segments": key.path.segments}
    return {}  # identity and claim: counted together until there is authentication, as their warning says


def _target(policy, mesh, node):
    """Return ``applies(tags)``, or None where the policy is not for this node."""
    spec = policy.spec
    if spec.selector is not None:
        return _workload(policy, node)
    target = spec.target_ref
    namespace = target.namespace or policy.namespace
    if target.kind == GATEWAY:
        return lambda tags: tags.gateway == f"{namespace}/{target.name}"
    if target.kind == VIRTUAL_SERVICE:
        return lambda tags: _is_rule(tags, namespace, target.name, spec.route)
    hosts = _hosts(target, namespace, mesh)
    return lambda tags: bool(hosts & tags.hosts)


def _workload(policy, node):
    if node.namespace != policy.namespace:
        return None
    wanted = dict(policy.spec.selector.match_labels).items()
    if not wanted <= gateway_labels(node).items():
        return None
    return lambda tags: tags.is_inbound or tags.gateway not in ("", "mesh")


def _is_rule(tags, namespace, name, rule):
    resource = tags.resource
    if resource is None or (resource.namespace, resource.name) != (namespace, name):
        return False
    return not rule or tags.rule == rule


def _hosts(target, namespace, mesh):
    if target.kind == SERVICE:
        return frozenset((kubernetes_host(target.name, namespace),))
    return frozenset(host for one in mesh.of("ServiceEntry") if (one.namespace, one.name) == (namespace, target.name)
                     for host in one.spec.hosts)
