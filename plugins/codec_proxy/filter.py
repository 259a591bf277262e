"""The filter: takes connections over, for the hub."""

from meshd.api import STOP
from meshd_plugins.codec_proxy.client import Client
from meshd_plugins.codec_proxy.hub import Cells, Hub, Table


class CodecProxyFilter:
    """Terminal. Requests are routed by the filter in force when they come, whichever their connection began with."""

    def __init__(self, config, site):
        self.config = config
        self.site = site
        self.codec = site.build(config.codec)
        self.cells = Cells(site.metrics, site.owner.removeprefix("listener "), config.codec.type)
        self.find = Table(config.routes).find
        self._hub = site.state("worker", ("codec_proxy", site.owner, site.name, config.codec.type), Hub)

    def start(self):
        """Rule."""
        self._hub.take(self)

    def stop(self):
        """Another one rules, or none."""
        self._hub.give(self)

    def on_open(self, session):
        """Serve the client."""
        session.serve(lambda link: Client(self._hub, session, link), self.config.idle_timeout_s)
        return STOP
