"""Settings as rules for nft(8): one table of our own, loaded in one transaction; the rules are Istio's istio-iptables'.

Each rule that decides has a comment, its *key*: ``reading`` and ``path`` know it by that. Named sets hold what was
asked for, so the table is the only place where settings are kept. Beyond Istio: only a packet that opens a connection
is looked at, since a connection older than the table looks new to the kernel; what is forwarded for containers is no
business of this host; nor is ssh. All of 127.0.0.0/8 is loopback, as resolvers of machines have addresses there.
"""

from collections.abc import Iterator
from ipaddress import ip_network

from meshd.capture.settings import EVERYTHING, MARK, OURS, PASSTHROUGH_SOURCE, ROUTE_TABLE, TPROXY, Settings

FAMILY, TABLE = "inet", "meshd_capture"
NAT_PRIORITY = -110
"""Before the tables of iptables and Docker (dstnat, -100), whose order among themselves is that of their making."""
NEW = "tcp flags & (fin | syn | rst | ack) != syn"
DELETE = f"delete table {FAMILY} {TABLE}\n"
ADD = f"add table {FAMILY} {TABLE}\n"

ESTABLISHED, IPV6, INTERFACE, OUTBOUND_PORT = "established", "ipv6", "interface", "excluded outbound port"
PASSTHROUGH, SELF, PROXY, DNS = "to the workload", "meshd calls this host", "meshd", "dns"
LOOPBACK, OUTBOUND_CIDR, OUTBOUND = "loopback", "excluded network", "outbound"
FORWARDED, SSH, OWN, INBOUND_PORT, INBOUND = "forwarded", "ssh", "ports of meshd", "excluded inbound port", "inbound"
OPEN, CLIENT, ANSWERS = "taken already", "to the workload as the client", "answers to the client"


def script(settings: Settings) -> str:
    """Return what puts the settings in force, whatever table of ours there was, in one transaction."""
    return ADD + DELETE + table(settings)


def table(settings: Settings) -> str:
    """Return the table alone."""
    lines = [f"table {FAMILY} {TABLE} {{"]
    for name, kind, elements in sets(settings):
        lines += [f"\tset {name} {{", f"\t\ttype {kind}"]
        lines += ["\t\tflags interval"] if kind not in ("uid", "gid", "ifname") else []
        lines += [f"\t\telements = {{ {', '.join(elements)} }}", "\t}"]
    for name, hook, rules in chains(settings):
        lines += [f"\tchain {name} {{", *([f"\t\t{hook}; policy accept;"] if hook else [])]
        lines += [f"\t\t{rule}" for rule in rules]
        lines += ["\t}"]
    return "\n".join([*lines, "}", ""])


def sets(settings: Settings) -> Iterator[tuple[str, str, list[str]]]:
    """Yield (name, type, elements) of each set that is not empty."""
    for name, kind in (("proxy_uids", "uid"), ("proxy_gids", "gid")):
        yield from _set(name, kind, map(str, getattr(settings, name)))
    for name in ("ssh_ports", "own_ports", "include_outbound_ports", "exclude_outbound_ports", "include_inbound_ports",
                 "exclude_inbound_ports"):
        yield from _set(name, "inet_service", getattr(settings, name))
    yield from _set("exclude_interfaces", "ifname", [f'"{one}"' for one in settings.exclude_interfaces])
    for name in ("include_outbound_cidrs", "exclude_outbound_cidrs", "dns_servers"):
        for version in (4, 6):
            yield from _set(f"{name}_v{version}", f"ipv{version}_addr", of_version(getattr(settings, name), version))


def _set(name: str, kind: str, elements) -> Iterator[tuple[str, str, list[str]]]:
    found = list(elements)
    if found and found != list(EVERYTHING):
        yield name, kind, found


def of_version(texts, version: int) -> list[str]:
    """Return the networks of one version of IP."""
    return [one for one in texts if one != EVERYTHING[0] and ip_network(one).version == version]


def chains(settings: Settings) -> Iterator[tuple[str, str, list[str]]]:
    """Yield (name, hook, rules); a chain without a hook is gone to from another."""
    yield "from_proxy", "", list(_from_proxy(settings))
    yield "outbound", f"type nat hook output priority {NAT_PRIORITY}", list(_outbound(settings))
    if settings.has_inbound and settings.mode == TPROXY:
        yield "inbound", "type filter hook prerouting priority mangle", list(_inbound_tproxy(settings))
        yield "answers", "type route hook output priority mangle", list(_answers())
    elif settings.has_inbound:
        yield "inbound", f"type nat hook prerouting priority {NAT_PRIORITY}", list(_inbound(settings))


def _rule(match: str, verdict: str, key: str) -> str:
    return f'{match} counter {verdict} comment "{key}"'.lstrip()


def _from_proxy(settings: Settings) -> Iterator[str]:
    """What meshd sends: to an address of this host other than loopback it meets the inbound side, as a peer would."""
    if settings.has_inbound:
        ports = "tcp dport != 53" if settings.dns_port else "meta l4proto tcp"
        verdict = f"redirect to :{settings.inbound_port}"
        yield _rule(f'oifname "lo" ip daddr != 127.0.0.0/8 {ports}', verdict, SELF)
        if settings.has_ipv6:
            yield _rule(f'oifname "lo" ip6 daddr != ::1 {ports}', verdict, SELF)
    yield _rule("", "return", PROXY)


def _first(settings: Settings, interface: str) -> Iterator[str]:
    """What both directions begin with."""
    if not settings.has_ipv6:
        yield _rule("meta nfproto ipv6", "return", IPV6)
    yield _rule(NEW, "return", ESTABLISHED)
    if settings.exclude_interfaces:
        yield _rule(f"{interface} @exclude_interfaces", "return", INTERFACE)


