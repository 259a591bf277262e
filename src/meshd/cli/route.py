"""The routes in a listener's configuration as rows of a table; for ``meshctl pc route``."""

from collections.abc import Iterator

PATHS = (("path", "{}"), ("prefix", "{}*"), ("path_separated_prefix", "{}/*"), ("regex", "~{}"))

SHOWN = {"prefix": "{}*", "suffix": "*{}", "contains": "*{}*", "regex": "~{}"}


def route_rows(listener: dict) -> Iterator[dict]:
    """Yield one row for each route of each filter that has virtual hosts."""
    chains = [listener, *listener.get("filter_chains", ()), listener.get("default_filter_chain")]
    for filter_ in [one for chain in chains if chain for one in chain["filters"]]:
        for config in filter_.values():
            for host in config.get("virtual_hosts") or () if isinstance(config, dict) else ():
                for route in host.get("routes") or ():
                    yield {
                        "listener": listener["name"], "virtual_host": host.get("name"), "domains": host.get("domains"),
                        "name": route.get("name"), "match": match_text(route.get("match") or {}),
                        "action": action_text(route),
                        "timeout": route.get("timeout"), "retry": ",".join(route.get("retry") or ()), "route": route,
                    }


def match_text(match: dict) -> str:
    """Return a matcher in short: ``GET /api* x-env=test ?debug``."""
    parts = [",".join(_list(match.get("methods")))]
    parts += [form.format(match[key]) for key, form in PATHS if match.get(key) is not None]
    parts += [_condition(one) for one in match.get("headers") or ()]
    parts += ["?" + _condition(one) for one in match.get("query") or ()]
    return " ".join(part for part in parts if part) or "any"


def _list(value: object) -> list[str]:
    return list(value) if isinstance(value, list) else [str(value)] if value else []


def _condition(one: dict) -> str:
    sign = "!=" if one.get("invert") else "="
    for key in ("exact", "prefix", "suffix", "contains", "regex", "range"):
        if one.get(key) is not None:
            return f"{one['name']}{sign}{SHOWN.get(key, '{}').format(one[key])}"
    return ("!" if one.get("present") is False or one.get("invert") else "") + one["name"]


def action_text(route: dict) -> str:
    """Return what is done with a request: ``cluster users``, ``redirect 301``, ``reply 404``."""
    if route.get("cluster"):
        return f"cluster {route['cluster']}"
    if route.get("weighted_clusters"):
        return "split " + ",".join(f"{_share(one)}={one['weight']}" for one in route["weighted_clusters"])
    if route.get("redirect"):
        return f"redirect {route['redirect'].get('response_code', 301)}"
    if route.get("direct_response"):
        return f"reply {route['direct_response']['status']}"
    return ""


def _share(one: dict) -> str:
    """Return what a share of a split gets: its cluster, or an answer in its place."""
    return one["name"] if one.get("name") else "(" + action_text({**one, "weighted_clusters": None}) + ")"
