"""Live TLS for the runtime under construction: made of the model, to be looked after by the world's secrets.

OpenSSL is imported where the first TLS is configured: a proxy without has no use for it.
"""

import re
from collections.abc import Generator
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
        place = f"cluster {spec.name}"
        try:
            made = ClientTls(spec.tls, place, self._directory, self._world, cells, alpn)
        except MeshdError as error:
            return self._fault(spec.tls, place, error)
        self._made.append(made)
        return made

    def server(self, spec: Any, listener: str, where: str, alpn: tuple[str, ...] = ()) -> Generator[None, None, Any]:
        """Return the ServerTls of a listener, or of one of its chains, as ``where`` says; it may have hundreds of
        certificates.
        """
        from meshd.tls.server import ServerTls

        cells = TlsCells(self._world.metrics, "listener", "listener", listener)
        try:
            made = ServerTls(spec, where, self._directory, self._world, cells, alpn, False)
            yield from made.load()
        except MeshdError as error:
            return self._fault(spec, where, error)
        self._made.append(made)
        return made

    def _fault(self, spec: Any, where: str, error: MeshdError) -> None:
        self._faults.append(Fault(CODE, ERROR, f"{where}: tls: {error}", mark_of(spec.where)))


def mark_of(place: str) -> Mark:
    """Return the Mark of ``file:line:column``."""
    found = _WHERE.fullmatch(place)
    return Mark(found[1], int(found[2]), int(found[3])) if found else Mark(place or "configuration")
