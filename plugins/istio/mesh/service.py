"""A service of the registry, whatever kind of document it comes from."""

from typing import Any

import attrs

from meshd.api import Node

EXTERNAL, INTERNAL = "MESH_EXTERNAL", "MESH_INTERNAL"
NONE, STATIC, DNS, DNS_ROUND_ROBIN, DYNAMIC_DNS = "NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"
HTTP_PROTOCOLS = frozenset(("http", "http2", "grpc", "grpc-web", "http_proxy"))
HTTP2_PROTOCOLS = frozenset(("http2", "grpc", "grpc-web"))
PROTOCOLS = HTTP_PROTOCOLS | frozenset(("tcp", "udp", "https", "tls", "mongo", "redis", "mysql"))
UNIX = "unix://"
KUBERNETES_PROTOCOLS = {"kubernetes.io/h2c": "http2", "kubernetes.io/ws": "http", "kubernetes.io/wss": "https"}
"""Values of appProtocol that Kubernetes defines."""


@attrs.frozen(eq=False)
class ServicePort:
    """``target`` is the endpoints' port where it differs; ``protocol`` in lower case, '' where it is not said."""

    number: int
    name: str = ""
    protocol: str = ""
    target: int | None = None

    @property
    def is_http(self):
        """Say whether its requests are routed one by one."""
        return self.protocol in HTTP_PROTOCOLS

    @property
    def is_detected(self):
        """Say whether its protocol is found out from the first bytes of each connection."""
        return not self.protocol


@attrs.frozen(eq=False)
class Endpoint:
    """One instance. ``address`` is an IP, a name or ``unix://PATH``; ``ports`` are those that differ, by name.

    With ``is_whole`` the instance has no other ports than ``ports``. ``account`` is the path of its SPIFFE id
    (``ns/NAMESPACE/sa/ACCOUNT``), where it is known.
    """

    address: str
    node: Node
    ports: tuple[tuple[str, int], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    locality: str = ""
    weight: int = 1
    network: str = ""
    is_whole: bool = False
    account: str = ""

    def serves(self, port):
        """Say whether the instance has a ServicePort, and an address."""
        return bool(self.address) and (not self.is_whole or port.name in dict(self.ports))

    def at(self, port):
        """Return HOST:PORT or unix:PATH of a ServicePort."""
        if self.address.startswith(UNIX):
            return "unix:" + self.address.removeprefix(UNIX)
        number = dict(self.ports).get(port.name) or port.target or port.number
        return f"[{self.address}]:{number}" if ":" in self.address else f"{self.address}:{number}"


@attrs.frozen(eq=False)
class Service:
    """``resource`` is the document that it comes from; ``aliases`` are other names of it, for Host."""

    host: str
    namespace: str
    ports: tuple[ServicePort, ...]
    resource: Any
    node: Node
    resolution: str = STATIC
    location: str = INTERNAL
    endpoints: tuple[Endpoint, ...] = ()
    export_to: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    def port(self, number):
        """Return the ServicePort of this number, or None."""
        return next((port for port in self.ports if port.number == number), None)


def protocol_of(name, protocol=""):
    """Return the protocol in lower case: as it is said, else as the port's name begins (``grpc-web``, ``http-api``).

    What Istio does not know is ``""``: it is found out.
    """
    if protocol:
        protocol = protocol.lower()
        protocol = KUBERNETES_PROTOCOLS.get(protocol, protocol)
        return protocol if protocol in PROTOCOLS else ""
    name = name.lower()
    if name.startswith("grpc-web"):
        return "grpc-web"
    word = name.partition("-")[0]
    return word if word in PROTOCOLS else ""
