"""The network filter ``tcp_proxy``: a connection goes to an endpoint of a cluster; Envoy's, and terminal."""

from functools import partial
from itertools import accumulate

from zope.interface import implementer

from meshd.api import (
    STOP, Duration, INetworkFilter, Integer, ListOf, Need, Nested, Reference, TcpPlan, config, option,
)
from meshd_plugins.tcp.hash_policy import HashPolicy, key_of
from meshd_plugins.tcp.tunneling import Tunneling, build_operator, tunnel_of

CLUSTER_NOTE = "envoy.tcp_proxy.cluster"
"""``session.metadata`` has under this the name of the cluster where an earlier filter decides (Envoy's key)."""


@config
class WeightedCluster:
    """One of several destinations."""

    cluster: str = option(Reference("cluster"), doc="where its share of the connections goes")
    weight: int = option(Integer(minimum=1, maximum=2**32 - 1), default=1, doc="its share is weight / sum of weights")


@config
class TcpProxyOptions:
    """Where connections go and how long they live. Defaults are Envoy's."""

    cluster: str | None = option(Reference("cluster"), default=None, doc="where all connections go")
    weighted_clusters: tuple[WeightedCluster, ...] = option(
        ListOf(item=Nested(WeightedCluster), maximum=1000), default=(), doc="in place of cluster: several, by weight"
    )
    idle_timeout_s: float = option(Duration(), default=3600.0, doc="longest silence both ways (0: no limit)")
    max_connect_attempts: int = option(
        Integer(minimum=1, maximum=1000), default=1, doc="endpoints tried until the client's connection is closed"
    )
    max_downstream_connection_duration_s: float = option(
        Duration(), default=0.0, doc="age at which a connection is closed (0: any)"
    )

    hash_policy: tuple[HashPolicy, ...] = option(
        ListOf(item=Nested(HashPolicy), maximum=1), default=(),
        doc="a connection's key for ring_hash and maglev, in the place of the cluster's own `hash`"
    )
    tunneling_config: Tunneling | None = option(
        Nested(Tunneling), default=None, doc="the endpoints are proxies that lead elsewhere"
    )

    def check(self):
        """Yield faults between fields."""
        if self.cluster is not None and self.weighted_clusters:
            yield "weighted_clusters", "expected either cluster or weighted_clusters"


def references(options):
    """Name the clusters; without one an earlier filter has to choose."""
    if options.cluster is None and not options.weighted_clusters:
        yield Need("choice", "cluster")
    if options.cluster is not None:
        yield Need("cluster", options.cluster, "cluster")
    for place, one in enumerate(options.weighted_clusters):
        yield Need("cluster", one.cluster, f"weighted_clusters[{place}].cluster")


@implementer(INetworkFilter)
class TcpProxy:
    """Has one plan for every connection, unless an earlier filter has named a cluster."""

    def __init__(self, options, site):
        self._options = options or TcpProxyOptions()
        pairs = [(one.weight, one.cluster) for one in self._options.weighted_clusters]
        if self._options.cluster is not None:
            pairs = [(1, self._options.cluster)]
        bounds = accumulate(weight for weight, _ in pairs)
        self._hash_key = key_of(self._options.hash_policy)
        self._tunnel = tunnel_of(self._options.tunneling_config, partial(build_operator, site))
        self._plan = self._make(tuple((bound, site.cluster(name)) for bound, (_, name) in zip(bounds, pairs)))

    def _make(self, clusters, name=""):
        options = self._options
        return TcpPlan(
            clusters=clusters, cluster_name=name, idle_timeout_s=options.idle_timeout_s,
            max_duration_s=options.max_downstream_connection_duration_s,
            max_connect_attempts=options.max_connect_attempts,
            tunnel=self._tunnel, hash_key=self._hash_key)

    def on_open(self, session):
        """Send it on its way."""
        name = session.metadata.get(CLUSTER_NOTE)
        session.forward(self._plan if name is None else self._make((), name))
        return STOP
