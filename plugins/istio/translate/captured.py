"""The listeners of a sidecar to which connections are led (``meshctl capture``): virtualOutbound and virtualInbound.

One filter chain stands for each of Istio's listeners, chosen by where the client meant to go: ``0.0.0.0_80`` for
requests on a port of services, ``10.0.0.1_5432`` for a service with an address and any other protocol. A port without
a protocol has both: what is found to be HTTP is routed, the rest goes to the service. What no chain takes is passed on,
or with REGISTRY_ONLY goes into the black hole; on the way in it goes to the workload.
"""

from meshd_plugins.istio.emit import At, default, seconds, tree
from meshd_plugins.istio.mesh.service import NONE, protocol_of
from meshd_plugins.istio.translate.cluster import ANYWHERE
from meshd_plugins.istio.translate.family import V4, V6, families, of_family
from meshd_plugins.istio.translate.listener import (
    TAGS, http_listener, is_detected_port, is_grpc_web, is_http, listener_name)
from meshd_plugins.istio.translate.naming import allocated, destinations_of
from meshd_plugins.istio.translate.rate_limit import Tags
from meshd_plugins.istio.translate.service_chain import DETECTION_S, RAW, ServiceChains, Where, networks_of
from meshd_plugins.istio.translate.tls import ingress

ANY, LOOPBACK = "0.0.0.0", "127.0.0.1"
OUTBOUND, INBOUND = "virtualOutbound", "virtualInbound"
EVERY, SUFFIXES = {V4: ANY, V6: "[::]"}, {V4: "", V6: "6"}
OUTBOUND_PORT, INBOUND_PORT = 15001, 15006
PASSTHROUGH, BLACK_HOLE, INBOUND_PASSTHROUGH = "PassthroughCluster", "BlackHoleCluster", "InboundPassthroughCluster"
SOURCES = ("127.0.0.6", "::6")
NOT_CAPTURED, TPROXY, LOCALHOST = "NONE", "tproxy", "LOCALHOST"
LIMIT_S = 5.0
"""How long a client that has said something, but too little, is waited for."""
REST, REST_HTTP, UDP = "rest", "rest_http", "udp"
FOUND = {"transport_protocol": RAW, "application_protocols": ["http/1.0", "http/1.1", "h2c"]}
"""What a connection without TLS is found to speak, where its requests are routed (Istio's list)."""


def is_captured(node, one):
    """Say whether a listener of a Sidecar document is for captured connections."""
    return node.interception_mode != "none" and one.capture_mode != NOT_CAPTURED


def captured_listeners(view, allows_any, inbound_routes):
    """Return both native listeners, of each family of IP. ``inbound_routes`` gives the native virtual hosts of a port.
    """
    config = view.mesh.config
    outbound, inbound = _Outbound(view, allows_any), _Inbound(view, inbound_routes)
    last = PASSTHROUGH if allows_any else BLACK_HOLE
    is_transparent = view.context.node.interception_mode == TPROXY
    rows = (
        (OUTBOUND, getattr(config, "proxy_listen_port", None) or OUTBOUND_PORT, list(outbound.chains()),
         _cluster(view.clusters, last, view.place), None),
        (INBOUND, getattr(config, "proxy_inbound_listen_port", None) or INBOUND_PORT, list(inbound.chains()),
         _cluster(view.clusters, INBOUND_PASSTHROUGH, view.place), is_transparent or None))
    return [_listener(f"{name}{SUFFIXES[family]}", f"{EVERY[family]}:{port}",
                      [found for one in chains if (found := of_family(one, family)) is not None], cluster, config,
                      transparent=transparent)
            for family in families(view.context.node) for name, port, chains, cluster, transparent in rows]


def _listener(name, where, chains, cluster, config, **more):
    """The inspectors look at connections alone whose chain depends on it; others are not kept waiting."""
    limit_s = getattr(config, "protocol_detection_timeout_s", None) or None
    wait = {"detection_timeout": seconds(limit_s or DETECTION_S), "when_needed": True}
    return default({
        "name": name, "address": where, "use_original_dst": True,
        "listener_filters": ["original_dst", {"tls_inspector": wait}, {"http_inspector": wait}],
        "listener_filters_timeout": seconds(limit_s or LIMIT_S), "continue_on_listener_filters_timeout": True,
        "filter_chains": chains or None, "default_filter_chain": {"name": REST, **_tcp(cluster)}, **more,
    })


