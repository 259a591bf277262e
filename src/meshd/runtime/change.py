"""What differs between two configurations, for the outcome of a reload; compared in slices."""

from collections.abc import Generator, Iterable
from typing import Any

import attrs

from meshd.model.snapshot import Snapshot

KINDS = ("listeners", "clusters", "routes")
DEPTHS = {"listeners": 6, "clusters": 2, "routes": 0}
"""Levels down to what is small for certain: a virtual host of a router's, an endpoint, a route."""


@attrs.frozen
class Change:
    """Counts of one kind of thing; ``text`` reads ``+1 ~2 -0 listeners``."""

    kind: str
    added: int = 0
    changed: int = 0
    removed: int = 0

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)

    def as_dict(self) -> dict[str, int]:
        """Return the counts by name."""
        return {"added": self.added, "changed": self.changed, "removed": self.removed}

    @property
    def text(self) -> str:
        """Return it as people read it."""
        return f"+{self.added} ~{self.changed} -{self.removed} {self.kind}"


def changes(old: Snapshot | None, new: Snapshot) -> Generator[None, None, tuple[Change, ...]]:
    """Return the changes of listeners, clusters and routes; yields between small pieces of work."""
    before = Snapshot() if old is None else old
    pairs = (
        (_by_name(before.listeners), _by_name(new.listeners)),
        (_by_name(before.clusters), _by_name(new.clusters)),
        ((yield from _routes(before)), (yield from _routes(new))),
    )
    found = []
    for kind, (was, now) in zip(KINDS, pairs):
        changed = 0
        for name in now.keys() & was.keys():
            changed += not (yield from same(was[name], now[name], DEPTHS[kind]))
            yield
        found.append(Change(kind, len(now.keys() - was.keys()), changed, len(was.keys() - now.keys())))
    return tuple(found)


def same(one: Any, other: Any, depth: int = 1) -> Generator[None, None, bool]:
    """Say whether two values of the model are equal; where it stands in its files does not count.

    What stands ``depth`` levels below is compared in one go.
    """
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if depth and isinstance(one, tuple):
        return (yield from _all_same(zip(one, other), depth - 1)) if len(one) == len(other) else False
    if depth and attrs.has(type(one)):
        names = [field.name for field in attrs.fields(type(one)) if field.eq]
        return (yield from _all_same(((getattr(one, name), getattr(other, name)) for name in names), depth - 1))
    return one == other


def _all_same(pairs: Iterable[tuple[Any, Any]], depth: int) -> Generator[None, None, bool]:
    for one, other in pairs:
        yield
        if not (yield from same(one, other, depth)):
            return False
    return True


def _by_name(items: Iterable[Any]) -> dict[str, Any]:
    return {item.name: item for item in items}


def _routes(snapshot: Snapshot) -> Generator[None, None, dict[tuple, Any]]:
    """Return the routes of every terminal filter whose configuration has ``virtual_hosts`` with ``routes``."""
    found = {}
    for listener in snapshot.listeners:
        for chain in listener.chains:
            for host in getattr(chain.filters[-1].config, "virtual_hosts", ()) if chain.filters else ():
                for number, route in enumerate(getattr(host, "routes", ())):
                    name = getattr(route, "name", "") or number
                    found[listener.name, chain.name, getattr(host, "name", ""), name] = route
                    yield
    return found
