"""What is captured and what is not: Istio's options of the same names (traffic.sidecar.istio.io/...), checked."""

import re
from ipaddress import collapse_addresses, ip_address, ip_network

import attrs

from meshd.errors import MeshdError

EVERYTHING = ("*",)
REDIRECT, TPROXY = "redirect", "tproxy"
OUTBOUND_PORT, INBOUND_PORT, DNS_PORT = 15001, 15006, 15053
"""Istio's ports."""
OWN_INBOUND = (15020, 15021, 15090)
"""Ports of a sidecar itself that Istio never captures: statistics, readiness, metrics."""
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
PASSTHROUGH_SOURCE = ("127.0.0.6", "::6")
"""Where meshd binds a connection to the local workload from, so that it is not captured again (Istio's addresses)."""
MARK, ROUTE_TABLE = 1337, 133
"""Of TPROXY: the mark of packets and the routing table that brings them to this machine (Istio's figures)."""
OURS = 133
"""What routing of ours has as its protocol (rtnetlink(7)) and metric: the same made by another program is not taken
away, whatever became of who has enabled capture.
"""
_PORTS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")
_INTERFACE = re.compile(r"[^\s/\"*]{1,15}")


@attrs.frozen(kw_only=True)
class Settings:
    """``*`` in an include list is everything, an empty one nothing. Ports are texts, ``80`` or ``8000-8100``.

    ``mode`` is how inbound connections are taken; outbound ones are always redirected, as in Istio. ``dns_port`` 0: DNS
    is left alone. ``ssh_ports`` are never captured.
    """

    mode: str = REDIRECT
    outbound_port: int = OUTBOUND_PORT
    inbound_port: int = INBOUND_PORT
    dns_port: int = 0
    dns_servers: tuple[str, ...] = ()
    proxy_uids: tuple[int, ...] = ()
    proxy_gids: tuple[int, ...] = ()
    ssh_ports: tuple[str, ...] = ()
    has_ipv6: bool = True
    include_outbound_cidrs: tuple[str, ...] = EVERYTHING
    exclude_outbound_cidrs: tuple[str, ...] = ()
    include_outbound_ports: tuple[str, ...] = ()
    exclude_outbound_ports: tuple[str, ...] = ()
    include_inbound_ports: tuple[str, ...] = EVERYTHING
    exclude_inbound_ports: tuple[str, ...] = ()
    exclude_interfaces: tuple[str, ...] = ()

    @property
    def has_outbound(self) -> bool:
        """Say whether anything that leaves is captured."""
        return bool(self.include_outbound_cidrs or self.include_outbound_ports)

    @property
    def has_inbound(self) -> bool:
        """Say whether anything that comes in is captured."""
        return bool(self.include_inbound_ports)

    @property
    def own_ports(self) -> tuple[str, ...]:
        """Return the ports of meshd itself, which are not captured."""
        return ports(str(one) for one in (self.outbound_port, self.inbound_port, self.dns_port, *OWN_INBOUND) if one)


def check(settings: Settings) -> Settings:
    """Return the settings in canonical form; raises MeshdError where they cannot be meant."""
    if not (settings.proxy_uids or settings.proxy_gids):
        raise MeshdError("capture: nobody is exempt: expected the user or group that meshd runs as")
    if not (settings.has_outbound or settings.has_inbound or settings.dns_port):
        raise MeshdError("capture: nothing would be captured: expected an include list that is not empty")
    numbers = [one for one in (settings.outbound_port, settings.inbound_port, settings.dns_port) if one]
    if len(set(numbers)) < len(numbers):
        raise MeshdError("capture: outbound, inbound and DNS port: expected different ports")
    found = attrs.evolve(
        settings, proxy_uids=tuple(sorted(set(settings.proxy_uids))),
        proxy_gids=tuple(sorted(set(settings.proxy_gids))),
        dns_servers=tuple(sorted({_address(one) for one in settings.dns_servers})),
        include_outbound_cidrs=networks(settings.include_outbound_cidrs),
        exclude_outbound_cidrs=networks(settings.exclude_outbound_cidrs, is_include=False),
        exclude_interfaces=tuple(sorted({_interface(one) for one in settings.exclude_interfaces})),
        **{name: ports(getattr(settings, name)) for name in (
            "ssh_ports", "include_outbound_ports", "include_inbound_ports")},
        **{name: ports(getattr(settings, name), is_include=False) for name in (
            "exclude_outbound_ports", "exclude_inbound_ports")})
    if EVERYTHING in (found.include_outbound_cidrs, found.include_outbound_ports):
        found = attrs.evolve(found, include_outbound_cidrs=EVERYTHING, include_outbound_ports=())
    return attrs.evolve(
        found, outbound_port=found.outbound_port if found.has_outbound else OUTBOUND_PORT,
        inbound_port=found.inbound_port if found.has_inbound else INBOUND_PORT,
        mode=found.mode if found.has_inbound else REDIRECT)


def networks(texts: tuple[str, ...], *, is_include: bool = True) -> tuple[str, ...]:
    """Return networks in order, those that overlap or touch put together; raises MeshdError."""
    if EVERYTHING[0] in texts:
        if not is_include:
            raise MeshdError("capture: excluded networks: expected networks, got '*'")
        return EVERYTHING
    found = {_network(one) for one in texts}
    for one in found:
        if is_include and any(one.version == loop.version and one.subnet_of(loop) for loop in LOOPBACK):
            raise MeshdError(f"capture: {one}: loopback is never captured: expected other networks")
    return tuple(str(one) for version in (4, 6) for one in collapse_addresses(
        sorted(one for one in found if one.version == version)))


def _network(text: str):
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise MeshdError(f"capture: {text!r:.60}: expected a network such as 10.0.0.0/8") from None


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise MeshdError(f"capture: {text!r:.60}: expected the IP address of a DNS server") from None


def _interface(text: str) -> str:
    if not _INTERFACE.fullmatch(text):
        raise MeshdError(f"capture: {text!r:.60}: expected the name of a network interface")
    return text


def ports(texts, *, is_include: bool = True) -> tuple[str, ...]:
    """Return ports and ranges in order, those that touch put together; raises MeshdError."""
    texts = tuple(texts)
    if EVERYTHING[0] in texts:
        if not is_include:
            raise MeshdError("capture: excluded ports: expected ports, got '*': an empty include list captures nothing")
        return EVERYTHING
    joined: list[tuple[int, int]] = []
    for low, high in sorted({bounds(one) for one in texts}):
        if joined and low <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    return tuple(str(low) if low == high else f"{low}-{high}" for low, high in joined)


def bounds(text: str) -> tuple[int, int]:
    """Return (first, last) of ``80`` or ``8000-8100``; raises MeshdError."""
    match = _PORTS.fullmatch(text)
    low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 0 < low <= high < 65536:
        raise MeshdError(f"capture: {text!r:.60}: expected a port or a range of ports such as 8000-8100")
    return low, high