def _outbound(settings: Settings) -> Iterator[str]:
    yield from _first(settings, "oifname")
    if settings.exclude_outbound_ports:
        yield _rule("meta l4proto { tcp, udp } th dport @exclude_outbound_ports", "return", OUTBOUND_PORT)
    for word, source in zip(("ip", "ip6"), PASSTHROUGH_SOURCE):
        yield _rule(f'oifname "lo" {word} saddr {source}', "return", PASSTHROUGH)
    if settings.mode == TPROXY:
        yield _rule(f'oifname "lo" meta mark {MARK}', "return", CLIENT)
    owners = (("skuid", "proxy_uids"), ("skgid", "proxy_gids"))
    yield from (f"meta {word} @{name} goto from_proxy" for word, name in owners if getattr(settings, name))
    if settings.dns_port:
        yield from _dns(settings)
    yield _rule('oifname "lo"', "return", LOOPBACK)
    yield _rule("ip daddr 127.0.0.0/8", "return", LOOPBACK)
    yield from _wanted(settings)


def _dns(settings: Settings) -> Iterator[str]:
    """Before loopback, where many a machine's resolver is."""
    match, verdict = "meta l4proto { tcp, udp } th dport 53", f"redirect to :{settings.dns_port}"
    for word, version in (("ip", 4), ("ip6", 6)):
        if of_version(settings.dns_servers, version):
            yield _rule(f"{match} {word} daddr @dns_servers_v{version}", verdict, DNS)


def _wanted(settings: Settings) -> Iterator[str]:
    versions = (("ip", 4), ("ip6", 6))
    verdict = f"redirect to :{settings.outbound_port}"
    for word, version in versions:
        if of_version(settings.exclude_outbound_cidrs, version):
            yield _rule(f"{word} daddr @exclude_outbound_cidrs_v{version}", "return", OUTBOUND_CIDR)
    if settings.include_outbound_cidrs == EVERYTHING:
        yield _rule("meta l4proto tcp", verdict, OUTBOUND)
        return
    if settings.include_outbound_ports:
        yield _rule("tcp dport @include_outbound_ports", verdict, OUTBOUND)
    for word, version in versions:
        if of_version(settings.include_outbound_cidrs, version):
            yield _rule(f"meta l4proto tcp {word} daddr @include_outbound_cidrs_v{version}", verdict, OUTBOUND)


def _exempt(settings: Settings) -> Iterator[str]:
    """What is not captured on its way in, before what is."""
    yield _rule("fib daddr type != local", "return", FORWARDED)
    if settings.ssh_ports:
        yield _rule("tcp dport @ssh_ports", "return", SSH)
    yield _rule("tcp dport @own_ports", "return", OWN)
    if settings.exclude_inbound_ports:
        yield _rule("tcp dport @exclude_inbound_ports", "return", INBOUND_PORT)


def _which(settings: Settings) -> str:
    return "meta l4proto tcp" if settings.include_inbound_ports == EVERYTHING else "tcp dport @include_inbound_ports"


def _inbound(settings: Settings) -> Iterator[str]:
    yield from _first(settings, "iifname")
    yield from _exempt(settings)
    yield _rule(_which(settings), f"redirect to :{settings.inbound_port}", INBOUND)


def _inbound_tproxy(settings: Settings) -> Iterator[str]:
    """What meshd has already goes to it by its mark; what this host sends itself is for ``from_proxy``."""
    yield _rule('iifname "lo"', "return", LOOPBACK)
    yield _rule("meta l4proto tcp socket transparent 1 socket wildcard 0", f"meta mark set {MARK} accept", OPEN)
    yield from _first(settings, "iifname")
    yield from _exempt(settings)
    for word, version in (("ip", "ipv4"), ("ip6", "ipv6")):
        if version == "ipv4" or settings.has_ipv6:
            yield _rule(f"meta nfproto {version} {_which(settings)}",
                        f"tproxy {word} to :{settings.inbound_port} meta mark set {MARK} accept", INBOUND)


def _answers() -> Iterator[str]:
    """What the workload answers to connections that meshd makes in the name of a client is for this machine."""
    yield f"meta l4proto tcp meta mark {MARK} ct mark set {MARK}"
    yield _rule(f"meta l4proto tcp ct mark {MARK} ct direction reply", f"meta mark set {MARK}", ANSWERS)


def routing(settings: Settings) -> list[list[str]]:
    """Return what has to be added beside the table: words for ip(8), of which ``kernel`` makes the way back too.

    Linux has all of 127.0.0.0/8, but of IPv6 only ::1: the address from which meshd goes to the workload is added.
    Rules and routes differ from any that others have by their protocol and metric, so both are there side by side.
    """
    if not settings.has_inbound:
        return []
    source, mark = f"{PASSTHROUGH_SOURCE[1]}/128", str(OURS)
    own = [["-6", "addr", "add", source, "dev", "lo", "metric", mark]] if settings.has_ipv6 else []
    if settings.mode != TPROXY:
        return own
    every = {"-4": "0.0.0.0/0", "-6": "::/0"}
    return own + [words for version in (("-4", "-6") if settings.has_ipv6 else ("-4",)) for words in (
        [version, "rule", "add", "fwmark", str(MARK), "lookup", str(ROUTE_TABLE), "protocol", mark],
        [version, "route", "add", "local", every[version], "dev", "lo", "table", str(ROUTE_TABLE), "proto", mark,
         "metric", mark])]
