"""A VirtualService's match block to a native match. Rules: semantics of Istio's ``HTTPMatchRequest``."""

import re

from meshd_plugins.istio.emit import At

NEVER = r"[^\x00-\x{10FFFF}]"
"""A regular expression for paths that no request can have, such as one without a slash at its beginning."""
_PATH = re.compile(r"/[^?#\s]*|\*")

FOREIGN_KEYS = frozenset(("uri", "scheme", "method", "authority"))
"""Keys of ``headers`` that Istio ignores, since they have fields of their own."""


def native_match(block):
    """Return the native match of an ``HTTPMatchRequest``, or of None, which matches everything."""
    if block is None:
        return {"prefix": "/"}
    headers = [*_pseudo(block), *(_header(name, value) for name, value in block.headers
                                  if name.lower() not in FOREIGN_KEYS)]
    headers += [_without(name, value) for name, value in block.without_headers]
    query = [_query(name, value) for name, value in block.query_params]
    found = {**_path(block.uri), "headers": headers or None, "query": query or None}
    if block.ignore_uri_case and "regex" not in found:
        found["ignore_case"] = True
    return At(block.node, found)


def is_catch_all(block):
    """Say whether every request matches: the rules after it can never be reached."""
    if block is None:
        return True
    uri = block.uri
    is_any = uri is None or uri.prefix == "/" or uri.regex == ".*" or (
        uri.exact is None and uri.prefix is None and uri.regex is None)
    headers = [name for name, _ in block.headers if name.lower() not in FOREIGN_KEYS]
    others = (headers, block.without_headers, block.query_params, block.method, block.scheme, block.authority)
    return is_any and not any(others)


def _path(uri):
    if uri is None or (uri.exact is None and uri.prefix is None and uri.regex is None):
        return {"prefix": "/"}
    if uri.regex is not None:
        return {"regex": At(uri.node, uri.regex)}
    key, text = ("path", uri.exact) if uri.exact is not None else ("prefix", uri.prefix)
    if not _PATH.fullmatch(text):
        return {"regex": At(uri.node, NEVER)}
    return {key: At(uri.node, text)}


def _pseudo(block):
    for name in ("method", "authority", "scheme"):
        value = getattr(block, name)
        if value is not None:
            yield _header(f":{name}", value)


def _header(name, value):
    return At(value.node, {"name": name, **_value(value)})


def _without(name, value):
    """A missing field counts as empty, so a rule without conditions on its value wants it not to be there."""
    found = _value(value)
    if "present" in found:
        return At(value.node, {"name": name, "present": False})
    return At(value.node, {"name": name, **found, "invert": True, "treat_missing_as_empty": True})


def _query(name, value):
    return At(value.node, {"name": name, **_value(value)})


def _value(value):
    """``{}`` asks for presence. An empty prefix is every value there is."""
    if value.exact is not None:
        return {"exact": value.exact}
    if value.prefix:
        return {"prefix": value.prefix}
    if value.regex is not None:
        return {"regex": value.regex}
    return {"present": True}
