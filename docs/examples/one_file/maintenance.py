"""A one-file plugin: answers 503 for as long as a file is there."""

import os

from meshd.api import CONTINUE, STOP, File, PluginType, config, hookimpl, option

RETRY_S = 60
LOOK_EVERY_S = 1.0


@config
class Maintenance:
    """Closes a listener while a file exists."""

    file: str = option(File(), doc="the service is closed while it is there")


class MaintenanceFilter:
    """Looks at the disk once a second, never on the way of a request."""

    def __init__(self, config, site):
        self._file = config.file
        self._clock = site.clock
        self._call = None
        self._is_closed = False

    def start(self):
        self._is_closed = os.path.exists(self._file)
        self._call = self._clock.call_later(LOOK_EVERY_S, self.start)

    def stop(self):
        if self._call is not None:
            self._call.cancel()

    def on_request(self, exchange):
        if not self._is_closed:
            return CONTINUE
        headers = [(b"retry-after", b"%d" % RETRY_S)]
        exchange.reply(503, b"closed for maintenance\n", headers, detail="maintenance")
        return STOP


@hookimpl
def meshd_plugins():
    build = MaintenanceFilter
    return [PluginType(kind="http_filter", name="maintenance", config=Maintenance, build=build, doc="Closes.")]
