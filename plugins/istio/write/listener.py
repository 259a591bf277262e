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
    at = f"listener {listener.name}"
    hosts = hosts_of(listener, at, losses)
    if hosts is None:
        return
    name = word(listener.name)
    if snapshot.node.role == "sidecar":
        if listener.tls is not None:
            losses.append(f"{at}: tls is not ended by a sidecar's egress listener")
        yield _sidecar(listener, name)
    else:
        yield _gateway(name, listener, snapshot.node, hosts, losses)
    yield from request_documents(listener, name, at, hosts, snapshot, hashed, losses)


def hosts_of(owner, at, losses):
    """Return the virtual hosts of a listener or chain of requests; None, with a sentence, where it has no router."""
    router = owner.filters[-1]
    hosts = getattr(router.config, "virtual_hosts", None)
    if hosts is None:
        losses.append(f"{at}: {router.type} is no router: left out")
    return hosts


def request_documents(owner, name, at, hosts, snapshot, hashed, losses):
    """Yield the rules of a listener or chain, whose Gateway (or, at a sidecar, whose namespace) is ``name``."""
    is_sidecar = snapshot.node.role == "sidecar"
    for plugin in owner.filters[:-1]:
        if plugin.type == "rate_limit" and plugin.config.key in KEYS and not is_sidecar:
            yield _rate_limit(name, plugin)
        elif not _is_idle(plugin):
            losses.append(f"{at}: filter {plugin.name} has no document of Istio's")
    gateways, namespace = ([], name) if is_sidecar else ([name], "")
    for host in hosts:
        rules = http_rules(host, f"{at}: virtual host {host.name}", hashed, losses)
        names = names_of(host)
        if rules and names:
            spec = {"hosts": names, **({"gateways": gateways} if gateways else {}), "http": rules}
            yield document("VirtualService", f"{name}-{host.name}", spec, namespace)


def _is_idle(plugin):
    """Say whether a filter does nothing where no route says more, or is there with Istio's documents anyway."""
    options = plugin.config
    if plugin.type == "fault":
        return options is None or (options.delay, options.abort, options.response_rate_limit) == (None, None, None)
    return plugin.type in ("cors", "grpc_stats")


def _rate_limit(gateway, plugin):
    limit = plugin.config
    found = given(requests=limit.rate, per=seconds(limit.per_s), burst=limit.burst, key=KEYS[limit.key](limit))
    spec = {"targetRef": {"kind": "Gateway", "name": gateway}, "limits": [found], "headers": limit.headers,
            **given(mode=None if limit.enforce else "SHADOW", status=limit.status if limit.status != 429 else None)}
    return {**document("RateLimitPolicy", plugin.name, spec), "apiVersion": "meshd.io/v1alpha1"}


def names_of(host):
    """Return the domains without ports, each once; Istio adds the ports itself."""
    return list(dict.fromkeys(one.rpartition(":")[0] if one.rpartition(":")[2].isdecimal() else one
                              for one in host.domains))


def where_of(listener):
    """Return (``bind`` of a server, {} for all addresses; the port, 0 for a unix socket)."""
    bind, port = _where(listener)
    return ({} if bind in ANY else {"bind": bind}), port


def selector(node):
    """Return the labels by which a Gateway selects a node of this role."""
    return {"istio": dict(node.labels).get("istio", SELECTORS[node.role])}


def _where(listener):
    bind, _, port = listener.address.rpartition(":")
    if listener.address.startswith("unix:"):
        return "unix://" + listener.address[5:], 0
    return bind.strip("[]"), int(port)


def _gateway(name, listener, node, hosts, losses):
    """Beside a wildcard no host is named: its rules would hold for that host as well."""
    bind, port = where_of(listener)
    names = list(dict.fromkeys(one for host in hosts for one in names_of(host)))
    if not names or any(one.startswith("*") for one in names):
        names = ["*"]
    server = {"port": {"number": port or 80, "name": "http", "protocol": "HTTP"}, "hosts": names}
    if listener.tls is not None:
        server["port"].update(name="https", protocol="HTTPS")
        server["tls"] = server_tls(listener.tls, f"listener {listener.name}", losses, node.identity)
    server.update(bind)
    return document("Gateway", name, {"selector": selector(node), "servers": [server]})


def _sidecar(listener, namespace):
    """Return the Sidecar with this listener; it sees the rules of a namespace of its own and nothing else."""
    bind, port = _where(listener)
    egress = {"port": {"number": port, "name": "http", "protocol": "HTTP"}, "bind": bind, "captureMode": "NONE",
              "hosts": [f"{namespace}/*"]}
    return document("Sidecar", "sidecar", {"egress": [egress]})
