"""The router: the terminal HTTP filter that finds a request's route and says what becomes of it (type ``router``)."""

from meshd.api import PluginType, hookimpl

from meshd_plugins.router.build import build
from meshd_plugins.router.config import Router
from meshd_plugins.router.reference import references


@hookimpl
def meshd_plugins():
    """Offer the router."""
    return [
        PluginType(
            kind="http_filter", name="router", config=Router, build=build, references=references, terminal=True,
            doc="Routes requests by host, path, method, headers and query; forwards, redirects or answers them.",
        )
    ]
