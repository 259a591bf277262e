"""Listeners of a sidecar: explicit ports of its Sidecar document, the mesh's HTTP proxy port, captured connections."""

import attrs

from meshd_plugins.istio.emit import DEFAULT, At, default, field
from meshd_plugins.istio.mesh.index import EVERYWHERE, HERE, MESH, NOWHERE
from meshd_plugins.istio.mesh.name import covers, overlap, specificity
from meshd_plugins.istio.mesh.service import protocol_of
from meshd_plugins.istio.translate.captured import captured_listeners, is_captured
from meshd_plugins.istio.translate.listener import (
    TAGS, address, http_listener, is_grpc_web, is_http, listener_name)
from meshd_plugins.istio.translate.rate_limit import Tags
from meshd_plugins.istio.translate.route import Scope
from meshd_plugins.istio.translate.service_chain import INSPECTOR, ServiceChains
from meshd_plugins.istio.translate.tls import ingress
from meshd_plugins.istio.translate.virtual_host import default_route, domains, routes_of

LOOPBACK, ANY = "127.0.0.1", "0.0.0.0"
EVERYTHING = ("*/*",)
PROXY, UDP = "HTTP_PROXY", "udp"
REGISTRY_ONLY = "REGISTRY_ONLY"
BLOCKED = 502
"""What Istio answers where REGISTRY_ONLY refuses a host."""
INBOUND_RETRY = {"retry": {"retry_on": ["reset-before-request"], "attempts": 2, "methods": ["*"]}}
"""Istio's default for the server side: the workload may close an idle connection just when it is used."""


def sidecar_listeners(mesh, context, clusters, routes):
    """Return the native listeners for this node's workload; none for a gateway.

    ``routes`` are those of Gateway API whose parent is a Service: (host, port) -> native routes.
    """
    if context.node.role != "sidecar":
        return
    document = find_sidecar(mesh, context.node)
    spec = document.spec if document is not None else None
    view = View(mesh, context, clusters, spec, routes)
    if context.node.interception_mode != "none":
        yield from captured_listeners(view, not view.is_closed, _inbound_hosts)
    for one in spec.egress if spec is not None else ():
        if is_captured(context.node, one):
            continue
        if one.port is not None or one.bind:
            yield from _egress(one, view)
    for place, one in enumerate(spec.ingress if spec is not None else ()):
        if is_captured(context.node, one):
            continue
        yield from _ingress(one, place, view)
    port = getattr(mesh.config, "proxy_http_port", 0)
    if port:
        hosts = _proxied(spec.egress) if spec is not None else EVERYTHING
        at = field(mesh.config, "proxyHttpPort")
        yield http_listener(at, listener_name(LOOPBACK, port), address(LOOPBACK, port, context.node),
                            view.proxied_hosts(hosts), clusters)


def find_sidecar(mesh, node):
    """Return the Sidecar document of a node: by its labels, then of its namespace, then of the root namespace."""
    found = mesh.of("Sidecar")
    labels = dict(node.labels).items()
    for one in found:
        selector = one.spec.workload_selector
        if one.namespace == node.namespace and selector is not None and dict(selector.labels).items() <= labels:
            return one
    for namespace in (node.namespace, mesh.root_namespace):
        for one in found:
            if one.namespace == namespace and (one.spec.workload_selector is None
                                               or not one.spec.workload_selector.labels):
                return one
    return None


def _proxied(egress):
    """Return the hosts of the listener without a port, which is for all that no other takes; else those of all."""
    rest = next((one.hosts for one in egress if one.port is None), None)
    return rest or tuple(host for one in egress for host in one.hosts) or EVERYTHING


def _egress(one, view):
    node = view.context.node
    if one.port is not None and not is_http(one.port):
        yield from _egress_bytes(one, view)
        return
    number = one.port.number if one.port is not None else 0
    bind = one.bind or LOOPBACK
    where = At(field(one.port or one, "number"), address(bind, number, node))
    is_proxy = not number or one.port.protocol.upper() == PROXY
    hosts = view.proxied_hosts(one.hosts) if is_proxy else view.hosts(number, one.hosts)
    is_web = one.port is not None and is_grpc_web(one.port)
    yield http_listener(one.node, listener_name(bind, number), where, hosts, view.clusters, is_web=is_web)


