"""Native routes as the ``http`` rules of a VirtualService."""

import re

from meshd_plugins.istio.write.form import destination, given, lose, seconds
from meshd_plugins.istio.write.recovery import fault, lose_rest, mirrors, retries

FILTERS = ("cors", "fault")
"""Filters whose override of a route has a field."""


def http_rules(host, where, hashed, losses):
    """Return the rules of a virtual host, in order; what cannot be said is added to ``losses``.

    ``hashed`` are the names of clusters with consistent hashing.
    """
    lose(losses, where, host, ("routes",))
    made = []
    for place, route in enumerate(host.routes):
        at = f"{where}: route {route.name or place}"
        blocks = _blocks(route.match, at, losses)
        if blocks is None:
            continue
        for name, _ in route.filters:
            if name not in FILTERS:
                losses.append(f"{at}: override of filter {name} has no field of Istio's")
        made.append({**given(name=route.name, match=blocks if blocks != [{}] else None),
                     **_action(route, at, hashed, losses),
                     **given(headers=_headers(route), corsPolicy=_cors(route), fault=fault(route, at, losses))})
    return made


def _blocks(match, at, losses):
    """Return the match blocks, or None where one of the conditions cannot be said: then the rule is left out."""
    base = {}
    if match.connect:
        losses.append(f"{at}: CONNECT cannot be said: the route is left out")
        return None
    for item in match.headers:
        if not _header(item, base):
            losses.append(f"{at}: condition on field {item.name} cannot be said: the route is left out")
            return None
    for item in match.query:
        value = _string(item)
        if value is None and item.present is False:
            losses.append(f"{at}: an absent query parameter cannot be asked for: the route is left out")
            return None
        base.setdefault("queryParams", {})[item.name] = value or {"regex": ".*"}
    if match.methods:
        words = [re.escape(one) for one in match.methods]
        base["method"] = {"exact": match.methods[0]} if len(words) == 1 else {"regex": "|".join(words)}
    if match.ignore_case:
        base["ignoreUriCase"] = True
    return [{**({"uri": uri} if uri else {}), **base} for uri in _uris(match)]


def _uris(match):
    if match.path is not None:
        return [{"exact": match.path}]
    if match.regex is not None:
        return [{"regex": match.regex}]
    if match.path_separated_prefix is not None:
        return [{"exact": match.path_separated_prefix}, {"prefix": match.path_separated_prefix + "/"}]
    return [None if match.prefix == "/" else {"prefix": match.prefix}]


def _string(item):
    for key in ("exact", "prefix", "regex"):
        value = getattr(item, key)
        if value is not None:
            fold = "(?i)" if item.ignore_case else ""
            tail = "" if key != "prefix" else ".*"
            text = value if key == "regex" else re.escape(value) + tail
            return {"regex": fold + text} if fold else {key: value}
    fold = "(?i)" if item.ignore_case else ""
    if item.suffix is not None:
        return {"regex": f"{fold}.*{re.escape(item.suffix)}"}
    return {"regex": f"{fold}.*{re.escape(item.contains)}.*"} if item.contains is not None else None


def _header(item, base):
    """Put a condition into ``base``; say whether it could be said."""
    value = _string(item)
    if item.range is not None or (item.invert and value is not None and not item.treat_missing_as_empty):
        return False
    if item.name in (":method", ":authority", ":scheme"):
        if value is None or item.invert:
            return False
        base[item.name[1:]] = value
        return True
    is_absent = value is None and (item.present is False) != item.invert
    key = "withoutHeaders" if is_absent or item.invert else "headers"
    base.setdefault(key, {})[item.name] = value or {}
    return True


def _action(route, at, hashed, losses):
    if route.redirect is not None:
        return {"redirect": _redirect(route.redirect, at, losses)}
    if route.direct_response is not None:
        answer = route.direct_response
        if answer.headers or "%" in answer.body.replace("%%", ""):
            losses.append(f"{at}: fields and substitutions of a direct response have no field of Istio's")
        body = answer.body.replace("%%", "%")
        return {"directResponse": given(status=answer.status, body=given(string=body))}
    lose_rest(route, at, losses)
    return {**_forward(route, at, losses), **given(
        rewrite=_rewrite(route, at, losses), timeout=seconds(route.timeout_s) if route.timeout_s else None,
        retries=retries(route, at, hashed, losses), mirrors=mirrors(route, at, losses))}


def _forward(route, at, losses):
    if route.cluster is not None:
        return {"route": [{"destination": destination(route.cluster)}]}
    shares = []
    for one in route.weighted_clusters:
        if getattr(one, "name", None) is None:
            losses.append(f"{at}: a share that is no cluster cannot be said")
            continue
        shares.append({"destination": destination(one.name), "weight": one.weight, **given(headers=_headers(one))})
    return {"route": shares}


def _redirect(redirect, at, losses):
    if redirect.strip_query:
        losses.append(f"{at}: strip_query of a redirect cannot be said")
    code = redirect.response_code
    found = given(uri=redirect.path, prefixRewrite=redirect.prefix_rewrite, authority=redirect.host, port=redirect.port,
                  scheme="https" if redirect.https_redirect else redirect.scheme)
    if not found:  # Istio wants at least one field; this one changes nothing
        found = {"derivePort": "FROM_PROTOCOL_DEFAULT"}
    return {**found, **given(redirectCode=code if code != 301 else None)}


def _rewrite(route, at, losses):
    if route.host_rewrite_header is not None:
        losses.append(f"{at}: host_rewrite_header cannot be said")
    pattern = route.regex_rewrite
    if route.path_rewrite is not None:
        pattern_rewrite = {"match": "^.*$", "rewrite": route.path_rewrite.replace("\\", "\\\\")}
    else:
        pattern_rewrite = {"match": pattern.pattern, "rewrite": pattern.substitution} if pattern is not None else None
    return given(uri=route.prefix_rewrite, authority=route.host_rewrite, uriRegexRewrite=pattern_rewrite)


def _headers(one):
    return given(request=_edits(one.request_headers), response=_edits(one.response_headers))


def _edits(edits):
    return given(set=dict(edits.set), add=dict(edits.add), remove=list(edits.remove))


def _cors(route):
    plugin = dict(route.filters).get("cors")
    if plugin is None:
        return None
    cors = plugin.config
    origins = [{key: getattr(one, key)} for one in cors.allow_origins for key in ("exact", "prefix", "regex")
               if getattr(one, key) is not None]
    return given(allowOrigins=origins, allowMethods=list(cors.allow_methods), allowHeaders=list(cors.allow_headers),
                 exposeHeaders=list(cors.expose_headers), maxAge=seconds(cors.max_age_s) if cors.max_age_s else None,
                 allowCredentials=cors.allow_credentials or None,
                 unmatchedPreflights="IGNORE" if cors.unmatched_preflights == "ignore" else None)