def _tcp(cluster):
    return {"network_filters": [{"tcp_proxy": {"cluster": cluster}}]}


def _cluster(clusters, name, place, **more):
    """Return the name of one of the clusters that Istio has at every sidecar."""
    if name == BLACK_HOLE:
        fields = {"endpoints": []}
    else:
        sources = list(SOURCES) if name != PASSTHROUGH else None
        fields = {"endpoints": [], "load_balancer": ANYWHERE, "source_addresses": sources,
                  **(_in_the_clients_name(clusters) if sources else {}),
                  "protocol": "use_downstream_protocol", **clusters.unlimited()}
    clusters.sections.setdefault(name, tree(place, {"name": name, **fields, **more}))
    return name


def _in_the_clients_name(clusters):
    """Return the option of a cluster of the workload by which it sees the client's address, with TPROXY.

    Not of an endpoint on loopback: the kernel takes no answer from there to the address of another machine.
    """
    return {"use_original_src": True} if clusters.context.node.interception_mode == TPROXY else {}


def _chain(place, name, port, addresses, filters, *, is_detected=False, transport=None):
    """Return a filter chain; ``filters`` is what ``http_listener`` or ``_tcp`` returns.

    ``is_detected``: it takes what is found to be HTTP in plain text.
    """
    fields = filters.value if type(filters) is At else filters
    fields = {key: value for key, value in fields.items() if key != "address"}
    found = FOUND if is_detected else {"transport_protocol": transport}
    return At(place, {**fields, "name": name, "match": {
        "destination_port": port, "prefix_ranges": list(networks_of(addresses)) or None, **found}})


class _Outbound:
    """The chains of what leaves."""

    def __init__(self, view, allows_any):
        self.view = view
        self.allows_any = allows_any
        self.given = allocated(view.mesh, families(view.context.node)) if view.context.node.dns_capture else {}
        self.chains_of = ServiceChains(view)
        self.found = self.chains_of.found

    def chains(self):
        """Return all, those of the document's own ports before those of services."""
        view, rest = self.view, ("*/*",)
        if view.spec is not None and view.spec.egress:
            rest = ()
            for one in view.spec.egress:
                if one.port is None and not one.bind:
                    rest = one.hosts
                elif one.port is not None and is_captured(view.context.node, one):
                    self._port(one)
        services = view.services(rest) if rest else ()
        ports = sorted({port.number for service in services for port in service.ports})
        for number in ports:
            self._services(number, [one for one in services if one.port(number) is not None], rest, view.place)
        return self.found.values()

    def _port(self, one):
        number, addresses = one.port.number, [one.bind] if one.bind else []
        is_detected = is_detected_port(one.port)
        if is_http(one.port) or is_detected:
            self._http(number, self.view.hosts(number, one.hosts), addresses, one.node, is_detected=is_detected,
                       is_web=is_grpc_web(one.port))
            if not is_detected:
                return
        for service in self.view.services(one.hosts):
            port = service.port(number)
            if port is not None and port.protocol != UDP:
                where = addresses or (destinations_of(service, self.given) if not is_detected else [])
                self.chains_of.add(service, number, where, one.hosts, one.node, is_detected=is_detected)

    def _services(self, number, services, wanted, place):
        """Those with an address of their own and no protocol have chains of their own, as those of bytes have."""
        rows = [(one, one.port(number), destinations_of(one, self.given)) for one in services]
        is_shared = any(port.is_detected and not addresses for _, port, addresses in rows)
        hosts = self.view.hosts(number, wanted) if any(port.is_http or port.is_detected for _, port, _ in rows) else []
        by_name = {host["name"]: host for host in hosts}
        if is_shared or any(port.is_http for _, port, _ in rows):
            self._http(number, hosts, [], place, is_detected=is_shared,
                       is_web=any(is_grpc_web(port) for _, port, _ in rows))
        for one, port, addresses in rows:
            if port.is_http or port.protocol == UDP:
                continue
            host = by_name.get(f"{one.host}:{number}")
            if port.is_detected and addresses and host is not None:
                self._chain(number, [{**host, "domains": ["*"]}], addresses, one.node, is_detected=True)
            self.chains_of.add(one, number, addresses, wanted, one.node,
                               is_detected=port.is_detected or (is_shared and not addresses))

    def _http(self, number, hosts, addresses, place, *, is_detected, is_web):
        hosts = list(hosts)
        if self.allows_any and not any("*" in host["domains"] for host in hosts):
            cluster = _cluster(self.view.clusters, PASSTHROUGH, place)
            route = At(place, {"name": "allow_any", "match": {"prefix": "/"}, "cluster": cluster,
                               "timeout": default("0s"), TAGS: Tags()})
            hosts.append({"name": "allow_any", "domains": ["*"], "routes": [route]})
        if hosts:
            self._chain(number, hosts, addresses, place, is_detected=is_detected, is_web=is_web)
            if not is_detected:
                self.chains_of.take(number, addresses)

    def _chain(self, number, hosts, addresses, place, *, is_detected, is_web=False):
        name = listener_name(addresses[0] if addresses else ANY, number)
        made = http_listener(place, name, "", hosts, self.view.clusters, is_web=is_web)
        self.found.setdefault(name, _chain(place, name, number, addresses, made, is_detected=is_detected))


