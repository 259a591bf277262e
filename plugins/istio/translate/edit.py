"""Header edits of a rule or a destination to native edits; a ``set`` or ``add`` of Host is a rewrite of it."""

from meshd_plugins.istio.emit import At

HOSTS = ("host", ":authority")
FRAMING = frozenset(("connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"))


def native_edits(blocks, direction, scope, host=""):
    """Return the native edits of ``request`` or ``response`` in these blocks of headers together, or None.

    A later block wins. Internal fields (``:path``) are left out. ``host`` is set besides.
    """
    found, place = {"set": {}, "add": {}, "remove": []}, None
    for headers in blocks:
        edits = getattr(headers, direction, None)
        if edits is not None:
            place = place or edits.node
            _put(edits, found, scope)
    if host:
        found["set"]["host"] = host
    given = {key: value for key, value in found.items() if value}
    return At(place, given) if given else None


def _put(edits, found, scope):
    """Put together what Envoy, too, gets as one list: there all that is set comes before all that is added."""
    for key, value in edits.set:
        if _is_free(key, edits, scope):
            found["set"][key.lower()] = value
    for key, value in edits.add:
        if _is_free(key, edits, scope):
            before = found["add"].get(key.lower())
            found["add"][key.lower()] = value if before is None else f"{before},{value}"
    found["remove"] += [key for key in edits.remove if _is_free(key, edits, scope)]


def set_host(headers):
    """Return the Host that a ``set``, else an ``add``, asks for, or ''."""
    edits = getattr(headers, "request", None)
    pairs = (*edits.set, *edits.add) if edits is not None else ()
    return next((value for key, value in pairs if key.lower() in HOSTS), "")


def _is_free(key, edits, scope):
    name = key.lower()
    if name in FRAMING:
        scope.clusters.context.unsupported(edits.node, "headers", f"{key} is the connection's own and is never edited")
        return False
    return name not in HOSTS and not name.startswith(":")
