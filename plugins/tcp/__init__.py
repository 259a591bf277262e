"""The network filters: what is done with connections of TCP.

``tcp_proxy`` (to a cluster; terminal), ``sni_cluster`` (the server name is the cluster's), ``connection_limit`` and
``local_ratelimit`` (how many, and how many in what time).
"""

from meshd.api import PluginType, hookimpl
from meshd_plugins.tcp.connection_limit import ConnectionLimit, ConnectionLimitOptions
from meshd_plugins.tcp.local_ratelimit import LocalRateLimit, LocalRateLimitOptions
from meshd_plugins.tcp.proxy import TcpProxy, TcpProxyOptions, references
from meshd_plugins.tcp.sni_cluster import SniCluster


@hookimpl
def meshd_plugins():
    """Offer them."""
    return [
        PluginType(
            kind="network_filter", name="tcp_proxy", config=TcpProxyOptions, build=TcpProxy, references=references,
            terminal=True, doc="Connects to an endpoint of a cluster, or of several by weight, and relays bytes."),
        PluginType(
            kind="network_filter", name="sni_cluster", build=SniCluster,
            doc="Lets tcp_proxy go to the cluster that has the name which the client asks for in TLS (SNI)."),
        PluginType(
            kind="network_filter", name="connection_limit", config=ConnectionLimitOptions, build=ConnectionLimit,
            chooses=False, doc="Bounds the connections that are open at once through this filter."),
        PluginType(
            kind="network_filter", name="local_ratelimit", config=LocalRateLimitOptions, build=LocalRateLimit,
            chooses=False, doc="Bounds how many connections begin in what time."),
    ]
