"""Which addresses a name that a client chose may lead to: not this machine, not its link, no metadata service.

Used by ``dynamic``. Without it whoever may name a host could reach what listens on loopback, or the credentials that
clouds hand out on link-local addresses (server-side request forgery).
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

METADATA = tuple(ip_network(text) for text in (
    "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32", "fd00:ec2::254/128", "fd20:ce::254/128",
))
"""Metadata services of clouds outside of the link-local networks: Alibaba, Azure, Oracle, Amazon and Google by IPv6."""
NOWHERE = tuple(ip_network(text) for text in ("0.0.0.0/8", "255.255.255.255/32"))
NAT64 = ip_network("64:ff9b::/96")


class Guard:
    """``allow`` and ``deny`` are networks, as text; what is allowed is so whatever else would hold."""

    def __init__(self, allow: Iterable[str] = (), deny: Iterable[str] = ()) -> None:
        self._allow = tuple(ip_network(text) for text in allow)
        self._deny = (*METADATA, *NOWHERE, *(ip_network(text) for text in deny))

    def admits(self, text: str) -> bool:
        """Say whether connections may go to this address."""
        address = ip_address(text.partition("%")[0])
        return all(self._admits(one) for one in (address, *embedded(address)))

    def _admits(self, address: IPv4Address | IPv6Address) -> bool:
        if any(address in network for network in self._allow):
            return True
        if address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast:
            return False
        return not any(address in network for network in self._deny)


def embedded(address: IPv4Address | IPv6Address) -> tuple[IPv4Address, ...]:
    """Return the IPv4 addresses that an IPv6 address stands for."""
    if address.version == 4:
        return ()
    teredo = address.teredo or ()
    nat64 = (IPv4Address(int(address) & 0xFFFFFFFF),) if address in NAT64 else ()
    return tuple(one for one in (address.ipv4_mapped, address.sixtofour, *teredo, *nat64) if one is not None)
