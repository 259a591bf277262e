"""What the router would do with a request and why: the route table asked, and each route before the winner judged.

``meshctl explain`` asks through ``explain(exchange)``; the winner is always the one that ``match`` finds.
"""

from meshd.api import encode_plugin
from meshd_plugins.router.condition import failure, words
from meshd_plugins.router.match_config import whole
from meshd_plugins.router.config import REWRITES as SHARE_REWRITES
from meshd_plugins.router.filter import CatchAllFilter, RouterFilter
from meshd_plugins.router.split import Split

SLICE = 16
"""Routes judged in one step."""
DEFAULT = "default of native"
REWRITES = ("prefix_rewrite", "path_rewrite", "host_rewrite", "host_rewrite_header")
TIMEOUTS = (("timeout", "timeout_s"), ("per_try_timeout", "per_try_timeout_s"), ("idle_timeout", "idle_timeout_s"))
MORE_TIMEOUTS = (
    ("per_try_idle_timeout", "per_try_idle_timeout_s"), ("max_stream_duration", "max_stream_duration_s"),
    ("grpc_timeout_header_max", "grpc_timeout_header_max_s"),
    ("grpc_timeout_header_offset", "grpc_timeout_header_offset_s"), ("max_grpc_timeout", "max_grpc_timeout_s"),
    ("grpc_timeout_offset", "grpc_timeout_offset_s"),
)
"""Named only where they are set."""
EDITS = ("request_headers", "response_headers")


class _Explains:
    """Keeps what the compiled filter forgets: the configuration and the table of domains."""

    __slots__ = ()

    def explain(self, exchange):
        """A generator that returns the facts of one request as plain data."""
        return explanation(self, exchange)


class ListRouter(_Explains, RouterFilter):
    """A RouterFilter that can explain itself."""

    __slots__ = ("config", "hosts")

    def __init__(self, hosts, routes, config):
        super().__init__(hosts, routes)
        self.config = config
        self.hosts = hosts


class CatchAllRouter(_Explains, CatchAllFilter):
    """A CatchAllFilter that can explain itself."""

    __slots__ = ("config", "hosts")

    def __init__(self, hosts, routes, config):
        super().__init__(hosts, routes)
        self.config = config
        self.hosts = hosts


def explanation(router, exchange):
    """A generator that returns the facts: virtual host, routes passed over, the route that won and all it does."""
    request = exchange.request
    host, first, domain = _host(router, request.host)
    if host is None:
        count = len(router.config.virtual_hosts)
        return {"virtual_host": None, "passed_over": [], "route": None,
                "reason": f"no domain of {count} virtual hosts matches {_text(request.host)!r}"}
    won = exchange.route
    passed = []
    for number, route in enumerate(host.routes):
        if router.routes[first + number] is won:
            break
        passed.append(_named(route) | {"reason": failure(whole(route.match), request)})
        if number % SLICE == SLICE - 1:
            yield
    else:
        route = None
    found = {"virtual_host": {"name": host.name, "domain": domain, "where": host.where}, "passed_over": passed}
    if won is None or route is None:
        return found | {"route": None, "reason": f"none of {len(passed)} routes of {host.name!r} matches"}
    found |= _of_route(router.config, host, route)
    return found | {"outcomes": won.answer.outcomes()} if isinstance(won.answer, Split) else found


def _host(router, authority):
    """Return (virtual host, number of its first route among all, domain that matched), or (None, 0, None)."""
    domain, _ = router.hosts.matched(authority)
    first = 0
    for host in router.config.virtual_hosts if domain is not None else ():
        if any(one.lower() == domain for one in host.domains):
            return host, first, domain
        first += len(host.routes)
    return None, 0, None


def _named(route):
    return {"name": route.name, "match": words(whole(route.match)), "where": route.where}


