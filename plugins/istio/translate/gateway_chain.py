"""Filter chains of a port of Gateways that carries TLS or bytes: one for each server that ends TLS, told apart by SNI;
one for each rule of what passes through.
"""

import hashlib

from meshd_plugins.istio.emit import At, field
from meshd_plugins.istio.schema.form import is_ip, protocol_of
from meshd_plugins.istio.translate.gateway_host import hosts_of, services_of, shared_hosts
from meshd_plugins.istio.translate.listener import http_listener, is_http
from meshd_plugins.istio.translate.route import Scope
from meshd_plugins.istio.translate.sni import sni_chains
from meshd_plugins.istio.translate.tcp import names_of, tcp_chain, tcp_filters, tls_chains, warn_of_networks
from meshd_plugins.istio.translate.tls import server_tls

HTTP, TLS, TCP = "http", "tls", "tcp"
LONGEST_NAME = 200
TAKEN = "another server or rule of this port has this name already"


def family(port):
    """Return ``http``, ``tls`` or ``tcp``: what servers of one port have in common."""
    if is_http(port):
        return HTTP
    return TLS if protocol_of(port) in ("https", "tls") else TCP


def gateway_chains(bounds, port, mesh, context, clusters):
    """Return the native filter chains of a port's servers, the first of those that match the same."""
    maker, found = _Maker(port, mesh, context, clusters), {}
    for bound in bounds:
        warned = False
        for chain, names in maker.chains(bound):
            free = [one for one in names or [""] if one not in found]
            if not free:
                if not warned:
                    warned = True
                    context.unsupported(field(bound.server, "hosts"), f"spec.servers[{bound.place}].hosts", TAKEN)
                continue
            match = {**(chain.value.get("match") or {}), "server_names": free} if names else None
            found.update(dict.fromkeys(free))
            found[free[0]] = At(chain.node, {**chain.value, "name": chain_name(chain.value["name"], free[0]),
                                             "match": match})
    return [one for one in found.values() if one is not None]


def chain_name(base, server_name):
    """Return a chain's name, which stays the same whatever becomes of others: connections keep their chain by it."""
    name = f"{base}|{server_name.replace('*', '_') or 'any'}"
    return name if len(name) <= LONGEST_NAME else f"tls|{hashlib.sha256(name.encode()).hexdigest()}"


class _Maker:
    def __init__(self, port, mesh, context, clusters):
        self.port, self.mesh, self.context, self.clusters = port, mesh, context, clusters

    def chains(self, bound):
        """Yield (chain without its match, server names or [] for all) of a server."""
        tls, path = bound.server.tls, f"spec.servers[{bound.place}].tls"
        name = f"{family(bound.server.port)}.{self.port}.{bound.gateway.namespace}.{bound.gateway.name}"
        if tls is None:
            yield from self._bytes(bound, name, [], None)
        elif tls.mode == "PASSTHROUGH":
            yield from self._passing(bound, name)
        elif tls.mode == "AUTO_PASSTHROUGH":
            yield from sni_chains(bound, name, self.mesh, self.clusters)
        else:
            native, names = server_tls(tls, self.context, path, self.mesh.config), names_of(bound.server.hosts)
            if native is None:
                return
            if protocol_of(bound.server.port) == "https":
                yield self._requests(bound, name, native), names
            else:
                yield from self._bytes(bound, name, names, native)

    def _requests(self, bound, name, native):
        hosts = hosts_of([bound], self.port, self.mesh, self.context, self.clusters)
        asks = native.value["client_certificate"] is not None
        made = http_listener(bound.server.node, name, "", hosts, self.clusters, is_edge=True, asks=asks)
        fields = {key: value for key, value in made.value.items() if key != "address"}
        return At(made.node, {**fields, "tls": native})

    def _scope(self, bound):
        return Scope(bound.name, self.port, self.mesh, self.clusters, self.context.node)

    def _rules(self, bound):
        for service in services_of(bound, self.mesh, self.context.node):
            if shared_hosts(service, bound, self.mesh):
                warn_of_networks(service, self.context)
                yield service

    def _bytes(self, bound, name, names, native):
        """The first rule of all that are bound takes all connections."""
        for service in self._rules(bound):
            filters = tcp_filters(service, self._scope(bound))
            if filters is not None:
                yield tcp_chain(bound.server.node, name, None, filters, tls=native), names
                return

    def _passing(self, bound, name):
        """Names that are addresses are asked for by nobody: clients send none for an address."""
        for service in self._rules(bound):
            for names, _, filters, place in tls_chains(service, self._scope(bound)):
                names = [one.lower() for one in names if not is_ip(one)]
                if names:
                    yield tcp_chain(place, name, None, filters), [] if "*" in names else names
