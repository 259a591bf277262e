"""What becomes of a connection under given settings, in the order of ``ruleset``'s rules; what is exempt, in words."""

from ipaddress import ip_address, ip_network

import attrs

from meshd.capture import ruleset
from meshd.capture.settings import EVERYTHING, LOOPBACK, PASSTHROUGH_SOURCE, TPROXY, Settings, bounds

WORDS = {
    ruleset.IPV6: "IPv6 is not captured",
    ruleset.ESTABLISHED: "connections that were open before the rules",
    ruleset.INTERFACE: "network interfaces that are excluded",
    ruleset.OUTBOUND_PORT: "ports of others that are excluded",
    ruleset.PASSTHROUGH: "meshd to the local workload, from 127.0.0.6 or ::6",
    ruleset.SELF: "meshd to an address of this host: comes in as a peer's connection would",
    ruleset.PROXY: "what meshd sends itself",
    ruleset.DNS: "DNS queries to this machine's resolvers",
    ruleset.LOOPBACK: "this host to itself",
    ruleset.OUTBOUND_CIDR: "networks that are excluded",
    ruleset.OUTBOUND: "TCP that leaves",
    ruleset.FORWARDED: "what is only forwarded, say to containers",
    ruleset.SSH: "ssh",
    ruleset.OWN: "ports of meshd itself",
    ruleset.INBOUND_PORT: "ports of this host that are excluded",
    ruleset.INBOUND: "TCP that comes in",
    ruleset.OPEN: "packets of connections that meshd has",
    ruleset.CLIENT: "meshd to the local workload, from the client's address",
    ruleset.ANSWERS: "the local workload's answers to these",
}
"""The key of a rule -> what it is for, for people."""
NOT_INCLUDED = "not among what is included"


@attrs.frozen
class Verdict:
    """``port`` is where the connection is led, 0 where it goes its own way; ``key`` is the rule's, or NOT_INCLUDED."""

    key: str
    port: int = 0

    @property
    def words(self) -> str:
        """Return the reason for people."""
        return WORDS.get(self.key, self.key)


def outbound(
    settings: Settings, address: str, port: int, *, uid: int, gid: int = -1, is_local: bool = False, source: str = "",
    protocol: str = "tcp", interface: str = "",
) -> Verdict:
    """Say what becomes of a connection that a process of ``uid`` opens. ``is_local``: the address is this machine's."""
    to = ip_address(address)
    is_loopback = any(to.version == one.version and to in one for one in LOOPBACK)
    over_lo = is_local or is_loopback
    if to.version == 6 and not settings.has_ipv6:
        return Verdict(ruleset.IPV6)
    if ("lo" if over_lo else interface) in settings.exclude_interfaces:
        return Verdict(ruleset.INTERFACE)
    if is_in(port, settings.exclude_outbound_ports):
        return Verdict(ruleset.OUTBOUND_PORT)
    if over_lo and source in PASSTHROUGH_SOURCE:
        return Verdict(ruleset.PASSTHROUGH)
    if uid in settings.proxy_uids or gid in settings.proxy_gids:
        is_self = is_local and not is_loopback and protocol == "tcp" and settings.has_inbound
        is_self = is_self and not (settings.dns_port and port == 53)
        return Verdict(ruleset.SELF, settings.inbound_port) if is_self else Verdict(ruleset.PROXY)
    if settings.dns_port and port == 53 and address in settings.dns_servers:
        return Verdict(ruleset.DNS, settings.dns_port)
    if over_lo:
        return Verdict(ruleset.LOOPBACK)
    if within(to, settings.exclude_outbound_cidrs):
        return Verdict(ruleset.OUTBOUND_CIDR)
    is_wanted = is_in(port, settings.include_outbound_ports) or within(to, settings.include_outbound_cidrs)
    is_wanted = is_wanted and protocol == "tcp"
    return Verdict(ruleset.OUTBOUND, settings.outbound_port) if is_wanted else Verdict(NOT_INCLUDED)


def inbound(settings: Settings, port: int, *, version: int = 4, interface: str = "", is_local: bool = True) -> Verdict:
    """Say what becomes of a connection from elsewhere to a port; ``is_local``: its address is this machine's."""
    if not settings.has_inbound:
        return Verdict(NOT_INCLUDED)
    if version == 6 and not settings.has_ipv6:
        return Verdict(ruleset.IPV6)
    if interface in settings.exclude_interfaces:
        return Verdict(ruleset.INTERFACE)
    if not is_local:
        return Verdict(ruleset.FORWARDED)
    for key, ports in ((ruleset.SSH, settings.ssh_ports), (ruleset.OWN, settings.own_ports),
                       (ruleset.INBOUND_PORT, settings.exclude_inbound_ports)):
        if is_in(port, ports):
            return Verdict(key)
    is_wanted = is_in(port, settings.include_inbound_ports)
    return Verdict(ruleset.INBOUND, settings.inbound_port) if is_wanted else Verdict(NOT_INCLUDED)


def is_in(port: int, ports: tuple[str, ...]) -> bool:
    """Say whether ports and ranges have this one."""
    return ports == EVERYTHING or any(low <= port <= high for low, high in map(bounds, ports))


def within(address, networks: tuple[str, ...]) -> bool:
    """Say whether one of the networks has this address."""
    return networks == EVERYTHING or any(
        one.version == address.version and address in one for one in map(ip_network, networks))


def bypasses(settings: Settings) -> list[tuple[str, str]]:
    """Return (key, which) of all that is not captured, in the order of the rules."""
    users = [f"uid {one}" for one in settings.proxy_uids] + [f"gid {one}" for one in settings.proxy_gids]
    rows = [
        (ruleset.IPV6, () if settings.has_ipv6 else ("all of it",)),
        (ruleset.ESTABLISHED, ("all",)),
        (ruleset.INTERFACE, settings.exclude_interfaces),
        (ruleset.OUTBOUND_PORT, settings.exclude_outbound_ports),
        (ruleset.PASSTHROUGH, PASSTHROUGH_SOURCE),
        (ruleset.CLIENT, ("mark 1337",) if settings.mode == TPROXY else ()),
        (ruleset.PROXY, users),
        (ruleset.LOOPBACK, ("127.0.0.0/8", "::1", "own addresses")),
        (ruleset.OUTBOUND_CIDR, settings.exclude_outbound_cidrs),
    ]
    if settings.has_inbound:
        rows += [(ruleset.FORWARDED, ("all",)), (ruleset.SSH, settings.ssh_ports), (ruleset.OWN, settings.own_ports),
                 (ruleset.INBOUND_PORT, settings.exclude_inbound_ports)]
    return [(key, ", ".join(which)) for key, which in rows if which]
