"""Rules that another VirtualService holds: a rule with ``delegate`` is replaced by the delegate's rules, put together.

Istio's rules: one level only; a delegate's match must be narrower than one of the root's, else that rule is void;
what the delegate's rule leaves out is the root's.
"""

import attrs

INHERITED = (
    "direct_response", "rewrite", "timeout_s", "retries", "fault", "mirror", "mirror_percent", "mirror_percentage",
    "cors_policy", "headers",
)
MATCHES = ("uri", "scheme", "method", "authority")
MAPS = ("headers", "without_headers", "query_params")


def rules_of(resource, mesh):
    """Return [(rule, the VirtualService that wrote it)] of a VirtualService, delegates put in their places."""
    found = []
    for rule in resource.spec.http:
        if rule.delegate is None:
            found.append((rule, resource))
            continue
        other = find_delegate(rule.delegate, resource, mesh)
        for inner in other.spec.http if other is not None else ():
            merged = merge(rule, inner)
            if merged is not None:
                found.append((merged, other))
    return found


def find_delegate(delegate, root, mesh):
    """Return the VirtualService that is meant, or None where there is none, or none that the root may see."""
    namespace = delegate.namespace or root.namespace
    for one in mesh.of("VirtualService"):
        if (one.namespace, one.name) == (namespace, delegate.name) and not one.spec.hosts:
            default = mesh.config.default_virtual_service_export_to if mesh.config else ()
            return one if mesh.sees(one, root.namespace, default) else None
    return None


def merge(root, rule):
    """Return the delegate's ``rule`` under the root's, or None where its matches are not narrower."""
    blocks = _blocks(root.match, rule.match)
    if blocks is None:
        return None
    values = {name: getattr(root, name) for name in INHERITED if getattr(rule, name) is None}
    if not rule.mirrors:
        values["mirrors"] = root.mirrors
    name = "-".join(one for one in (root.name, rule.name) if one)
    return attrs.evolve(rule, match=blocks, name=name, **values)


def _blocks(outer, inner):
    if not outer or not inner:
        return inner or outer
    merged = []
    for block in inner:
        fitting = [_merged(one, block) for one in outer if not _conflicts(one, block)]
        if not fitting:
            return None
        merged += fitting
    return tuple(merged)


def _merged(outer, inner):
    values = {name: getattr(inner, name) or getattr(outer, name) for name in (*MATCHES, "port", "source_namespace")}
    for name in (*MAPS, "source_labels"):
        values[name] = tuple({**dict(getattr(outer, name)), **dict(getattr(inner, name))}.items())
    name = "-".join(one for one in (outer.name, inner.name) if one)
    return attrs.evolve(inner, name=name, gateways=inner.gateways or outer.gateways, **values)


def _conflicts(outer, inner):
    if any(_conflict(getattr(outer, name), getattr(inner, name)) for name in MATCHES):
        return True
    for name in MAPS:
        there = dict(getattr(outer, name))
        if any(_conflict(there.get(key), value) for key, value in getattr(inner, name)):
            return True
    labels, gateways = dict(outer.source_labels), set(outer.gateways)
    return (
        outer.ignore_uri_case != inner.ignore_uri_case
        or bool(outer.port and inner.port and outer.port != inner.port)
        or bool(outer.source_namespace and outer.source_namespace != inner.source_namespace)
        or any(labels.get(key, value) != value for key, value in inner.source_labels)
        or bool(gateways and not gateways.issuperset(inner.gateways))
    )


def _conflict(outer, inner):
    """Say whether ``inner`` is not known to be narrower: neither regular expressions nor ``{}`` are compared."""
    if outer is None or inner is None:
        return False
    if outer.exact:
        return inner.exact != outer.exact
    text = inner.exact or inner.prefix
    return not (outer.prefix and text and text.startswith(outer.prefix))
