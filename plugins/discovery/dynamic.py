"""The load balancer ``dynamic_host``: the endpoint is the host that the request names, looked up when it is wanted.

Istio's ``DYNAMIC_DNS``, Envoy's dynamic forward proxy; for a cluster with ``endpoints: []``. Hosts are kept in a table
with a bound, least lately used first out; each has connections of its own and honours the time to live of its
addresses. Only hosts that match may be named, and ``guard`` says which addresses they may lead to.
"""

import re
import socket
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

from twisted.python.failure import Failure
from zope.interface import implementer

from meshd.api import (
    Address, Boolean, Choice, Duration, EndpointSpec, ILoadBalancer, Integer, ListOf, PluginType, Text, config, option,
)

from meshd_plugins.discovery.dns import FAMILIES
from meshd_plugins.discovery.guard import Guard
from meshd_plugins.discovery.system import is_address
from meshd_plugins.discovery.target import join

_AUTHORITY = re.compile(rb"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,252}))(?::([0-9]{1,5}))?")
RETRY_S = 1.0
"""A name that could not be looked up is asked for again after so long, at the next request."""


@config
class DynamicOptions:
    """Which hosts, where they may lead to, and how to ask for them."""

    hosts: tuple[str, ...] = option(
        ListOf(item=Text(minimum=1, maximum=253), maximum=1000), default=("*",),
        doc="hosts that requests may name: exact, *.DOMAIN, or *",
    )
    default_port: int = option(Integer(minimum=1, maximum=65535), default=80, doc="where the request names none")
    allow: tuple[str, ...] = option(
        ListOf(item=Text(minimum=1), maximum=1000), default=(), doc="networks that are allowed whatever else holds"
    )
    deny: tuple[str, ...] = option(
        ListOf(item=Text(minimum=1), maximum=1000), default=(),
        doc="networks that are refused beside loopback, link-local, unspecified, multicast and metadata addresses",
    )
    max_hosts: int = option(Integer(minimum=1, maximum=100_000), default=1024, doc="hosts kept (Envoy's default)")
    host_ttl_s: float = option(
        Duration(minimum=1.0), default=300.0, doc="a host that is not asked for in so long is let go (Envoy's default)"
    )
    dns_lookup_family: str = option(Choice(tuple(FAMILIES)), default="v4_preferred", doc="addresses that are asked for")
    resolvers: tuple[str, ...] = option(
        ListOf(item=Address(), maximum=10), default=(), doc="servers, IP:PORT (those of /etc/resolv.conf)"
    )
    use_hosts_file: bool = option(Boolean(), default=True, doc="/etc/hosts is asked first")
    query_timeout_s: float = option(Duration(minimum=0.01, maximum=60.0), default=2.0, doc="for the answer of a server")
    query_tries: int = option(Integer(minimum=1, maximum=10), default=2, doc="times that each server is asked")

    def check(self):
        """Yield faults between fields."""
        for key in ("allow", "deny"):
            for index, text in enumerate(getattr(self, key)):
                try:
                    ip_network(text)
                except ValueError:
                    yield (key, index), f"expected a network such as 10.0.0.0/8, got {text!r:.60}"
        for index, one in enumerate(self.resolvers):
            if not is_address(one.rpartition(":")[0].strip("[]")):
                yield ("resolvers", index), f"expected IP:PORT, got {one!r:.60}"


class Host:
    """The way to one host (what ``site.endpoint`` wants of a name). ``targets`` are (family, sockaddr)."""

    def __init__(self, host: str, port: int, balancer: "DynamicHost") -> None:
        self.host = host
        self.port = port
        self.balancer = balancer
        self.endpoint: Any = None
        self.used = 0.0
        self.reason = ""
        self.targets: list[tuple[int, Any]] = []
        self.due = 0.0
        self._turn = 0
        self._asking: Any = None
        self._waiting: list[Callable[[], Any]] = []

    def ask(self, then: Callable[[], Any]) -> None:
        """Call ``then()`` once addresses are known, or the reason why there are none."""
        if self._asking is None and self.balancer.now() >= self.due:
            self._look()
        if self.targets or self._asking is None:
            then()
        else:
            self._waiting.append(then)

    def next_target(self) -> tuple[int, Any] | None:
        """Return where the next connection goes, None where nowhere."""
        if not self.targets:
            return None
        self._turn = (self._turn + 1) % len(self.targets)
        return self.targets[self._turn]

    def stop(self) -> None:
        """Ask no more."""
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.cancel()

    def _look(self) -> None:
        self._asking = asking = self.balancer.addresses(self.host)
        asking.addCallbacks(self._found, self._missing)

    def _found(self, found: tuple[list[str], float]) -> None:
        addresses, ttl_s = found
        admitted = [one for one in addresses if self.balancer.guard.admits(one)]
        self.targets = [_target(one, self.port) for one in admitted]
        self.due = self.balancer.now() + max(1.0, ttl_s)
        self._answer("" if admitted else f"host {self.host!r}: " + (
            f"address {addresses[0]} is not allowed" if addresses else "it has no address"))

    def _missing(self, why: Failure) -> None:
        self.due = self.balancer.now() + RETRY_S
        self._answer(f"host {self.host!r} cannot be resolved: {' '.join(str(why.value).split())}")

    def _answer(self, reason: str) -> None:
        self._asking = None
        self.reason = reason
        waiting, self._waiting = self._waiting, []
        for then in waiting:
            then()


