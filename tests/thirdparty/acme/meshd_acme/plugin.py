"""What the distribution offers."""

from meshd.api import PluginType, hookimpl
from meshd_acme.balancer import Sticky
from meshd_acme.filter import Acme, AcmeFilter

MESHD_API = ">=1,<2"


@hookimpl
def meshd_plugins():
    """Offer the filter and the balancer."""
    return [
        PluginType(kind="http_filter", name="acme", config=Acme, build=AcmeFilter, doc="Signs responses."),
        PluginType(kind="load_balancer", name="acme_sticky", build=lambda config, site: Sticky(), doc="By x-acme-key."),
    ]
