"""Gateways that VirtualServices name: whether they exist (IST0101) and have their hosts (IST0132)."""

from meshd.api import INFO
from meshd_plugins.istio.analysis.place import GATEWAY_API, gateway_key, gateways_by_name, parts, targets
from meshd_plugins.istio.analysis.report import item, listed, there, value
from meshd_plugins.istio.mesh.index import MESH
from meshd_plugins.istio.mesh.name import overlap


def analyze(report):
    """Look at the gateways of every VirtualService, and at destinations of those bound to one."""
    gateways = gateways_by_name(report.mesh)
    gateways = {**{(one.namespace, one.name): one for one in report.mesh.of("Gateway", GATEWAY_API)}, **gateways}
    for resource in report.mesh.of("VirtualService"):
        found = [_gateway(report, resource, place, gateways)
                 for place, name in enumerate(resource.spec.gateways) if name != MESH]
        if found and None not in found:
            _hosts(report, resource, found)
        _delegates(report, resource)
    _subsets(report)


def _gateway(report, resource, place, gateways):
    """Return the Gateway, or None after a finding."""
    name = resource.spec.gateways[place]
    node, path = item(resource.spec, "gateways", place), f"spec.gateways[{place}]"
    found = gateways.get(gateway_key(name, resource.namespace))
    if found is None:
        known = [f"{namespace}/{own}" for namespace, own in gateways]
        hint = report.guess(name, [own for _, own in gateways]) or "no such Gateway"
        report.add("IST0101", resource, node, path, f'referenced gateway not found: "{name}"', hint=hint,
                   notes=("no request of a gateway would meet these rules",
                          f"Gateways that are known: {listed(known) or 'none'}"),
                   help=f"a name without namespace is one of {resource.namespace}; others are written NAMESPACE/NAME")
    return found


def _hosts(report, resource, gateways):
    """Say which hosts no server of the gateways has; with ``mesh`` beside them only where none has any."""
    spec = resource.spec
    lost = {host: place for place, host in enumerate(spec.hosts)
            if not any(_serves(gateway, host, resource.namespace) for gateway in gateways)}
    if not lost or (MESH in spec.gateways and len(lost) < len(spec.hosts)):
        return
    place = next(iter(lost.values()))
    report.add("IST0132", resource, item(spec, "hosts", place), f"spec.hosts[{place}]",
               f"{listed(lost)} {'is no host' if len(lost) == 1 else 'are no hosts'} of "
               f"{listed(one.title for one in gateways)}",
               hint="no server has it", related=tuple(there(one, _served(one)) for one in gateways[:3]),
               notes=("requests for it get 404 (flag NR) at the gateway",),
               help="add it to the hosts of a server of the Gateway")


def _serves(gateway, host, namespace):
    for one in _served_hosts(gateway):
        owner, name = parts(one)
        if owner == "." and gateway.namespace != namespace or owner not in ("*", ".", namespace):
            continue
        if overlap(name.lower(), host.lower()) is not None:
            return True
    return False


def _served_hosts(gateway):
    """Return the hosts of a Gateway of Istio or of the Gateway API."""
    if gateway.kind.group == GATEWAY_API:
        return [one.hostname or "*" for one in gateway.spec.listeners]
    return [host for server in gateway.spec.servers for host in server.hosts]


def _served(gateway):
    return f"{gateway.title} serves: {listed(_served_hosts(gateway))}"


def _delegates(report, resource):
    known = {(one.namespace, one.name) for one in report.mesh.of("VirtualService")} if any(
        rule.delegate is not None for rule in resource.spec.http) else ()
    for number, rule in enumerate(resource.spec.http):
        if rule.delegate is None:
            continue
        wanted = rule.delegate.namespace or resource.namespace, rule.delegate.name
        if wanted not in known:
            report.add("IST0101", resource, value(rule.delegate, "name"), f"spec.http[{number}].delegate.name",
                       f'referenced delegate not found: "{"/".join(wanted)}"', hint="no such VirtualService",
                       notes=("the rule routes nothing: requests go on to the next one",))


def _subsets(report):
    """A rule of the mesh chooses subsets of a host, and a rule of a gateway goes past it (IST0140)."""
    by_host = {}
    for resource in report.mesh.of("VirtualService"):
        hosts = {report.resolve(host, resource.namespace) for host in resource.spec.hosts}
        for target in targets(resource):
            host = report.resolve(target.destination.host, resource.namespace)
            if target.destination.subset and host in hosts:
                by_host.setdefault(host, resource)
    for resource in report.mesh.of("VirtualService") if by_host else ():
        if not resource.spec.gateways:
            continue
        for target in targets(resource):
            host = report.resolve(target.destination.host, resource.namespace)
            other = by_host.get(host)
            if other is None or other is resource or target.destination.subset or target.what:
                continue
            report.add("IST0140", resource, value(target.destination, "host"), f"{target.path}.host",
                       f"the subset rules of {other.title} have no effect on requests through a gateway",
                       severity=INFO if MESH in resource.spec.gateways else None, related=(there(other),),
                       notes=(f'requests from the gateway go to all endpoints of "{target.destination.host}"',),
                       help="name the subsets here too, or let both rules delegate to one VirtualService")
