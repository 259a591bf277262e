"""Filter chains and listeners of bytes: a Gateway with one server for each chain, and VirtualServices bound to it.

A chain is told apart by its server names, as servers are. Requests become ``http`` rules, bytes that end TLS here (or
have none) ``tcp`` rules, and bytes that pass ``tls`` rules.
"""

from meshd_plugins.istio.mesh.name import covers
from meshd_plugins.istio.write.form import destination, document, lose, word
from meshd_plugins.istio.write.listener import hosts_of, names_of, request_documents, selector, where_of
from meshd_plugins.istio.write.tls import server_tls

PASSTHROUGH = {"mode": "PASSTHROUGH"}
INSPECTOR = "tls_inspector"
PROXY = "tcp_proxy"


def proxies(listener):
    """Yield the options of each tcp_proxy at the end of a listener's chains."""
    for chain in listener.chains:
        if chain.network_filters and chain.network_filters[-1].type == PROXY:
            yield chain.network_filters[-1].config


def clusters_of(options):
    """Return [(name of a cluster, weight or None)] of a tcp_proxy."""
    if options is None:
        return []
    if options.weighted_clusters:
        return [(one.cluster, one.weight) for one in options.weighted_clusters]
    return [(options.cluster, None)] if options.cluster is not None else []


def chain_documents(listener, snapshot, hashed, losses):
    """Yield the documents of a listener with chains or of bytes; what they cannot say is added to ``losses``."""
    at, chains = f"listener {listener.name}", listener.chains
    if listener.is_udp:
        losses.append(f"{at}: UDP has no document of Istio's: left out")
        return
    if snapshot.node.role == "sidecar":
        losses.append(f"{at}: chains and TCP of a sidecar follow from services and have no document: left out")
        return
    for plugin in listener.listener_filters:
        if plugin.type != INSPECTOR:
            losses.append(f"{at}: listener filter {plugin.name} has no document of Istio's")
    is_tls = any(_is_tls(one) for one in chains)
    for chain in chains:
        where = f"{at}: chain {chain.name}" if chain.name else at
        lose(losses, where, chain.match, ("server_names", "transport_protocol"), "match: ")
        if is_tls and not _is_tls(chain) and (chain.filters or chain is not listener.default_filter_chain):
            losses.append(f"{where}: plain text beside TLS on one port cannot be said: left out")
            continue
        one = _Chain(listener, chain, where, snapshot, losses)
        yield from one.requests(hashed) if chain.filters else one.bytes(is_tls)


def _is_tls(chain):
    return chain.tls is not None or bool(chain.match.server_names) or chain.match.transport_protocol == "tls"


class _Chain:
    def __init__(self, listener, chain, where, snapshot, losses):
        self.listener, self.chain, self.where = listener, chain, where
        self.snapshot, self.losses = snapshot, losses
        self.names = list(chain.match.server_names) or ["*"]
        self.name = word(f"{listener.name}-{chain.name}" if chain.name else listener.name)

    def requests(self, hashed):
        """Yield the documents of a chain of requests."""
        hosts = hosts_of(self.chain, self.where, self.losses)
        if hosts is None:
            return
        tls = self.chain.tls
        names = self.names if tls is not None else ["*"]
        yield self._gateway("https" if tls is not None else "http", self._tls() if tls is not None else None, names)
        for one in dict.fromkeys(name for host in hosts for name in names_of(host)):
            if not any(covers(name, one) for name in names):
                self.losses.append(f"{self.where}: requests for {one} other than its server names get 404")
        yield from request_documents(self.chain, self.name, self.where, hosts, self.snapshot, hashed, self.losses)

    def bytes(self, is_tls):
        """Yield the documents of a chain of bytes."""
        routes = self._routes()
        if not routes:
            return
        if self.chain.tls is not None:
            yield self._gateway("tls", self._tls(), self.names)
            rules = {"tcp": [{"route": routes}]}
        elif is_tls:
            yield self._gateway("tls", PASSTHROUGH, self.names)
            rules = {"tls": [{"match": [{"sniHosts": self.names}], "route": routes}]}
        else:
            yield self._gateway("tcp", None, self.names)
            rules = {"tcp": [{"route": routes}]}
        yield document("VirtualService", self.name, {"hosts": self.names, "gateways": [self.name], **rules})

    def _routes(self):
        *others, last = self.chain.network_filters
        for plugin in others:
            self.losses.append(f"{self.where}: network filter {plugin.name} has no document of Istio's")
        rows = clusters_of(last.config) if last.type == PROXY else []
        if not rows:
            self.losses.append(f"{self.where}: {last.type} names no cluster: left out")
            return []
        lose(self.losses, self.where, last.config, ("cluster", "weighted_clusters"), f"{PROXY}: ")
        return [{"destination": destination(name), **({"weight": weight} if weight is not None else {})}
                for name, weight in rows]

    def _tls(self):
        return server_tls(self.chain.tls, self.where, self.losses, self.snapshot.node.identity)

    def _gateway(self, protocol, tls, hosts):
        bind, port = where_of(self.listener)
        server = {"port": {"number": port or 80, "name": protocol, "protocol": protocol.upper()}, "hosts": hosts,
                  **({"tls": tls} if tls is not None else {}), **bind}
        return document("Gateway", self.name, {"selector": selector(self.snapshot.node), "servers": [server]})
