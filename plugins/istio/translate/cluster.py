"""Clusters: one for each host, port and subset that a route names; their names are Istio's: ``outbound|80|v1|a.b``."""

from meshd_plugins.istio.emit import At, default, field, seconds, tree
from meshd_plugins.istio.mesh.name import cluster_name
from meshd_plugins.istio.mesh.policy import Policy, find_subset, overlay, policy
from meshd_plugins.istio.mesh.service import DNS_ROUND_ROBIN, DYNAMIC_DNS, NONE
from meshd_plugins.istio.schema.form import is_ip
from meshd_plugins.istio.translate.balancing import native_balancing
from meshd_plugins.istio.translate.client_protocol import client_protocol
from meshd_plugins.istio.translate.hashing import native_hashing
from meshd_plugins.istio.translate.identity import ISTIO_MUTUAL, lack_of_identity, mesh_client, sni_of
from meshd_plugins.istio.translate.outlier import native_outlier_detection
from meshd_plugins.istio.translate.rate_limit import rate_limits
from meshd_plugins.istio.translate.tls import client_tls, warn_of_files

TLS_PATH = "spec.trafficPolicy.tls"
UNLIMITED = 2**32 - 1
CONNECT_TIMEOUT_S = 10.0
"""Istio's default (meshConfig.connectTimeout)."""
ANYWHERE = {"original_destination": {"allow": ["0.0.0.0/0", "::/0"], "max_endpoints": 32768}}
"""Whoever is captured could have gone there without us. Istio has no bound of destinations; one takes 2 KiB."""
FEWEST = "least_request"
BALANCERS = {
    "": FEWEST, "UNSPECIFIED": FEWEST, "LEAST_REQUEST": FEWEST, "LEAST_CONN": FEWEST, "ROUND_ROBIN": "round_robin",
    "RANDOM": "random",
}


