"""The DNS proxy: names of the mesh, and how other names are asked for. Figures are those of Istio's agent."""

from ipaddress import ip_address

from meshd.document.address import is_local
from meshd.document.option import Address, Duration, Integer, ListOf, Text, config, option

NAME = Text(pattern=r"(\*\.)?(?=[A-Za-z0-9_])[A-Za-z0-9_.-]*[A-Za-z0-9_]", maximum=253)


@config
class Dns:
    """Where queries are taken (``node.dns_capture`` turns it on), and who is asked for names that are not ours."""

    addresses: tuple[str, ...] = option(
        ListOf(item=Address(), minimum=1, maximum=8), default=("127.0.0.1:15053",), doc="UDP and TCP; loopback only")
    resolvers: tuple[str, ...] = option(
        ListOf(item=Address(), maximum=8), default=(), doc="IP:PORT asked in turn (none: those of /etc/resolv.conf)")
    ttl_s: float = option(Duration(), default=30.0, doc="how long an answer may be kept, whole seconds")
    timeout_s: float = option(Duration(minimum=0.01), default=5.0, doc="until a resolver has failed")
    max_queries: int = option(
        Integer(minimum=1, maximum=20_000), default=1000,
        doc="asked of resolvers at once by each worker: SERVFAIL beyond")
    max_connections: int = option(
        Integer(minimum=1, maximum=10_000), default=100, doc="of TCP to each worker: closed beyond")

    def check(self):
        """Yield a fault where others could reach it, or where it would ask itself."""
        for index, one in enumerate(self.addresses):
            if not is_local(one) or one.startswith("unix:"):
                yield ("addresses", index), f"expected a loopback address, got {one!r}"
        for index, one in enumerate(self.resolvers):
            if one in self.addresses or one.startswith("unix:"):
                yield ("resolvers", index), f"expected IP:PORT of another DNS server, got {one!r}"


@config
class DnsHost:
    """A name of the mesh and its addresses; ``*.`` before it stands for every name below that no other has."""

    name: str = option(NAME, doc="host, or *.host")
    addresses: tuple[str, ...] = option(
        ListOf(item=Text(maximum=45), minimum=1, maximum=1000), doc="IPv4 and IPv6 addresses")

    def check(self):
        """Yield a fault for each text that is no address."""
        for index, one in enumerate(self.addresses):
            try:
                ip_address(one)
            except ValueError:
                yield ("addresses", index), f"expected an IP address, got {one!r}"
