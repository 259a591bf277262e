"""Filters of rules and shares to native edits, redirects, rewrites and cross-origin rules."""

import re2

from meshd_plugins.istio.emit import At, seconds
from meshd_plugins.istio.gateway_api.schema.filters import METHODS
from meshd_plugins.istio.translate.edit import FRAMING

DEFAULT_PORTS = {"http": 80, "https": 443}
YEAR_S = 31_536_000
OFFSITE = "access-control-allow-credentials is not sent, for it would let every site act for the user"


def escaped(text):
    """Return text that native substitutions leave as it is."""
    return text.replace("%", "%%")


def find(filters, name):
    """Return what the first filter that has the attribute ``name`` says, or None."""
    return next((found for one in filters if (found := getattr(one, name, None)) is not None), None)


def edits(filters, scope):
    """Return the native edits of request and response as a dict, without those that change nothing."""
    found = {"request_headers": _edits(find(filters, "request_header_modifier"), True, scope),
             "response_headers": _edits(find(filters, "response_header_modifier"), False, scope)}
    return {key: value for key, value in found.items() if value is not None}


def _edits(one, is_request, scope):
    if one is None:
        return None
    seen = set()
    found = {}
    for verb in ("set", "add"):
        for field in getattr(one, verb):
            name = field.name.lower()
            if name not in seen and _may_edit(name, one, is_request and verb == "set", scope):
                found.setdefault(verb, {})[field.name] = escaped(field.value)
            seen.add(name)
    removed = [name for name in one.remove
               if name.lower() not in seen and _may_edit(name.lower(), one, False, scope)]
    if removed:
        found["remove"] = removed
    return At(one.node, found) if found else None


def _may_edit(name, one, may_be_host, scope):
    if name in FRAMING or (name == "host" and not may_be_host):
        scope.context.unsupported(one.node, "filters", f"{name} is the connection's own and is never edited")
        return False
    return True


def redirect(one, prefix, scope):
    """Return the native redirect; ``prefix`` is what stands in place of the matched prefix, or None.

    Without a port it is the new scheme's own where a scheme is given, else the listener's; a scheme's own port is not
    written. On a node that has another port in place of the listener's, the port that the client asked for stays.
    """
    path = one.path
    found = {
        "scheme": one.scheme, "host": one.hostname, "response_code": one.status_code,
        "path": full_path(path) if path is not None and path.type == "ReplaceFullPath" else None,
        "prefix_rewrite": prefix if path is not None and path.type == "ReplacePrefixMatch" else None,
    }
    port = one.port or (DEFAULT_PORTS[one.scheme] if one.scheme is not None else scope.port)
    is_own = port == DEFAULT_PORTS[one.scheme or "http"]
    keeps_port = one.port is None and one.scheme is None and (scope.is_mapped or not scope.port)
    if not keeps_port:
        found.update({"strip_port": True} if is_own else {"port": port})
    return At(one.node, found)


def full_path(path):
    """Return the path of ReplaceFullPath, which begins with a slash."""
    return "/" + path.replace_full_path.removeprefix("/")


def rewrite(one, prefix):
    """Return the native rewrites of a URLRewrite, or {}; ``prefix`` as for ``redirect``."""
    if one is None:
        return {}
    found = {"host_rewrite": At(one.node, one.hostname)} if one.hostname is not None else {}
    if one.path is not None and one.path.type == "ReplaceFullPath":
        found["path_rewrite"] = At(one.path.node, full_path(one.path))
    elif one.path is not None:
        found["prefix_rewrite"] = At(one.path.node, prefix)
    return found


def percent(mirror):
    """Return the share of the requests that a mirror gets, in percent: all where none is given."""
    if mirror.fraction is not None:
        return 100.0 * mirror.fraction.numerator / mirror.fraction.denominator
    return 100.0 if mirror.percent is None else float(mirror.percent)


def cors(one, scope):
    """Return the configuration of the filter ``cors``."""
    credentials = one.allow_credentials
    if credentials and any("*" in origin.partition("//")[2] or origin == "*" for origin in one.allow_origins):
        is_everybody = any(origin.rpartition("/")[2].partition(":")[0] == "*" for origin in one.allow_origins)
        if is_everybody:
            scope.context.unsupported(one.node, "filters.cors.allowCredentials", OFFSITE)
            credentials = False
    return {"cors": At(one.node, {
        "allow_origins": [_origin(text) for text in one.allow_origins] or [{"exact": "*"}],
        "allow_methods": _starred(one.allow_methods, credentials and METHODS) or None,
        "allow_headers": _starred(one.allow_headers, credentials and ()) or None,
        "expose_headers": _starred(one.expose_headers, credentials and ()) or None,
        "max_age": seconds(min(one.max_age, YEAR_S)), "allow_credentials": credentials,
        "unmatched_preflights": "ignore",
    })}


def _origin(text):
    """Return the native condition on an origin; its star stands for any number of labels."""
    if text == "*" or "*" not in text:
        return {"exact": text}
    head, _, tail = text.partition("*")
    return {"regex": f"{re2.escape(head)}[^/:]+{re2.escape(tail)}"}


def _starred(values, instead):
    """Return a list of values; beside credentials ``*`` means nothing, so that names stand in its place."""
    return list(instead) if "*" in values and instead is not False else list(values)
