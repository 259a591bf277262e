"""The network filter ``sni_cluster``: the server name that a client asks for is the name of the cluster; Envoy's.

Nothing is terminated. The listener needs ``tls_inspector``; a client without a name goes where ``tcp_proxy`` says.
"""

from zope.interface import implementer

from meshd.api import CONTINUE, INetworkFilter
from meshd_plugins.tcp.proxy import CLUSTER_NOTE


@implementer(INetworkFilter)
class SniCluster:
    """Notes the cluster for ``tcp_proxy``."""

    def __init__(self, config, site):
        pass

    def on_open(self, session):
        """Note it."""
        if session.server_name:
            session.metadata[CLUSTER_NOTE] = session.server_name
        return CONTINUE
