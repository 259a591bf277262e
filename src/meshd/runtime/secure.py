"""Live TLS for the runtime under construction: made of the model, to be looked after by the world's secrets.

OpenSSL is imported where the first TLS is configured: a proxy without has no use for it.
"""

import re
from typing import Any

from meshd.document.fault import ERROR, Fault
from meshd.document.mark import Mark
from meshd.errors import MeshdError
from meshd.tls.cells import TlsCells

CODE = "MSH0120"
_WHERE = re.compile(r"(.+):(\d+):(\d+)")


class Securing:
    """``faults`` gets a Fault for each TLS that cannot be made; None is returned for it then. ``made`` gets the others.
    """

    def __init__(self, world: Any, directory: str, faults: list[Fault], made: list[Any]) -> None:
        self._world = world
        self._directory = directory
        self._faults = faults
        self._made = made

    def client(self, spec: Any, alpn: tuple[str, ...] = ()) -> Any:
        """Return the ClientTls towards the endpoints of a cluster."""
        from meshd.tls.client import ClientTls

        cells = TlsCells(self._world.metrics, "cluster", "cluster_name", spec.name)
        return self._make(ClientTls, spec.tls, f"cluster {spec.name}", cells, alpn)

    def server(self, spec: Any, listener: str, where: str, alpn: tuple[str, ...] = ()) -> Any:
        """Return the ServerTls of a listener, or of one of its chains, as ``where`` says."""
        from meshd.tls.server import ServerTls

        cells = TlsCells(self._world.metrics, "listener", "listener", listener)
        return self._make(ServerTls, spec, where, cells, alpn)

    def _make(self, cls: type, spec: Any, where: str, cells: TlsCells, alpn: tuple[str, ...]) -> Any:
        try:
            made = cls(spec, where, self._directory, self._world, cells, alpn)
        except MeshdError as error:
            self._faults.append(Fault(CODE, ERROR, f"{where}: tls: {error}", mark_of(spec.where)))
            return None
        self._made.append(made)
        return made


def mark_of(place: str) -> Mark:
    """Return the Mark of ``file:line:column``."""
    found = _WHERE.fullmatch(place)
    return Mark(found[1], int(found[2]), int(found[3])) if found else Mark(place or "configuration")
