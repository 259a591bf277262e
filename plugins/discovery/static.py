"""The discovery ``static``: endpoints that stand in the configuration; a cluster watches it."""

from zope.interface import implementer

from meshd.api import EndpointSpec, IDiscovery, ListOf, Nested, PluginType, config, option


@config
class Static:
    """A fixed list."""

    endpoints: tuple[EndpointSpec, ...] = option(
        ListOf(item=Nested(EndpointSpec), minimum=1, unique="address"), doc="the endpoints"
    )


@implementer(IDiscovery)
class StaticDiscovery:
    """Reports once."""

    def __init__(self, endpoints):
        self._endpoints = endpoints

    def watch(self, report):
        """Report the endpoints now."""
        report(self._endpoints)


def build(config, site):
    """Return a StaticDiscovery."""
    return StaticDiscovery(config.endpoints)


TYPE = PluginType(kind="discovery", name="static", config=Static, build=build, doc="Configured endpoints.")
