"""What Istio's control plane generates for Envoy from the documents of a ``Table``, read off istio/istio (pilot's
``core/route/route.go``, ``core/gateway.go``, ``core/httproute.go``) and independent of meshd's own translation.

Where meshd chose otherwise (docs/differences.md, "Istio's documents") the comment says so.
"""

import base64

from tests.integration.harness.case import CODES, EXTENSION
from tests.integration.harness.istio_case import LABELS, SERVICES, SHOPS, Table

NAMESPACE = "default"
DEFAULT_PORTS = {"http": 80, "https": 443}


def envoy_listener(table: Table, address: str, port: int) -> dict:
    """Return Envoy's listener for a table."""
    hosts = _gateway_hosts(table) if table.role == "ingress" else _sidecar_hosts(table)
    router = {"@type": f"{EXTENSION}.http.router.v3.Router"}
    manager = {
        "@type": f"{EXTENSION}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": table.name, "use_remote_address": table.role == "ingress", "normalize_path": True,
        "route_config": {"virtual_hosts": hosts, "ignore_port_in_host_matching": True, "validate_clusters": False},
        "http_filters": [{"name": "router", "typed_config": router}],
    }
    return {"name": table.name, "address": {"socket_address": {"address": address, "port_value": port}},
            "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}]}


def _services(table: Table) -> list:
    """Return the VirtualServices, the oldest first."""
    found = [one for one in table.documents if one["kind"] == "VirtualService"]
    return sorted(found, key=lambda one: (one["metadata"]["creationTimestamp"], one["metadata"]["name"]))


# Virtual hosts

def _gateway_hosts(table: Table) -> list:
    """Several VirtualServices of a host follow each other; what takes every request goes to the end."""
    server = next(one for one in table.documents if one["kind"] == "Gateway")["spec"]["servers"][0]
    found = {}
    for service in _services(table):
        routes = _routes(service, f"{table.name}/edge", table)
        for host in _common(server["hosts"], service["spec"]["hosts"], table.name) if routes else ():
            found.setdefault(host, []).extend(routes)
    return [_virtual_host(host, [host], sorted(routes, key=_takes_all)) for host, routes in found.items()]


def _common(server: list, hosts: list, namespace: str) -> list:
    names = []
    for one in server:
        where, _, name = one.rpartition("/")
        if where in ("", "*", ".", namespace):
            names.append(name)
    pairs = [(one.lower(), two.lower()) for one in names for two in hosts]
    found = [one if _is_in(one, two) else two for one, two in pairs if _is_in(one, two) or _is_in(two, one)]
    return list(dict.fromkeys(found))


def _is_in(one: str, whole: str) -> bool:
    """Say whether every host of ``one`` is one of ``whole``."""
    return one == whole or (whole[:1] == "*" and one.lstrip("*").endswith(whole[1:]) and len(one) >= len(whole))


def _sidecar_hosts(table: Table) -> list:
    """Of a service the rules of the closest host, else the service itself. A rule's host that is no service stands for
    itself, and so does a wildcard, on every port (Istio: on port 80, and a wildcard only where it has no service).
    """
    rules = {host.lower(): one for one in reversed(_services(table)) for host in one["spec"]["hosts"]
             if "mesh" in one["spec"].get("gateways", ["mesh"])}
    imported = [host for host in table.imports if table.port in SHOPS[host]]
    without_port = [host for host, ports in SHOPS.items() if table.port not in ports]
    found = []
    for host in dict.fromkeys((*imported, *rules)):
        if host in without_port:
            continue
        covering = [one for one in rules if _is_in(host, one)]
        closest = max(covering, key=lambda one: (one == host, len(one)), default=None)
        routes = _routes(rules[closest], "mesh", table) if closest is not None else []
        if not routes and host in imported:
            cluster = f"outbound|{table.port}||{host}"
            routes = [{"name": "default", "match": {"prefix": "/"}, "route": {"cluster": cluster}}]
        if routes:
            found.append(_virtual_host(host, [host], routes))
    return found


def _virtual_host(host: str, domains: list, routes: list) -> dict:
    return {"name": host, "domains": domains, "routes": routes}


# Routes

def _routes(service: dict, gateway: str, table: Table) -> list:
    """One route for each match block of each rule, up to the first that takes every request."""
    found = []
    for rule in service["spec"]["http"]:
        for block in rule.get("match") or [{}]:
            if _is_for(block, gateway, table):
                found.append(_route(rule, block, table))
                if _takes_all(found[-1]):
                    return found
    return found


def _is_for(block: dict, gateway: str, table: Table) -> bool:
    if block.get("port", table.port) != table.port:
        return False
    if "gateways" in block:
        return gateway in block["gateways"]
    labels = {**LABELS, "istio": "ingressgateway"} if table.role == "ingress" else LABELS
    return block.get("sourceLabels", {}).items() <= labels.items() \
        and block.get("sourceNamespace", NAMESPACE) == NAMESPACE


def _takes_all(route: dict) -> bool:
    match = route["match"]
    is_any = match.get("prefix") == "/" or match.get("safe_regex", {}).get("regex") == ".*"
    return is_any and not match.get("headers") and not match.get("query_parameters")


def _route(rule: dict, block: dict, table: Table) -> dict:
    name = rule["name"] + ("." + block["name"] if "name" in block else "")
    found = {"name": name, "match": _match(block)}
    authority = _edits(found, rule.get("headers", {}))
    if "redirect" in rule:
        return found | {"redirect": _redirect(rule["redirect"], table.port)}
    if "directResponse" in rule:
        return found | {"direct_response": _direct(rule["directResponse"])}
    return found | {"route": _action(found, rule, authority, table)}


def _match(block: dict) -> dict:
    headers = [_condition(name, value) for name, value in block.get("headers", {}).items()]
    for name, value in block.get("withoutHeaders", {}).items():
        one = _condition(name, value) | {"invert_match": True}
        headers.append(one if "present_match" in one else one | {"treat_missing_header_as_empty": True})
    headers += [_condition(f":{name}", block[name]) for name in ("method", "authority", "scheme") if name in block]
    kind, value = next(iter(block.get("uri", {"prefix": "/"}).items()))
    path = {"exact": {"path": value}, "prefix": {"prefix": value}, "regex": {"safe_regex": {"regex": value}}}[kind]
    return {**path, "headers": headers, "case_sensitive": not block.get("ignoreUriCase", False),
            "query_parameters": [_condition(name, value) for name, value in block.get("queryParams", {}).items()]}


def _condition(name: str, value: dict) -> dict:
    if not value or value.get("regex") == "*":
        return {"name": name, "present_match": True}
    kind, text = next(iter(value.items()))
    return {"name": name, "string_match": {"safe_regex": {"regex": text}} if kind == "regex" else {kind: text}}


def _edits(found: dict, headers: dict) -> str:
    """Add the edits of a ``headers`` block to a route or a share; return the Host that it asks for, or ''."""
    authority = ""
    for direction in ("request", "response"):
        edits = headers.get(direction, {})
        for verb, action in (("set", "OVERWRITE_IF_EXISTS_OR_ADD"), ("add", "APPEND_IF_EXISTS_OR_ADD")):
            for name, value in sorted(edits.get(verb, {}).items()):
                if name.lower() in ("host", ":authority"):
                    authority = authority or value
                else:
                    found.setdefault(f"{direction}_headers_to_add", []).append(
                        {"header": {"key": name, "value": value}, "append_action": action})
        found.setdefault(f"{direction}_headers_to_remove", []).extend(edits.get("remove", ()))
    return authority


def _action(found: dict, rule: dict, authority: str, table: Table) -> dict:
    action, rewrite = {"timeout": "0s"}, rule.get("rewrite", {})
    pattern = rewrite.get("uriRegexRewrite")
    if pattern is not None:
        action["regex_rewrite"] = {"pattern": {"regex": pattern["match"]}, "substitution": pattern["rewrite"]}
    elif "uri" in rewrite:
        action["prefix_rewrite"] = rewrite["uri"]
    authority = rewrite.get("authority") or authority
    if len(rule["route"]) == 1:
        only = rule["route"][0]
        action["cluster"] = _cluster(only["destination"], table)
        of_destination = _edits(found, only.get("headers", {}))
        authority = authority or of_destination
    else:
        action["weighted_clusters"] = {"clusters": [_share(one, table) for one in rule["route"] if one["weight"]]}
    return action | ({"host_rewrite_literal": authority} if authority else {})


def _share(one: dict, table: Table) -> dict:
    found = {"name": _cluster(one["destination"], table), "weight": one["weight"]}
    authority = _edits(found, one.get("headers", {}))
    return found | ({"host_rewrite_literal": authority} if authority else {})


def _cluster(destination: dict, table: Table) -> str:
    host = destination["host"]
    ports = SERVICES[host][0] if host in SERVICES else SHOPS[host]
    own = table.port if table.role == "sidecar" or len(ports) > 1 else ports[0]
    port = destination.get("port", {}).get("number", own)
    return f"outbound|{port}|{destination.get('subset', '')}|{host}"


def _redirect(redirect: dict, listens_on: int) -> dict:
    found = {"host_redirect": redirect.get("authority", ""),
             "response_code": CODES[redirect.get("redirectCode") or 301]}
    if "prefixRewrite" in redirect:
        found["prefix_rewrite"] = redirect["prefixRewrite"]
    else:
        found["path_redirect"] = redirect.get("uri", "")
    if "scheme" in redirect:
        found["scheme_redirect"] = redirect["scheme"]
    port = listens_on if redirect.get("derivePort") == "FROM_REQUEST_PORT" else redirect.get("port", 0)
    if port and port != DEFAULT_PORTS[redirect.get("scheme", "http")]:
        found["port_redirect"] = port
    return found


def _direct(answer: dict) -> dict:
    body = answer.get("body", {})
    text = body.get("string", base64.b64decode(body.get("bytes", "")).decode())
    return {"status": answer["status"], **({"body": {"inline_string": text}} if text else {})}