def _egress_bytes(one, view):
    """A listener of bytes, where there are services with its port."""
    number, bind, chains = one.port.number, one.bind or LOOPBACK, ServiceChains(view)
    for service in view.services(one.hosts):
        port = service.port(number)
        if port is not None and port.protocol != UDP:
            chains.add(service, number, (), one.hosts, one.node, is_captured=False)
    if chains.found:
        yield At(one.node, {
            "name": listener_name(bind, number),
            "address": At(field(one.port, "number"), address(bind, number, view.context.node)),
            "listener_filters": [INSPECTOR] if chains.has_names else None,
            "filter_chains": list(chains.found.values())})


def _ingress(one, place, view):
    found = ingress(one, place, view.context)
    if found is None:
        return
    number = one.port.number
    pool = one.connection_pool or view.spec.inbound_connection_pool
    cluster = view.clusters.inbound(number, _workload(one.default_endpoint, number), one.node, pool,
                                    protocol_of(one.port.name, one.port.protocol))
    bind = one.bind or ANY
    where = At(field(one.port, "number"), address(bind, number, view.context.node))
    has_requests, tls = found
    name, made = listener_name(bind, number), {"network_filters": [{"tcp_proxy": {"cluster": cluster}}]}
    if has_requests:
        hosts = _inbound_hosts(number, cluster, one.node)
        made = http_listener(one.node, name, where, hosts, view.clusters, is_web=is_grpc_web(one.port)).value
    yield At(one.node, {"name": name, "address": where, **made, "tls": tls})


def _inbound_hosts(number, cluster, node):
    """Return the native virtual hosts of a port of the workload."""
    route = At(node, {"name": "default", "match": {"prefix": "/"}, "cluster": cluster, "timeout": default("0s"),
                      "grpc_timeout_header_max": default("0s"), "retry": default(INBOUND_RETRY),
                      TAGS: Tags(is_inbound=True)})
    return [{"name": f"inbound|http|{number}", "domains": ["*"], "routes": [route]}]


def _workload(endpoint, port):
    """Return the address of the workload: ``127.0.0.1:P`` and ``unix:///PATH`` as said, ``0.0.0.0`` is this host."""
    if not endpoint:
        return f"{LOOPBACK}:{port}"
    if endpoint.startswith("unix://"):
        return "unix:" + endpoint.removeprefix("unix://")
    return endpoint.replace(ANY, LOOPBACK, 1).replace("[::]", "[::1]", 1)


def _is_served(service, port):
    """Say whether requests to a port of a service are routed; what has no protocol is taken for HTTP here."""
    found = service.port(port)
    return found is not None and (found.is_http or not found.protocol)