class Clusters:
    """Collects the clusters that routes name while they are translated; ``sections`` are their native form.

    ``used`` is None, or a list that gets the arguments of ``use``; they are made later then. ``backend_tls`` has
    ``of_port(service, port)``: what Gateway API's BackendTLSPolicies say, None where there is no such document.
    """

    def __init__(self, mesh, context):
        self.mesh = mesh
        self.context = context
        self.limits = rate_limits(mesh, context.node)
        self.sections = {}
        self.used = None
        self.backend_tls = None

    def use(self, host, port, subset, node):
        """Return the name of the cluster; it is made when it is first asked for. ``node`` is the place that asks."""
        name = cluster_name(host, port, subset)
        if self.used is not None:
            self.used.append((host, port, subset, node))
        elif name not in self.sections:
            self.sections[name] = self._made(name, host, port, subset, node)
        return name

    def use_sni(self, host, port, subset, node):
        """Return the name of the cluster of TLS that passes through: Istio's name for SNI; no TLS of ours."""
        name = sni_of(host, port, subset)
        if name not in self.sections:
            self.sections[name] = self._made(name, host, port, subset, node)
        return name

    def inbound(self, port, address, node, pool=None, protocol="http", more=None):
        """Return the name of the cluster of the workload itself; ``pool`` are connectionPool settings or None.

        Without an ``address`` it is where the client meant to go; ``more`` says how it is got there.
        """
        name = f"inbound|{port}||"
        pool = pool or self.baseline().connection_pool
        self.sections.setdefault(name, tree(node, {
            "name": name, "endpoints": [{"address": address}] if address else [], **(more or {}), **self._pool(pool),
            **client_protocol(protocol, pool, None, is_detected=True)}))
        return name

    def baseline(self):
        """Return the policy of hosts that no DestinationRule speaks of (meshConfig.defaultTrafficPolicy)."""
        given = getattr(self.mesh.config, "default_traffic_policy", None)
        return Policy(connection_pool=getattr(given, "connection_pool", None),
                      outlier_detection=getattr(given, "outlier_detection", None))

    def unlimited(self):
        """Return the connection options of clusters that no document speaks of: Istio's, which limit nothing."""
        return self._pool(None)

    def _mesh_keepalive(self):
        return getattr(self.mesh.config, "tcp_keepalive", None)

    def _connect_timeout_s(self):
        config = self.mesh.config
        return (config.connect_timeout_s if config is not None else None) or CONNECT_TIMEOUT_S

    def _made(self, name, host, port, subset, node):
        service = self.mesh.find(host, self.context.node.namespace)
        found = service.port(port) if service is not None else None
        if found is None:
            return _missing(name, node)
        me = self.context.node
        rules = self.mesh.destination_rule(host, service.namespace, me.namespace, me.labels)
        if subset and find_subset(rules, subset) is None:
            return _missing(name, node)
        backend = self.backend_tls.of_port(service, found) if self.backend_tls is not None else None
        if backend is not None and backend.fault:
            return _missing(name, node)
        needs = (service, self.mesh.config, *rules, *((backend.resource,) if backend is not None else ()))
        values = name, me.identity, getattr(getattr(backend, "authority", None), "name", None)
        return self.context.once("cluster", needs, lambda: self._of(name, service, found, rules, subset, backend),
                                 values)

    def _of(self, name, service, found, rules, subset, backend):
        """Return the native cluster of a port of a service, or of one of its subsets, under DestinationRules.

        ``backend`` is the BackendTLSPolicy that speaks of it, or None.
        """
        in_force, record = policy(rules, subset, found.number)
        in_force = overlay(self.baseline(), in_force)
        place = record.node if record is not None else service.node
        named = _named(service, found) if service.resolution == DYNAMIC_DNS else {}
        return tree(place, {
            "name": name, **self._endpoints(service, found, record), **self._settings(in_force), **named,
            "tls": None if name == sni_of(service.host, found.number, subset) else self._tls(
                in_force.tls, service, found, subset, backend),
            **self._captured(service), **client_protocol(
                found.protocol, in_force.connection_pool, self.mesh.config,
                is_detected=self.context.node.role == "sidecar")})

    def _endpoints(self, service, port, record):
        if service.resolution == DYNAMIC_DNS:
            return {"endpoints": []}
        if service.resolution == NONE and self.context.node.interception_mode != "none":
            return {"endpoints": []}
        if service.resolution == NONE:
            self.context.unsupported(field(service.resource.spec, "resolution"), "spec.resolution",
                                     f"{service.host}: the address that a client had asked for is not known here")
            return {"endpoints": []}
        wanted = dict(record.labels).items() if record is not None else {}.items()
        found = [one for one in service.endpoints if one.serves(port) and wanted <= dict(one.labels).items()]
        if service.resolution == DNS_ROUND_ROBIN:
            found = found[:1]
        by_address = {one.at(port): one for one in found}
        if any(_is_name(address) for address in by_address):
            return {"discovery": _lookup(service, by_address)}
        return {"endpoints": [At(one.node, _endpoint(address, one)) for address, one in by_address.items()]}

    def _captured(self, service):
        """A service without endpoints of its own is where the client meant to go, where that is known."""
        if service.resolution != NONE or self.context.node.interception_mode == "none":
            return {}
        return {"load_balancer": ANYWHERE}

    def _settings(self, in_force):
        return {
            "load_balancer": self._balancer(in_force.load_balancer),
            "balancing": native_balancing(in_force, self.mesh.config, self.context.node),
            "outlier_detection": native_outlier_detection(in_force.outlier_detection),
            **self._pool(in_force.connection_pool, in_force.retry_budget),
            "proxy_protocol": _proxy_protocol(in_force.proxy_protocol),
        }

    def _pool(self, pool, budget=None):
        tcp, http = getattr(pool, "tcp", None), getattr(pool, "http", None)
        timeout_s = getattr(tcp, "connect_timeout_s", None)
        idle_s = getattr(http, "idle_timeout_s", None)
        idle_s = getattr(tcp, "idle_timeout_s", None) if idle_s is None else idle_s
        each = getattr(http, "max_requests_per_connection", None)
        return {
            "connect_timeout": _at(tcp, "connectTimeout", timeout_s, self._connect_timeout_s()),
            "circuit_breaker": {"limits": {**_limits(pool), "budget": _budget(budget)}},
            "pool": {
                "idle_timeout": idle_s and seconds(idle_s), "max_requests_per_connection": each or None,
                "max_connection_duration": seconds(getattr(tcp, "max_connection_duration_s", None)),
                "tcp_keepalive": _keepalive(getattr(tcp, "tcp_keepalive", None) or self._mesh_keepalive()),
            },
        }

    def _balancer(self, settings):
        if settings is None:
            return default(FEWEST)
        if settings.consistent_hash is not None:
            return native_hashing(settings.consistent_hash)
        word = settings.simple or ""
        found = BALANCERS.get(word)
        if found is None:
            self.context.unsupported(field(settings, "simple"), "spec.trafficPolicy.loadBalancer.simple",
                                     f"{word} is not there yet, round robin is used")
        return At(settings.node, found or "round_robin")

    def _tls(self, tls, service, port, subset, backend):
        """What must be encrypted is not sent in plain text."""
        if backend is not None:
            return backend.native()
        if tls is None or tls.mode != ISTIO_MUTUAL:
            return client_tls(tls, service)
        if self.context.node.identity is None:
            lack_of_identity(tls, self.context, TLS_PATH, service.host, is_grave=True)
            return None
        warn_of_files(tls, self.context, TLS_PATH)
        return mesh_client(tls, service, port, subset, self)


