"""Which match goes first: the keys by which the matches of all routes of one hostname are sorted.

HTTPRoute: exact path, longer prefix, regular expression, every path; then with a method, more fields, more parameters.
GRPCRoute: longer service, longer method (exact ones before expressions), more fields. Among equals the route that comes
first (``mesh.order``), then the rule and the match that stand first.
"""

EXACT, PREFIX, REGEX, EVERYTHING = range(4)
_RANKS = {"Exact": EXACT, "PathPrefix": PREFIX, "RegularExpression": REGEX}


def http_key(match):
    """Return the key of an HTTPRouteMatch."""
    path = prefix_of(match.path) if match.path.type == "PathPrefix" else match.path.value
    rank = _RANKS[match.path.type] if path else EVERYTHING
    return rank, -len(path), match.method is None, -len(match.headers), -len(match.query_params)


def grpc_key(match):
    """Return the key of a GRPCRouteMatch."""
    method = match.method
    if method is None:
        return EVERYTHING, 0, 0, -len(match.headers), 0
    rank = REGEX if method.type == "RegularExpression" else EXACT
    return rank, -len(method.service or ""), -len(method.method or ""), -len(match.headers), 0


def prefix_of(path):
    """Return the prefix without the slash at its end, which counts for nothing; '' is every path."""
    return path.value.rstrip("/")
