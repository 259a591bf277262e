"""What the system says of names: /etc/hosts and /etc/resolv.conf; read in a thread for ``resolver``."""

import os
from ipaddress import ip_address

import attrs

HOSTS = "/etc/hosts"
RESOLV = "/etc/resolv.conf"
LIMIT_BYTES = 16 * 2**20
PORT = 53


@attrs.frozen
class System:
    """``hosts``: lower-case name -> addresses; ``servers``: (address, port), as resolv.conf(5) has them.

    ``ndots``: a name with fewer dots is tried with each of ``search`` first.
    """

    hosts: dict[str, tuple[str, ...]] = {}
    servers: tuple[tuple[str, int], ...] = (("127.0.0.1", PORT),)
    search: tuple[str, ...] = ()
    ndots: int = 1
    stamps: tuple = ()


def read_system(before: System | None, hosts_path: str = HOSTS, resolv_path: str = RESOLV) -> System:
    """Return what the files say now, ``before`` where they have not changed; blocks. A missing file says nothing."""
    stamps = _stamp(hosts_path), _stamp(resolv_path)
    if before is not None and before.stamps == stamps:
        return before
    servers, search, ndots = parse_resolv(_text(resolv_path))
    return System(parse_hosts(_text(hosts_path)), servers, search, ndots, stamps)


def _stamp(path: str) -> tuple:
    try:
        status = os.stat(path)
    except OSError as error:
        return (error.errno,)
    return status.st_mtime_ns, status.st_size, status.st_ino


def _text(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(LIMIT_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def parse_hosts(text: str) -> dict[str, tuple[str, ...]]:
    """Return lower-case name -> addresses of hosts(5)."""
    found: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        if not is_address(address):
            continue
        for name in names:
            known = found.get(name.lower(), ())
            found[name.lower()] = known if address in known else (*known, address)
    return found


def parse_resolv(text: str) -> tuple[tuple[tuple[str, int], ...], tuple[str, ...], int]:
    """Return (servers, search, ndots) of resolv.conf(5)."""
    servers: list[tuple[str, int]] = []
    search: tuple[str, ...] = ()
    ndots = 1
    for line in text.splitlines():
        word, *rest = line.split() or [""]
        if word == "nameserver" and rest and is_address(rest[0]):
            servers.append((rest[0], PORT))
        elif word in ("search", "domain"):
            search = tuple(name.rstrip(".") for name in rest)
        elif word == "options":
            for one in rest:
                name, _, value = one.partition(":")
                if name == "ndots" and value.isdecimal():
                    ndots = min(int(value), 15)
    return tuple(servers[:3]) or (("127.0.0.1", PORT),), search[:6], ndots


def is_address(text: str) -> bool:
    """Say whether ``text`` is an IPv4 or IPv6 address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def candidates(name: str, system: System) -> list[str]:
    """Return the names to ask for, in turn, as the system's own resolver does; a final dot says that it is whole."""
    if name.endswith("."):
        return [name.rstrip(".")]
    longer = [f"{name}.{domain}" for domain in system.search if domain]
    return [name, *longer] if name.count(".") >= system.ndots else [*longer, name]