def _of_route(table, host, route):
    found = {"route": _named(route), "action": _action(route)}
    if rewrites := list(_rewrites(route)):
        found["rewrites"] = rewrites
    for attribute in EDITS:
        if edits := list(_edits(table, host, route, attribute)):
            found[attribute] = edits
    if found["action"]["kind"] in ("cluster", "weighted_clusters"):
        found["timeouts"] = {key: _origin(route, name) for key, name in TIMEOUTS}
        found["timeouts"] |= {key: _origin(route, name) for key, name in MORE_TIMEOUTS if getattr(route, name)}
        found["retry"] = _retry(route.retry or host.retry)
        found |= _recovery(route)
    return found


def _recovery(route):
    """Return what few routes have beside retries: hedging, a priority, mirrors."""
    found = {}
    if route.hedge_policy is not None and route.hedge_policy.hedge_on_per_try_timeout:
        found["hedge"] = {"on": "per_try_timeout", "where": route.where}
    if route.priority != "default":
        found["priority"] = {"name": route.priority, "where": route.where}
    if route.mirror:
        found["mirrors"] = [{"cluster": one.cluster, "percent": one.percent, "where": route.where}
                            for one in route.mirror]
    return found


def _action(route):
    if route.cluster is not None:
        return {"kind": "cluster", "cluster": route.cluster}
    if route.redirect is not None:
        return {"kind": "redirect", "status": route.redirect.response_code}
    if route.direct_response is not None:
        return {"kind": "direct_response", "status": route.direct_response.status}
    shares = route.weighted_clusters
    total = sum(share.weight for share in shares)
    percents = [100.0] if len(shares) == 1 else [round(100.0 * share.weight / total, 4) for share in shares]
    rows = [_destination(share) | {"percent": percent} for share, percent in zip(shares, percents)]
    return {"kind": "weighted_clusters", "clusters": rows}


def _destination(share):
    """Return what a share of a split gets: a cluster, or an answer in its place."""
    if share.redirect is not None:
        return {"cluster": None, "redirect": share.redirect.response_code}
    if share.direct_response is not None:
        return {"cluster": None, "direct_response": share.direct_response.status}
    return {"cluster": share.name}


def _rewrites(route):
    for name in REWRITES:
        if (value := getattr(route, name)) is not None:
            yield {"rewrite": name, "value": value}
    for share in route.weighted_clusters or ():
        for name in SHARE_REWRITES:
            if (value := getattr(share, name)) is not None:
                yield {"rewrite": name, "value": value, "of": f"destination {share.name}"}
    if (regex := route.regex_rewrite) is not None:
        yield {"rewrite": "regex_rewrite", "value": f"{regex.pattern} -> {regex.substitution}"}


def _edits(table, host, route, attribute):
    """Yield the edits in the order in which they run; those of a split's destinations come first."""
    owners = [(f"destination {share.name or 'answered here'}", share) for share in route.weighted_clusters or ()
              if share.weight]
    for owner, options in (*owners, ("route", route), ("virtual host", host), ("table", table)):
        edits = getattr(options, attribute)
        yield from ({"of": owner, "edit": "remove", "name": name} for name in edits.remove)
        for verb in ("set", "add"):
            yield from ({"of": owner, "edit": verb, "name": name, "value": value}
                        for name, value in getattr(edits, verb))


def _origin(route, name):
    """Return a timeout with its origin; a value that is the default's is taken to come from there."""
    seconds = getattr(route, name)
    default = next(field.default for field in route.__attrs_attrs__ if field.name == name)
    return {"seconds": seconds, "where": DEFAULT if seconds == default else route.where}


def _retry(plugin):
    if plugin is None:
        return {"type": "retry", "where": DEFAULT}
    if plugin.disabled:
        return {"type": None, "where": plugin.where}
    return {"type": plugin.type, "config": encode_plugin(plugin)[plugin.type], "where": plugin.where}


def _text(value):
    return value.decode("utf-8", "backslashreplace")
