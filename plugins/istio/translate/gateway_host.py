"""The virtual hosts of a port of Gateways: which VirtualServices are bound to its servers, and for which hosts."""

from collections import defaultdict

import attrs

from meshd_plugins.istio.emit import At, field
from meshd_plugins.istio.mesh.index import EVERYWHERE, HERE
from meshd_plugins.istio.mesh.name import overlap, qualified, specificity
from meshd_plugins.istio.translate.listener import TAGS, is_http
from meshd_plugins.istio.translate.rate_limit import Tags
from meshd_plugins.istio.translate.route import Scope
from meshd_plugins.istio.translate.virtual_host import routes_of


@attrs.frozen(eq=False)
class Bound:
    """One server of one Gateway; ``place`` is its number there."""

    gateway: object
    server: object
    place: int = 0

    @property
    def name(self):
        """Return ``namespace/name`` of the Gateway."""
        return f"{self.gateway.namespace}/{self.gateway.name}"


def hosts_of(bounds, port, mesh, context, clusters):
    """Return the native virtual hosts: of each host first the servers that redirect to https, then the rules."""
    found, redirected = defaultdict(list), {}
    for bound in bounds:
        scope = Scope(bound.name, port, mesh, clusters, context.node)
        tls = bound.server.tls  # what comes over TLS is where it should be
        is_redirecting = tls is not None and tls.https_redirect and is_http(bound.server.port)
        if is_redirecting:
            redirected.update({_split(host)[1].lower(): bound for host in bound.server.hosts})
        for service in services_of(bound, mesh, context.node):
            for host in shared_hosts(service, bound, mesh):
                if is_redirecting:
                    redirected.setdefault(host, bound)
                elif all(one is not service or other.gateway != bound.name for one, other in found[host]):
                    found[host].append((service, scope))
    made = [_redirect(host, bound) for host, bound in redirected.items()]
    hosts = sorted((host for host in found if host not in redirected), key=lambda one: (specificity(one), one))
    for host in hosts:
        routes = routes_of(found[host])
        if routes:  # else the host would hide a wildcard that has some
            made.append({"name": f"{host}:{port}", "domains": [host], "routes": routes})
    return made


def services_of(bound, mesh, node):
    """Yield the VirtualServices that are bound to a Gateway and that this node sees."""
    default = mesh.config.default_virtual_service_export_to if mesh.config else ()
    for service in mesh.of("VirtualService"):
        if is_bound(service, bound.gateway) and mesh.sees(service, node.namespace, default):
            yield service


def _redirect(host, bound):
    place = field(bound.server.tls, "httpsRedirect")
    route = At(place, {"name": "https-redirect", "match": {"prefix": "/"}, "redirect": {"https_redirect": True},
                       TAGS: Tags(gateway=bound.name)})
    return {"name": f"{host}:{bound.server.port.number}", "domains": [host], "routes": [route]}


def is_bound(service, gateway):
    """Say whether a VirtualService names a Gateway. With host ``*`` and no gateways it is bound to VirtualGateways."""
    spec = service.spec
    if not spec.gateways:
        return "*" in spec.hosts and gateway.kind.name == "VirtualGateway"
    return f"{gateway.namespace}/{gateway.name}" in qualified(spec.gateways, service.namespace)


def shared_hosts(service, bound, mesh):
    """Return the hosts that a VirtualService and a server have in common, each once."""
    found = {}
    for one in bound.server.hosts:
        namespace, name = _split(one)
        owner = bound.gateway.namespace if namespace == HERE else namespace
        if owner in (EVERYWHERE, service.namespace):
            both = (overlap(mesh.resolve(host, service.namespace), name.lower()) for host in service.spec.hosts)
            found.update(dict.fromkeys(host for host in both if host is not None))
    return list(found)


def _split(host):
    namespace, _, name = host.rpartition("/")
    return namespace or EVERYWHERE, name
