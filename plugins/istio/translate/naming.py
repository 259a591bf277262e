"""Names that the DNS proxy answers: every service that this node sees, as Istio's agent has them.

A service with addresses has these. A ServiceEntry without any gets one of its own, of 240.240.0.0/16 and 2001:2::/48,
unless its host is a wildcard or its resolution NONE; a Service without a cluster IP has those of its endpoints.
"""

import hashlib

from meshd_plugins.istio.emit import At
from meshd_plugins.istio.mesh.service import NONE
from meshd_plugins.istio.schema.form import is_ip
from meshd_plugins.istio.translate.family import V4, V6, families

SERVICE_ENTRY = "ServiceEntry"
FOURTH = 254
ROOM = 256 * FOURTH
"""Addresses of 240.240.0.0/16 whose last number is neither 0 nor 255."""


def dns_hosts(mesh, node):
    """Yield the native ``dns_hosts`` of a node; of one host the document of its own namespace counts."""
    seen = {}
    for service in mesh.services:
        if mesh.is_visible(service, node.namespace):
            if service.host not in seen or service.namespace == node.namespace:
                seen[service.host] = service
    given = allocated(mesh, families(node))
    taken = set(seen)
    for host, service in sorted(seen.items()):
        addresses = addresses_of(service, given)
        if not addresses:
            continue
        names = [host, *(one for one in service.aliases if one not in taken and _is_near(one, service, node))]
        for name in names:
            yield At(service.node, {"name": name, "addresses": addresses})


def _is_near(alias, service, node):
    """A name without a namespace is for proxies of the same namespace."""
    return "." in alias or service.namespace == node.namespace


def addresses_of(service, given):
    """Return the addresses by which a service is reached; ``given`` are those of ``allocated``."""
    own = [one.partition("/")[0] for one in service.addresses if _is_single(one)]
    if own:
        return own
    found = given.get((service.namespace, service.host))
    if found:
        return list(found)
    if service.resource.kind.name == SERVICE_ENTRY or service.resolution == NONE:
        return []
    return list(dict.fromkeys(one.address for one in service.endpoints if is_ip(one.address)))


def destinations_of(service, given):
    """Return the addresses and networks to which connections are this service's."""
    return list(service.addresses) or addresses_of(service, given)


def _is_single(text):
    address, slash, length = text.partition("/")
    return is_ip(address) and (not slash or length == ("128" if ":" in address else "32"))


def allocated(mesh, wanted):
    """Return {(namespace, host): addresses} of services that need some: one of each family that is wanted.

    A name's place is that of its hash, or the next free one, so that it hardly ever changes when others come and go.
    """
    found, taken = {}, set()
    for service in sorted(mesh.services, key=lambda one: (one.namespace, one.host)):
        if not _needs_one(service) or len(taken) == ROOM:
            continue
        place = int.from_bytes(hashlib.sha256(f"{service.namespace}/{service.host}".encode()).digest()[:8]) % ROOM
        while place in taken:
            place = (place + 1) % ROOM
        taken.add(place)
        third, fourth = divmod(place, FOURTH)
        low = fourth + 1
        own = {V4: f"240.240.{third}.{low}", V6: f"2001:2::f0f0:{third:x}:{low:x}"}
        found[service.namespace, service.host] = tuple(own[family] for family in wanted)
    return found


def _needs_one(service):
    return (service.resource.kind.name == SERVICE_ENTRY and not service.addresses and service.resolution != NONE
            and "*" not in service.host)
