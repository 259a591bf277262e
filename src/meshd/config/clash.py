"""Listening addresses that cannot be bound together: the same twice, or one beside all addresses on its port."""

import ipaddress

import attrs

from meshd.document.address import split_address
from meshd.document.context import Context, Seen, key_mark
from meshd.document.fault import Related
from meshd.document.mark import Mark
from meshd.model.listener import UDP
from meshd.model.snapshot import Admin

ANY = frozenset(("0.0.0.0", "::"))


@attrs.frozen
class Bound:
    """Who listens where; ``mark`` is None for a default."""

    who: str
    host: str
    port: int | None
    is_udp: bool
    mark: Mark | None
    path: str


def check_addresses(listeners: list[Seen], admins: list[Seen], context: Context) -> None:
    """Add a fault for each listener whose address is taken by an earlier one or by the admin API."""
    taken: dict[tuple[int | None, bool], list[Bound]] = {}
    listeners = [seen for seen in listeners if "address" in seen.values]
    bounds = [_bound(seen, f'listener "{seen.values.get("name", "?")}"') for seen in listeners]
    for bound in [_admin(admins), *bounds]:
        if bound is None:
            continue
        there = taken.setdefault((bound.port, bound.is_udp), [])
        first = next((one for one in there if _overlap(one.host, bound.host)), None)
        if first is not None:
            _add(bound, first, context)
        there.append(bound)


def _admin(admins: list[Seen]) -> Bound | None:
    seen = admins[0] if admins else None
    if seen is None or "address" not in seen.node.entries:
        host, port = _split(Admin().address)
        return Bound("the admin API (its default address)", host, port, False, None, "admin.address")
    return _bound(seen, "the admin API") if "address" in seen.values else None


def _bound(seen: Seen, who: str) -> Bound:
    host, port = _split(seen.values["address"])
    is_udp = seen.values.get("protocol") == UDP
    return Bound(who, host, port, is_udp, key_mark(seen.node, "address"), f"{seen.path}.address")


def _split(address: str) -> tuple[str, int | None]:
    host, port = split_address(address)
    if ":" in host and port is not None:
        host = str(ipaddress.IPv6Address(host))
    return host, port


def _overlap(one: str, two: str) -> bool:
    """An any-address takes its own family's: listeners are bound with IPV6_V6ONLY."""
    if one == two:
        return True
    return (":" in one) == (":" in two) and bool(ANY & {one, two})


def _add(bound: Bound, first: Bound, context: Context) -> None:
    what = f"port {bound.port}" if bound.port is not None else bound.host
    related = (Related(first.mark, first.who),) if first.mark is not None else ()
    all_of = next((host for host in (first.host, bound.host) if host in ANY and first.host != bound.host), "")
    context.fault("MSH0210", bound.mark, bound.path, f"{what} is already taken by {first.who}",
                  hint=f"{all_of} means all addresses" if all_of else "", related=related)
