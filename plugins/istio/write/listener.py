"""A listener as a Gateway, and its virtual hosts as VirtualServices; at a sidecar as a Sidecar's egress listener."""

from meshd_plugins.istio.write.form import document, given, seconds, word
from meshd_plugins.istio.write.route import http_rules
from meshd_plugins.istio.write.tls import server_tls

SELECTORS = {"ingress": "ingressgateway", "egress": "egressgateway"}
ANY = ("0.0.0.0", "::")
KEYS = {
    "none": lambda limit: None, "header": lambda limit: {"header": limit.header},
    "client_address": lambda limit: {"clientAddress": {}},
    "path_prefix": lambda limit: {"path": {"segments": limit.path_segments}},
}
"""key of a ``rate_limit`` filter -> key of a RateLimitPolicy."""


def listener_documents(listener, snapshot, hashed, losses):
    """Yield the documents of one listener; what they cannot say is added to ``losses``.

    ``hashed`` are the names of clusters with consistent hashing.
    """
    if not listener.filters:
        losses.append(f"listener {listener.name}: filter chains and TCP have no document yet: left out")
        return
    router = listener.filters[-1]
    hosts = getattr(router.config, "virtual_hosts", None)
    if hosts is None:
        losses.append(f"listener {listener.name}: {router.type} is no router: left out")
        return
    name = word(listener.name)
    for plugin in listener.filters[:-1]:
        if plugin.type == "rate_limit" and plugin.config.key in KEYS and snapshot.node.role != "sidecar":
            yield _rate_limit(name, plugin)
        elif not _is_idle(plugin):
            losses.append(f"listener {listener.name}: filter {plugin.name} has no document of Istio's")
    gateways, namespace = [name], ""
    if snapshot.node.role == "sidecar":
        gateways, namespace = [], name
        if listener.tls is not None:
            losses.append(f"listener {listener.name}: tls is not ended by a sidecar's egress listener")
        yield _sidecar(listener, namespace)
    else:
        yield _gateway(name, listener, snapshot.node, hosts, losses)
    for host in hosts:
        rules = http_rules(host, f"listener {listener.name}: virtual host {host.name}", hashed, losses)
        names = _names(host)
        if rules and names:
            spec = {"hosts": names, **({"gateways": gateways} if gateways else {}), "http": rules}
            yield document("VirtualService", f"{name}-{host.name}", spec, namespace)


def _is_idle(plugin):
    """Say whether a filter does nothing where no route says more."""
    options = plugin.config
    if plugin.type == "fault":
        return options is None or (options.delay, options.abort, options.response_rate_limit) == (None, None, None)
    return plugin.type == "cors"


def _rate_limit(gateway, plugin):
    limit = plugin.config
    found = given(requests=limit.rate, per=seconds(limit.per_s), burst=limit.burst, key=KEYS[limit.key](limit))
    spec = {"targetRef": {"kind": "Gateway", "name": gateway}, "limits": [found], "headers": limit.headers,
            **given(mode=None if limit.enforce else "SHADOW", status=limit.status if limit.status != 429 else None)}
    return {**document("RateLimitPolicy", plugin.name, spec), "apiVersion": "meshd.io/v1alpha1"}


def _names(host):
    """Return the domains without ports, each once; Istio adds the ports itself."""
    return list(dict.fromkeys(one.rpartition(":")[0] if one.rpartition(":")[2].isdecimal() else one
                              for one in host.domains))


def _where(listener):
    bind, _, port = listener.address.rpartition(":")
    if listener.address.startswith("unix:"):
        return "unix://" + listener.address[5:], 0
    return bind.strip("[]"), int(port)


def _gateway(name, listener, node, hosts, losses):
    """Beside a wildcard no host is named: its rules would hold for that host as well."""
    bind, port = _where(listener)
    names = list(dict.fromkeys(one for host in hosts for one in _names(host)))
    if not names or any(one.startswith("*") for one in names):
        names = ["*"]
    server = {"port": {"number": port or 80, "name": "http", "protocol": "HTTP"}, "hosts": names}
    if listener.tls is not None:
        server["port"].update(name="https", protocol="HTTPS")
        server["tls"] = server_tls(listener.tls, f"listener {listener.name}", losses)
    if bind not in ANY:
        server["bind"] = bind
    labels = dict(node.labels)
    selector = {"istio": labels.get("istio", SELECTORS[node.role])}
    return document("Gateway", name, {"selector": selector, "servers": [server]})


def _sidecar(listener, namespace):
    """Return the Sidecar with this listener; it sees the rules of a namespace of its own and nothing else."""
    bind, port = _where(listener)
    egress = {"port": {"number": port, "name": "http", "protocol": "HTTP"}, "bind": bind, "captureMode": "NONE",
              "hosts": [f"{namespace}/*"]}
    return document("Sidecar", "sidecar", {"egress": [egress]})
