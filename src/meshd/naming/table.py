"""Names of the mesh and their addresses; asked for each query."""

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any

import attrs


@attrs.define(eq=False)
class Host:
    """Addresses in their wire form; of many, each answer begins with the next one."""

    v4: list[bytes] = attrs.field(factory=list)
    v6: list[bytes] = attrs.field(factory=list)
    turn: int = 0

    def take(self, is_v6: bool) -> list[bytes]:
        """Return the addresses of one version of IP."""
        found = self.v6 if is_v6 else self.v4
        if len(found) < 2:
            return found
        self.turn = (self.turn + 1) % len(found)
        return found[self.turn:] + found[:self.turn]


class Table:
    """``hosts`` are the model's; of a name that comes twice all addresses count."""

    def __init__(self, hosts: Iterable[Any]) -> None:
        self._exact: dict[bytes, Host] = {}
        self._below: dict[bytes, Host] = {}
        for one in hosts:
            name = one.name.lower().encode()
            table, name = (self._below, name[2:]) if name.startswith(b"*.") else (self._exact, name)
            host = table.setdefault(name, Host())
            for address in map(ip_address, one.addresses):
                known = host.v6 if address.version == 6 else host.v4
                if address.packed not in known:
                    known.append(address.packed)

    def find(self, name: bytes) -> Host | None:
        """Return the host of a name, in any case, with or without the dot at its end; the closest wildcard counts."""
        name = name.lower().rstrip(b".")
        found = self._exact.get(name)
        if found is None and self._below:
            while found is None and b"." in name:
                name = name.partition(b".")[2]
                found = self._below.get(name)
        return found
