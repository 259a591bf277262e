"""What this machine is like: who listens where, and on which ports people come in by ssh. Reads /proc alone."""

import os
import socket
import sys
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import attrs

LISTENING, OPEN = "0A", "01"
SSH = ("sshd", "sshd-session", "dropbear")
MANAGERS = ("systemd",)
"""Hold sockets for others (socket activation, the descriptor store)."""
FALLBACK = "22"
MOST_ANCESTORS = 64


@attrs.frozen
class Socket:
    """A socket as /proc/net has it."""

    protocol: str
    address: IPv4Address | IPv6Address
    port: int
    inode: int
    state: str

    @property
    def is_server(self) -> bool:
        """Say whether it waits for clients; of UDP all do."""
        return self.state == LISTENING or self.protocol == "udp"


def sockets(proc: Path = Path("/proc")) -> list[Socket]:
    """Return the sockets of this network namespace."""
    return [one for protocol in ("tcp", "udp") for suffix in ("", "6") for one in _table(
        proc / "self/net" / f"{protocol}{suffix}", protocol)]


def _table(path: Path, protocol: str) -> Iterator[Socket]:
    try:
        lines = path.read_text().splitlines()[1:]
    except OSError:
        return
    for line in lines:
        words = line.split()
        address, _, port = words[1].partition(":")
        yield Socket(protocol, _address(address), int(port, 16), int(words[9]), words[3])


def _address(text: str) -> IPv4Address | IPv6Address:
    """Return an address that stands there as words of four octets in this machine's order."""
    raw = b"".join(int(text[at:at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(text), 8))
    return ip_address(raw)


def servers(found: list[Socket], protocol: str, port: int, version: int, *, is_loopback: bool) -> list[Socket]:
    """Return who takes what is redirected to a port: on any address, or on loopback where only that is asked for."""
    return [one for one in found if one.protocol == protocol and one.port == port and one.is_server
            and one.address.version == version
            and (one.address.is_unspecified or (is_loopback and one.address.is_loopback))]


def ssh_ports(environment: Mapping[str, str] = os.environ, proc: Path = Path("/proc"), pid: int | None = None
              ) -> dict[str, str]:
    """Return the ports by which people come in by ssh, with where each is known from; 22 where none is found.

    The session's own is told by its environment, by that of an ancestor (sudo takes it away) and by their sockets; the
    servers' listening ports are added.
    """
    found: dict[str, str] = {}
    known = {one.inode: one for one in sockets(proc) if one.protocol == "tcp"}
    _add(found, environment.get("SSH_CONNECTION", ""), "this session (SSH_CONNECTION)")
    for ancestor in _ancestors(os.getpid() if pid is None else pid, proc):
        _add(found, _environment(ancestor), f"this session (process {ancestor.name})")
        if _name(ancestor) in SSH:
            _add_open(found, ancestor, known, (OPEN,), f"this session ({_name(ancestor)} {ancestor.name})")
    for process in proc.iterdir():
        if process.name.isdigit() and _name(process) in SSH:
            _add_open(found, process, known, (LISTENING,), f"{_name(process)} listens")
    return found or {FALLBACK: "no ssh server found"}


def _add(found: dict[str, str], connection: str, why: str) -> None:
    """``connection`` is client, its port, our address, our port."""
    words = connection.split()
    if len(words) == 4 and words[3].isdigit() and 0 < int(words[3]) < 65536:
        found.setdefault(words[3], why)


def _add_open(
    found: dict[str, str], process: Path, known: dict[int, Socket], states: tuple[str, ...], why: str,
) -> None:
    for inode in _inodes(process):
        if inode in known and known[inode].state in states:
            found.setdefault(str(known[inode].port), why)


def _ancestors(pid: int, proc: Path) -> Iterator[Path]:
    for _ in range(MOST_ANCESTORS):
        yield proc / str(pid)
        try:
            pid = int((proc / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            return
        if pid < 1:
            return


def _environment(process: Path) -> str:
    try:
        entries = (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return ""
    return next((one[15:].decode("latin-1") for one in entries if one.startswith(b"SSH_CONNECTION=")), "")


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return ""


def _inodes(process: Path) -> Iterator[int]:
    try:
        links = list((process / "fd").iterdir())
    except OSError:
        return
    for link in links:
        try:
            target = os.readlink(link)
        except OSError:
            continue
        if target.startswith("socket:["):
            yield int(target[8:-1])


def holders(found: list[Socket], proc: Path = Path("/proc")) -> set[tuple[int, int]]:
    """Return (user, group) of the processes that have these sockets open; systemd or a parent may have made them."""
    wanted = {one.inode for one in found}
    return {_who(process) for process in proc.iterdir() if process.name.isdigit() and _name(process) not in MANAGERS
            and not wanted.isdisjoint(_inodes(process))}


def _who(process: Path) -> tuple[int, int]:
    """Return the user and group that new sockets of a process get."""
    try:
        words = {line.split()[0]: line.split() for line in (process / "status").read_text().splitlines() if line}
        return int(words["Uid:"][4]), int(words["Gid:"][4])
    except (OSError, KeyError, IndexError, ValueError):
        return -1, -1


def is_local(address: str) -> bool:
    """Say whether an address is one of this machine's."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
        return True
    except OSError:
        return False


def dns_servers(path: Path = Path("/etc/resolv.conf")) -> tuple[str, ...]:
    """Return the DNS servers that this machine asks."""
    try:
        words = [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return ()
    return tuple(one[1].partition("%")[0] for one in words if len(one) > 1 and one[0] == "nameserver")