@attrs.frozen(eq=False)
class View:
    """What this node sees of the mesh, as virtual hosts of one listener."""

    mesh: object
    context: object
    clusters: object
    spec: object = None
    routes: dict = attrs.field(factory=dict)

    def hosts(self, port, wanted):
        """Return the native virtual hosts of a listener on the service port ``port``."""
        rules, scope = self.rules(wanted), self.scope(port)
        imported = {one.host: one for one in self.services(wanted)}
        services = {host: one for host, one in imported.items() if _is_served(one, port)}
        # a rule's host that is a service without this port has nothing to say here
        names = {*services, *(host for host in rules if host not in imported)}
        made = [self._host(host, services.get(host), port, rules, scope, names)
                for host in sorted(names, key=lambda one: (specificity(one), one))]
        return self._with_rest(made)

    def proxied_hosts(self, wanted):
        """Return the native virtual hosts of an HTTP proxy: every HTTP port of every service, by ``host:port``."""
        rules, services = self.rules(wanted), self.services(wanted)
        names = {*(one.host for one in services), *rules}
        made = []
        for service in services:
            for port in service.ports:
                if _is_served(service, port.number):
                    is_plain = port.number == 80 or len(service.ports) == 1
                    made.append(self._host(service.host, service, port.number, rules, self.scope(port.number), names,
                                           has_plain=is_plain))
        known = {one.host for one in services}
        made += [self._host(host, None, 0, rules, self.scope(80), names) for host in rules if host not in known]
        return self._with_rest(made)

    @property
    def policy(self):
        """What becomes of hosts that nobody knows; None: they are passed on."""
        return (getattr(self.spec, "outbound_traffic_policy", None)
                or getattr(self.mesh.config, "outbound_traffic_policy", None))

    @property
    def is_closed(self):
        """Say whether only the registry's hosts may be asked for."""
        return self.policy is not None and self.policy.mode == REGISTRY_ONLY

    @property
    def place(self):
        """Return where things stand that no document gives."""
        return self.spec.node if self.spec is not None else DEFAULT

    @staticmethod
    def workload(endpoint, port):
        """Return the address that a ``defaultEndpoint`` means."""
        return _workload(endpoint, port)

    def _with_rest(self, made):
        """Leave out what has no routes; where only the registry's hosts may be asked for, refuse all others."""
        made = [one for one in made if one is not None]
        if self.is_closed and not any("*" in one["domains"] for one in made):
            route = At(self.policy.node, {"name": "block_all", "match": {"prefix": "/"},
                                     "direct_response": {"status": BLOCKED}})
            made.append({"name": "block_all", "domains": ["*"], "routes": [route]})
        return made

    def scope(self, port):
        """Return the Scope of a port of services."""
        return Scope(MESH, port, self.mesh, self.clusters, self.context.node)

    def services(self, wanted):
        """Return the visible services that the ``hosts`` of an egress listener name; of one host the nearest."""
        own = self.context.node.namespace
        found = {}
        for one in self.mesh.services:
            if one.host in found and one.namespace != own:
                continue
            if self.mesh.is_visible(one, own) and self._is_wanted(one.host, one.namespace, wanted):
                found[one.host] = one
        return list(found.values())

    def rules(self, wanted):
        """Return a dict of host -> VirtualServices of the mesh, in their order."""
        found = {}
        for service in self.mesh.of("VirtualService"):
            spec = service.spec
            if spec.gateways and MESH not in spec.gateways:
                continue
            if not self.mesh.sees(service, self.context.node.namespace, self._default_export()):
                continue
            for host in spec.hosts:
                name = self.mesh.resolve(host, service.namespace)
                if self._is_wanted(name, service.namespace, wanted, overlap):
                    found.setdefault(name, []).append(service)
        return found

    def rules_of(self, host, rules):
        """Return those of ``rules`` (as ``rules`` returns them) whose host covers a service's most closely."""
        return rules.get(self._covering(host, rules), [])

    def _default_export(self):
        return self.mesh.config.default_virtual_service_export_to if self.mesh.config else ()

    def _is_wanted(self, host, namespace, wanted, matches=covers):
        """Say whether the ``hosts`` of an egress listener name a host; ``~NAMESPACE/HOST`` takes services out again."""
        own = self.context.node.namespace
        is_in = False
        for one in wanted:
            where, _, name = one.rpartition("/")
            is_out, where = where.startswith(NOWHERE), where.removeprefix(NOWHERE)
            if (own if where == HERE else where) not in (EVERYWHERE, namespace, ""):
                continue
            if is_out and covers(name, host):
                return False
            is_in = is_in or (not is_out and bool(matches(name, host)))
        return is_in

    def _host(self, host, service, port, rules, scope, names, has_plain=True):
        """Return the virtual host, or None where it has no routes. ``names`` are not used as aliases of others."""
        covering = self._covering(host, rules)
        routes = routes_of([(one, scope) for one in rules[covering]]) if covering is not None else []
        routes = routes or self._of_service(host, port)
        if not routes and service is None:
            return None
        found = domains(host, port, self._aliases(service, names))
        if not has_plain:
            found = [one for one in found if one.endswith(f":{port}")]
        return {"name": f"{host}:{port}", "domains": found,
                "routes": routes or [default_route(service, service.port(port), scope)]}

    def _of_service(self, host, port):
        """Return the routes whose parent is the Service (each listener has its own); VirtualServices go before them."""
        return [At(one.node, dict(one.value)) for one in self.routes.get((host, port), ())]

    def _aliases(self, service, names):
        """Return the other names of a service; that without a namespace is for proxies of the same namespace."""
        own = self.context.node.namespace
        return [one for one in getattr(service, "aliases", ())
                if one not in names and ("." in one or service.namespace == own)]

    @staticmethod
    def _covering(host, rules):
        """Return the rule host that covers ``host`` most closely, or None."""
        if host in rules:
            return host
        return min((one for one in rules if one.startswith("*") and covers(one, host)), key=specificity, default=None)