class _Inbound:
    """The chains of what comes in: of the document's ``ingress``, else of the services that the workload is part of."""

    def __init__(self, view, routes):
        self.view = view
        self.routes = routes

    def chains(self):
        """Yield them; the last takes requests to any other port."""
        yield from self._own()
        place = self.view.place
        cluster = _cluster(self.view.clusters, INBOUND_PASSTHROUGH, place)
        made = http_listener(place, REST_HTTP, "", self.routes(0, cluster, place), self.view.clusters)
        yield _chain(place, REST_HTTP, None, [], made, is_detected=True)

    def _own(self):
        view = self.view
        if view.spec is not None and view.spec.ingress:
            for place, one in enumerate(view.spec.ingress):
                found = ingress(one, place, view.context) if is_captured(view.context.node, one) else None
                if found is not None:
                    number, bind = one.port.number, [one.bind] if one.bind else []
                    cluster = self._cluster(number, one.default_endpoint, one.node, one.connection_pool,
                                            protocol_of(one.port.name, one.port.protocol))
                    kind = None if found[1] is None and is_detected_port(one.port) else found[0]
                    yield from self._chains(number, kind, cluster, bind, one.node, found[1], is_grpc_web(one.port))
            return
        seen = set()
        for service in view.mesh.services:
            if not is_of(service, view.context.node):
                continue
            for port in service.ports:
                number = port.target or port.number
                if number not in seen and port.protocol != UDP:
                    seen.add(number)
                    cluster = self._cluster(number, "", service.node, None, port.protocol)
                    yield from self._chains(number, None if port.is_detected else port.is_http, cluster, [],
                                            service.node, is_web=is_grpc_web(port))

    def _chains(self, number, has_requests, cluster, addresses, place, tls=None, is_web=False):
        """``has_requests`` is None where that is found out."""
        name, is_detected = listener_name(addresses[0] if addresses else ANY, number), has_requests is None
        if has_requests or is_detected:
            made = http_listener(
                place, name, "", self.routes(number, cluster, place), self.view.clusters, is_web=is_web).value
            yield _chain(place, name, number, addresses, {**made, "tls": tls}, is_detected=is_detected)
        if is_detected:
            for word, transport in Where(name, number, number, (), is_detected=True).kinds(()):
                yield _chain(place, f"{name}|{word}", number, addresses, _tcp(cluster), transport=transport)
        elif not has_requests:
            yield _chain(place, name, number, addresses, {**_tcp(cluster), "tls": tls})

    def _cluster(self, number, endpoint, place, pool, protocol):
        policy = getattr(self.view.mesh.config, "inbound_traffic_policy", None)
        if not endpoint and policy is not None and policy.mode == LOCALHOST:
            endpoint = f"{LOOPBACK}:{number}"
        pool = pool or getattr(self.view.spec, "inbound_connection_pool", None)
        clusters = self.view.clusters
        if endpoint:
            return clusters.inbound(number, self.view.workload(endpoint, number), place, pool, protocol)
        return clusters.inbound(number, None, place, pool, protocol, {
            "load_balancer": ANYWHERE, "source_addresses": list(SOURCES), **_in_the_clients_name(clusters)})


def is_of(service, node):
    """Say whether the workload of a node is one of a service's: its labels are those that the service selects."""
    spec = service.resource.spec
    selector = getattr(spec, "workload_selector", None)
    wanted = dict(selector.labels) if selector is not None else dict(getattr(spec, "selector", ()) or ())
    return bool(wanted) and service.namespace == node.namespace and service.resolution != NONE and (
        wanted.items() <= dict(node.labels).items())
