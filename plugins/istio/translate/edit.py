"""Header edits of a rule or a destination to native edits; a ``set`` of Host is a rewrite of it."""

from meshd_plugins.istio.emit import At

HOSTS = ("host", ":authority")
FRAMING = frozenset(("connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"))


def native_edits(headers, direction, scope):
    """Return the native edits of ``request`` or ``response``, or None. Internal fields (``:path``) are left out."""
    edits = getattr(headers, direction, None)
    if edits is None:
        return None
    found = {name: {key: value for key, value in getattr(edits, name) if _is_free(key, edits, scope)}
             for name in ("set", "add")}
    found["remove"] = [key for key in edits.remove if _is_free(key, edits, scope)]
    given = {key: value for key, value in found.items() if value}
    return At(edits.node, given) if given else None


def destination_host(headers):
    """Return the Host that a ``set`` asks for, or ''."""
    edits = getattr(headers, "request", None)
    return next((value for key, value in edits.set if key.lower() in HOSTS), "") if edits is not None else ""


def _is_free(key, edits, scope):
    name = key.lower()
    if name in FRAMING:
        scope.clusters.context.unsupported(edits.node, "headers", f"{key} is the connection's own and is never edited")
        return False
    return name not in HOSTS and not name.startswith(":")
