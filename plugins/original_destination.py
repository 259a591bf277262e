"""The load balancer ``original_destination``: where the client meant to go; Envoy's ORIGINAL_DST, Istio's PASSTHROUGH.

The destination is that of a captured connection, or what a trusted caller names in a field. Endpoints are made when
they are first asked for, kept in a table with a bound, least lately used first out; the cluster has ``endpoints: []``.
Whoever may name addresses could reach what only this machine can, so loopback, the link and metadata services of
clouds are refused unless ``allow`` has them.
"""

from collections import OrderedDict
from ipaddress import ip_address, ip_network
from socket import AF_INET, AF_INET6

from zope.interface import implementer

from meshd.api import (
    Duration, EndpointSpec, HeaderName, ILoadBalancer, Integer, ListOf, PluginType, Text, config, hookimpl, option,
)

METADATA = tuple(ip_network(text) for text in (
    "0.0.0.0/8", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32", "fd00:ec2::254/128", "fd20:ce::254/128"))
"""Metadata services of clouds that are not on the link (Alibaba, Azure, Oracle, Amazon, Google), and this host."""
NETWORKS = ListOf(item=Text(minimum=1, maximum=60), maximum=1000)
LOOPBACK = ("127.0.0.0/8", "::1/128")


@config
class OriginalDestinationOptions:
    """Where the destination stands, which may be gone to, and how many are kept."""

    header: str | None = option(
        HeaderName(), default=None, doc="field in which a trusted caller names IP:PORT (x-envoy-original-dst-host)")
    trusted_callers: tuple[str, ...] = option(
        NETWORKS, default=LOOPBACK, doc="networks whose callers may name it (a unix socket's always may)")
    port: int | None = option(Integer(minimum=1, maximum=65535), default=None, doc="port in place of the destination's")
    allow: tuple[str, ...] = option(NETWORKS, default=(), doc="networks that may be gone to whatever else holds")
    deny: tuple[str, ...] = option(
        NETWORKS, default=(), doc="networks refused beside loopback, link-local, multicast and metadata addresses")
    max_endpoints: int = option(Integer(minimum=1, maximum=100_000), default=1024, doc="destinations kept")
    endpoint_ttl_s: float = option(
        Duration(minimum=1.0), default=60.0, doc="one that is not asked for in so long is let go")

    def check(self):
        """Yield a fault for each text that is no network."""
        for key in ("trusted_callers", "allow", "deny"):
            for index, text in enumerate(getattr(self, key)):
                try:
                    ip_network(text)
                except ValueError:
                    yield (key, index), f"expected a network such as 10.0.0.0/8, got {text!r:.60}"


class Destination:
    """The way to one address, as ``site.endpoint`` wants it, and the endpoint made for it."""

    reason = ""

    def __init__(self, address, port):
        host = str(address)
        is_v6 = address.version == 6
        self._target = (AF_INET6, (host, port, 0, 0)) if is_v6 else (AF_INET, (host, port))
        self.address = f"[{host}]:{port}" if is_v6 else f"{host}:{port}"
        self.endpoint = None
        self.used = 0.0

    def ask(self, then):
        """The address is known."""
        then()

    def next_target(self):
        """Return it."""
        return self._target


@implementer(ILoadBalancer)
class OriginalDestination:
    """Picks by the request alone."""

    def __init__(self, options, site):
        self._options = options
        self._site = site
        self._now = site.clock.now
        self._header = options.header.encode() if options.header is not None else None
        self._trusted, self._allow, self._deny = (
            tuple(ip_network(text) for text in texts)
            for texts in (options.trusted_callers, options.allow, options.deny))
        self._known = OrderedDict()
        self._cluster = self._timer = None

    def start(self):
        """Let go of destinations that nobody asks for, from now on."""
        self._cluster = self._site.cluster(self._site.name)
        self._sweep()

    def stop(self):
        """Let go of all destinations."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._known:
            self._drop(next(iter(self._known)))

    def update(self, endpoints):
        """Configured endpoints are ignored, as Envoy does."""

    def pick(self, exchange):
        """Return the endpoint of the request's destination; None where it has none, or one that is refused."""
        text = self._named(exchange)
        if not text:
            return None
        found = self._known.get(text)
        if found is None:
            found = self._add(text)
            if found is None:
                return None
        self._known.move_to_end(text)
        found.used = self._now()
        return found.endpoint

    def _named(self, exchange):
        """Return the destination as text: the field's, where it counts, before the captured connection's."""
        if self._header is not None:
            value = exchange.request.headers.get(self._header)
            if value is not None and self._is_trusted(exchange.peer):
                return value.decode("latin-1")
        return captured(exchange)

    def _is_trusted(self, peer):
        if peer.startswith("unix:"):
            return True
        caller = parsed(peer)
        return caller is not None and any(caller[0] in network for network in self._trusted)

    def _add(self, text):
        parts = parsed(text)
        if parts is None or not self._admits(parts[0]) or not self._has_room():
            return None
        made = self._known[text] = Destination(parts[0], self._options.port or parts[1])
        made.endpoint = self._site.endpoint(self._cluster, EndpointSpec(address=made.address), made)
        return made

    def _admits(self, address):
        """Say whether connections may go there; an IPv4 address within an IPv6 one counts as itself."""
        if address.version == 6:
            inner = address.ipv4_mapped or address.sixtofour
            if inner is not None and not self._admits(inner):
                return False
        if any(address in network for network in self._allow):
            return True
        if address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast:
            return False
        return not any(address in network for network in (*METADATA, *self._deny))

    def _has_room(self):
        """Make room in a full table: the destination longest unused that has no request."""
        if len(self._known) >= self._options.max_endpoints:
            idle = next((key for key, one in self._known.items() if not one.endpoint.active), None)
            if idle is None:
                return False
            self._drop(idle)
        return True

    def _drop(self, key):
        self._site.retire(self._known.pop(key).endpoint)

    def _sweep(self):
        ttl_s = self._options.endpoint_ttl_s
        self._timer = self._site.clock.call_later(max(1.0, ttl_s / 4), self._sweep)
        limit = self._now() - ttl_s
        for key in [key for key, one in self._known.items() if one.used < limit and not one.endpoint.active]:
            self._drop(key)


def captured(exchange):
    """Return where the client meant to go, whose connection a listener with ``use_original_dst`` has taken, or None."""
    listener = getattr(getattr(exchange, "downstream", None), "listener", None)
    return exchange.local if getattr(listener, "is_capturing", False) else None


def parsed(text):
    """Return (address, port) of IP:PORT, None where it is none."""
    host, _, port = text.rpartition(":")
    try:
        address = ip_address(host[1:-1] if host[:1] == "[" and host[-1:] == "]" else host)
    except ValueError:
        return None
    is_port = port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536
    return (address, int(port)) if is_port else None


def build(config, site):
    """Return an OriginalDestination."""
    return OriginalDestination(config or OriginalDestinationOptions(), site)


@hookimpl
def meshd_plugins():
    """Offer the balancer."""
    return [
        PluginType(
            kind="load_balancer", name="original_destination", config=OriginalDestinationOptions, build=build,
            doc="Where the client meant to go: the captured destination, or the one that a trusted caller names.",
        )
    ]
