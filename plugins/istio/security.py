"""Which documents of security this proxy cannot enforce yet. Such a configuration is refused, never run without them.

Asked by ``validate``; a document that is for other workloads, or that forbids nothing, is no reason to refuse.
"""

ROOT_NAMESPACE = "istio-system"
"""Documents without a selector in it are the whole mesh's (Istio's default)."""

DRY_RUN = "istio.io/dry-run"
TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))


def unenforced(resource):
    """Return why a configuration with this document cannot be run, or ""."""
    function = _REASONS.get(resource.kind.name)
    return function(resource) if function is not None else ""


def is_for(resource, node):
    """Say whether a policy is for this proxy (``model.snapshot.Node``; None is any)."""
    if node is None:
        return True
    if resource.namespace not in (node.namespace, ROOT_NAMESPACE):
        return False
    labels = {"istio": f"{node.role}gateway", **dict(node.labels)}
    selector = resource.spec.selector
    return selector is None or dict(selector.match_labels).items() <= labels.items()


def _peer(resource):
    modes = [resource.spec.mtls] + [mode for _, mode in resource.spec.port_level_mtls or ()]
    if any(one is not None and one.mode == "STRICT" for one in modes):
        return "mutual TLS cannot be demanded yet, and without it anybody would be let in: refused"
    return ""


def _request(resource):
    return "tokens cannot be checked yet, and bad ones would be let in: refused" if resource.spec.jwt_rules else ""


def _authorization(resource):
    if resource.spec.action == "AUDIT" or resource.annotations.get(DRY_RUN) in TRUE:
        return ""
    return f"requests cannot be authorized yet, and those that {resource.name} forbids would be let in: refused"


_REASONS = {
    "PeerAuthentication": _peer, "RequestAuthentication": _request, "AuthorizationPolicy": _authorization,
}
