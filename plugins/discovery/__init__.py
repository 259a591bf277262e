"""Discoveries: where the endpoints of a cluster come from. ``source`` has the rules that all of them keep to.

``dynamic`` is the one that a request asks: a load balancer that finds the endpoint by the host.
"""

from meshd.api import hookimpl
from meshd_plugins.discovery import consul, dns, dynamic, etcd, file, http, kubernetes, static

MODULES = (static, file, dns, http, consul, etcd, kubernetes, dynamic)


@hookimpl
def meshd_plugins():
    """Offer all types; each module says what it has."""
    return [module.TYPE for module in MODULES]