def _target(address: str, port: int) -> tuple[int, Any]:
    return (socket.AF_INET6, (address, port, 0, 0)) if ":" in address else (socket.AF_INET, (address, port))


@implementer(ILoadBalancer)
class DynamicHost:
    """Picks by the request's host."""

    def __init__(self, options: DynamicOptions, site: Any, resolver: Any) -> None:
        self.guard = Guard(options.allow, options.deny)
        self.now = site.clock.now
        self._options = options
        self._site = site
        self._resolver = resolver
        self._hosts: OrderedDict[str, Host] = OrderedDict()
        self._suffixes = tuple(one[1:].lower() for one in options.hosts if one.startswith("*."))
        self._exact = {one.lower() for one in options.hosts}
        self._timer: Any = None
        self._cluster: Any = None

    def start(self) -> None:
        """Let go of hosts that nobody asks for, from now on."""
        self._cluster = self._site.cluster(self._site.name)
        self._sweep()

    def stop(self) -> None:
        """Let go of all hosts."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._hosts:
            self._drop(next(iter(self._hosts)))
        self._resolver.stop()

    def update(self, endpoints: tuple) -> None:
        """Configured endpoints are of no use here."""

    def pick(self, exchange: Any) -> Any:
        """Return the endpoint of the request's host, None where it may not be named or the table is full of use."""
        key = exchange.request.host
        found = self._hosts.get(key)
        if found is None:
            found = self._add(key)
            if found is None:
                return None
        self._hosts.move_to_end(key)
        found.used = self.now()
        return found.endpoint

    def _add(self, authority: bytes) -> Host | None:
        parts = _AUTHORITY.fullmatch(authority)
        if parts is None:
            return None
        host = parts[1].decode().lower().strip("[]").rstrip(".")
        port = int(parts[2] or self._options.default_port)
        if not self._is_wanted(host) or not 0 < port < 65536 or not self._has_room():
            return None
        made = self._hosts[authority] = Host(host, port, self)
        made.endpoint = self._site.endpoint(
            self._cluster, EndpointSpec(address=join(host, port), source="dynamic_host"), made)
        return made

    def _is_wanted(self, host: str) -> bool:
        return "*" in self._exact or host in self._exact or host.endswith(self._suffixes)

    def _has_room(self) -> bool:
        """Make room where the table is full: the host longest unused that has no request."""
        if len(self._hosts) >= self._options.max_hosts:
            idle = next((key for key, one in self._hosts.items() if not one.endpoint.active), None)
            if idle is None:
                return False
            self._drop(idle)
        return True

    def _drop(self, key: str) -> None:
        host = self._hosts.pop(key)
        host.stop()
        endpoint, host.endpoint = host.endpoint, None
        self._site.retire(endpoint)

    def _sweep(self) -> None:
        ttl_s = self._options.host_ttl_s
        self._timer = self._site.clock.call_later(max(1.0, ttl_s / 4), self._sweep)
        limit = self.now() - ttl_s
        for key in [key for key, one in self._hosts.items() if one.used < limit and not one.endpoint.active]:
            self._drop(key)

    def addresses(self, host: str) -> Any:
        """Return a Deferred of (addresses, time to live in seconds)."""
        from meshd_plugins.discovery.lookup import addresses
        return addresses(self._resolver, host, FAMILIES[self._options.dns_lookup_family])


def build(config, site):
    """Return a DynamicHost."""
    from meshd_plugins.discovery.resolver import Resolver
    servers = [(host.strip("[]"), int(port)) for host, _, port in (one.rpartition(":") for one in config.resolvers)]
    return DynamicHost(config, site, Resolver(
        site, servers, timeout_s=config.query_timeout_s, tries=config.query_tries, uses_hosts=config.use_hosts_file))


TYPE = PluginType(
    kind="load_balancer", name="dynamic_host", config=DynamicOptions, build=build,
    doc="The host that the request names, looked up on demand, with guards.",
)
