"""The DNS proxy of one runtime: its names and settings, put in force when it starts."""

from typing import Any

from meshd.naming.server import Server
from meshd.naming.table import Table


class DnsProxy:
    """``settings`` is the model's Dns, ``hosts`` its DnsHosts; ``server`` has the sockets, which the next one keeps."""

    def __init__(self, settings: Any, hosts: Any, server: Server) -> None:
        self.settings = settings
        self.table = Table(hosts)
        self._server = server

    def start(self) -> None:
        """Take queries; raises MeshdError where the addresses cannot be had."""
        self._server.open()
        self._server.owners.append(self)

    def stop(self) -> None:
        """Leave it to the next one; the last one closes."""
        if self._server.owners == [self]:
            self._server.finish()
        if self in self._server.owners:
            self._server.owners.remove(self)
        if not self._server.owners:
            self._server.close()