def _endpoint(address, one):
    return {"address": address, "weight": one.weight if one.weight != 1 else None, "locality": one.locality or None,
            "labels": dict(one.labels) or None}


def _is_name(address):
    """Say whether an endpoint's HOST:PORT or unix:PATH has to be looked up."""
    host = address.rpartition(":")[0].strip("[]")
    return not address.startswith("unix:") and not is_ip(host)


def _lookup(service, by_address):
    """Return the discovery of a service by names: all addresses are endpoints, or the first of the moment."""
    rows = [At(one.node, {"name": address, **_endpoint(address, one), "address": None})
            for address, one in by_address.items()]
    is_logical = service.resolution == DNS_ROUND_ROBIN
    return {"dns": {"names": rows, "mode": "logical" if is_logical else None}}


def _named(service, port):
    """Return the balancer of a service whose endpoints are the hosts that requests name."""
    hosts = [service.host, *service.aliases]
    return {"load_balancer": {"dynamic_host": {"hosts": hosts, "default_port": port.target or port.number}}}


def _missing(name, node):
    return tree(node, {"name": name, "missing": True})


def _at(block, key, given_s, default_s):
    return default(seconds(default_s)) if given_s is None else At(field(block, key), seconds(given_s))


def _keepalive(probing):
    """Return the native probes of silent connections; what is not given is the system's."""
    return None if probing is None else At(probing.node, {
        "time": seconds(probing.time_s), "interval": seconds(probing.interval_s), "probes": probing.probes or None})


def _proxy_protocol(block):
    """Return the native version of the header that connections begin with; V1 is Istio's default."""
    return None if block is None else At(block.node, (block.version or "V1").lower())


def _budget(budget):
    """Return the native retry budget, in place of ``maxRetries``."""
    return None if budget is None else At(budget.node, {
        "percent": budget.percent, "min_retry_concurrency": budget.min_retry_concurrency or None,
        "interval": seconds(budget.budget_interval_s)})


def _limits(pool):
    """Return the circuit breaker's limits; Istio lifts all that are not given (0 counts as not given)."""
    tcp, http = getattr(pool, "tcp", None), getattr(pool, "http", None)
    rows = (("max_connections", tcp, "max_connections"), ("max_pending", http, "http1_max_pending_requests"),
            ("max_requests", http, "http2_max_requests"), ("max_retries", http, "max_retries"))
    return {key: At(field(block, name), value) if (value := getattr(block, name, None)) else default(UNLIMITED)
            for key, block, name in rows}
