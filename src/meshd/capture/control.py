"""Puts capture in force, takes it away, and refuses what would cut a machine off; used by ``meshctl capture``."""

import pwd
from collections.abc import Iterable, Sequence

from meshd.capture import kernel, ruleset
from meshd.capture.host import Socket, holders, servers
from meshd.capture.kernel import Step
from meshd.capture.settings import TPROXY, Settings
from meshd.errors import MeshdError

EVERY_ROUTE = Settings(mode=TPROXY)
"""What there can be beside the table."""


def enabling(new: Settings, old: Settings | None = None, listing: str = "") -> list[Step]:
    """Return the steps from ``old`` to ``new``, whose table is ``listing`` where it is not to be made."""
    script = ruleset.ADD + ruleset.DELETE + (listing or ruleset.table(new))
    added = ruleset.routing(new)
    gone = [one for one in (ruleset.routing(old) if old is not None else ()) if one not in added]
    return [*kernel.routes(added), kernel.loading(script), *kernel.unroutes(gone)]


def disabling(settings: Settings | None) -> list[Step]:
    """Return the steps that take away what is in force, and all routing, which outlives rules that others flush."""
    rules = [] if settings is None else [kernel.loading(ruleset.ADD + ruleset.DELETE)]
    return [*rules, *kernel.unroutes(ruleset.routing(EVERY_ROUTE))]


def restoring(new: Settings, old: Settings | None, listing: str) -> list[Step]:
    """Return the steps from ``new`` back to ``old``, whose table ``listing`` is."""
    return disabling(new) if old is None else enabling(old, new, listing)


def enable(steps: Sequence[Step], undo: Sequence[Step]) -> None:
    """Do the steps, or leave all as it was; raises MeshdError."""
    try:
        kernel.run(steps)
    except MeshdError:
        for step in undo:
            kernel.call(step)
        raise


def problems(settings: Settings, found: list[Socket]) -> list[str]:
    """Return why these settings would cut connections off: nobody listens, or who listens would be captured itself."""
    wanted = [("outbound", "tcp", settings.outbound_port, True)] if settings.has_outbound else []
    wanted += [("inbound", "tcp", settings.inbound_port, False)] if settings.has_inbound else []
    wanted += [("dns", one, settings.dns_port, True) for one in ("tcp", "udp")] if settings.dns_port else []
    texts = [text for name, protocol, port, is_loopback in wanted for version in ((4, 6) if settings.has_ipv6 else (4,))
             if name != "dns" or ruleset.of_version(settings.dns_servers, version)
             for text in _problems(settings, servers(found, protocol, port, version, is_loopback=is_loopback),
                                   f"{name}: {protocol} port {port}", version, is_loopback)]
    return list(dict.fromkeys(texts))


def _problems(settings: Settings, found: list[Socket], where: str, version: int, is_loopback: bool) -> Iterable[str]:
    if not found:
        address = ("127.0.0.1 or 0.0.0.0" if is_loopback else "0.0.0.0") if version == 4 else (
            "[::1] or [::]" if is_loopback else "[::]")
        yield f"{where}: nobody listens: expected meshd on {address}"
    for uid, gid in sorted(holders(found)) if found else ():
        if uid not in settings.proxy_uids and gid not in settings.proxy_gids:
            yield (f"{where}: who listens is {user_name(uid)}, which is not exempt: "
                   "its own connections would be captured")


def has_ipv6(settings: Settings, found: list[Socket]) -> bool:
    """Say whether meshd listens on IPv6 wherever it would have to."""
    ports = [(settings.outbound_port, True)] if settings.has_outbound else []
    ports += [(settings.inbound_port, False)] if settings.has_inbound else []
    return bool(ports) and all(servers(found, "tcp", port, 6, is_loopback=loop) for port, loop in ports)


def owner(settings: Settings, found: list[Socket]) -> int | None:
    """Return the user who listens where connections would be led, if it is one user."""
    ports = (settings.outbound_port, settings.inbound_port)
    users = {uid for uid, _ in holders([
        one for one in found if one.protocol == "tcp" and one.is_server and one.port in ports])}
    return users.pop() if len(users) == 1 else None


def user_name(uid: int) -> str:
    """Return a user for people: its name and number."""
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"
