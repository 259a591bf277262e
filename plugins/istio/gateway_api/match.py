"""Matches of HTTPRoute and GRPCRoute to native conditions."""

import re2

from meshd_plugins.istio.gateway_api.precedence import prefix_of

ANY_SEGMENT = "[^/]+"


def http_match(match, path=None):
    """Return the native match of an HTTPRouteMatch; ``path`` stands in place of its path where it is given."""
    return {
        **(path or http_path(match.path)),
        "methods": [match.method] if match.method is not None else None,
        "headers": _fields(match.headers), "query": _parameters(match.query_params),
    }


def http_path(path):
    """Return the native condition on the path."""
    if path.type == "Exact":
        return {"path": path.value}
    if path.type == "RegularExpression":
        return {"regex": path.value}
    prefix = prefix_of(path)
    return {"path_separated_prefix": prefix} if prefix else {"prefix": "/"}


def grpc_match(match):
    """Return the native match of a GRPCRouteMatch: a call's path is ``/SERVICE/METHOD``."""
    return {**_grpc_path(match.method), "headers": _fields(match.headers)}


def _grpc_path(method):
    if method is None or not (method.service or method.method):
        return {"prefix": "/"}
    if method.type == "RegularExpression":
        return {"regex": f"/{_group(method.service)}/{_group(method.method)}"}
    if method.service and method.method:
        return {"path": f"/{method.service}/{method.method}"}
    if method.service:
        return {"prefix": f"/{method.service}/"}
    return {"regex": f"/{ANY_SEGMENT}/{re2.escape(method.method)}"}


def _group(text):
    return f"(?:{text})" if text else ANY_SEGMENT


def _fields(headers):
    """Return conditions on fields; of names that differ only by case the first counts."""
    first = {}
    for one in headers:
        first.setdefault(one.name.lower(), one)
    return [_value(one, name) for name, one in first.items()] or None


def _parameters(parameters):
    return [_value(one, one.name) for one in parameters] or None


def _value(one, name):
    return {"name": name, "exact" if one.type == "Exact" else "regex": one.value}
