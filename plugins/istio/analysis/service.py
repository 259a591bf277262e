"""Ports of services: addresses (IST0134), protocols (IST0177), names (IST0118, IST0150)."""

from collections import defaultdict

from meshd_plugins.istio.analysis.place import scopes
from meshd_plugins.istio.analysis.report import item, listed, there, value
from meshd_plugins.istio.mesh.kubernetes import EXTERNAL_NAME
from meshd_plugins.istio.mesh.service import protocol_of

def analyze(report):
    """Look at the ports of ServiceEntries and of Kubernetes Services."""
    entries = report.mesh.of("ServiceEntry")
    for entry in entries:
        _addresses(report, entry)
    _protocols(report, entries)
    for service in report.mesh.of("Service", ""):
        _names(report, service)


def _addresses(report, entry):
    spec = entry.spec
    if spec.addresses or _allocated(entry):
        return
    for place, port in enumerate(spec.ports):
        if protocol_of(port.name, port.protocol) not in ("", "tcp"):
            continue
        said = port.protocol or "no protocol"
        report.add("IST0134", entry, value(port, "protocol"), f"spec.ports[{place}].protocol",
                   f"port {port.number} has {said}, and the ServiceEntry has no addresses",
                   hint="nothing but an address tells TCP services apart",
                   notes=(f"connections to port {port.number} of other services may be taken for this one",),
                   help="write protocol: HTTP (or TLS) where it is so, or give the service addresses: [240.0.0.1]")


def _allocated(entry):
    status = entry.node.get("status")
    return status is not None and getattr(status, "get", lambda _: None)("addresses") is not None


def _protocols(report, entries):
    found = defaultdict(list)
    for entry in entries:
        for host in entry.spec.hosts:
            for place, port in enumerate(entry.spec.ports):
                found[host.lower(), port.number].append((entry, place, protocol_of(port.name, port.protocol)))
    for (host, number), uses in found.items():
        first, _, protocol = uses[0]
        for entry, place, other in uses[1:]:
            if other == protocol or not _meet(first, entry):
                continue
            report.add("IST0177", entry, item(entry.spec, "ports", place), f"spec.ports[{place}]",
                       f'port {number} of "{host}" is {other or "of no protocol"} here and '
                       f'{protocol or "of no protocol"} in {first.title}', hint="another protocol",
                       related=(there(first),), notes=(f"the first one holds: {first.title}",),
                       help="give the port one protocol in both")


def _meet(one, two):
    first, second = (scopes(each.spec.export_to, each.namespace) for each in (one, two))
    return "*" in first or "*" in second or bool(first & second)


def _names(report, service):
    spec = service.spec
    is_external = spec.type == EXTERNAL_NAME
    for place, port in enumerate(spec.ports):
        node, path = value(port, "name"), f"spec.ports[{place}].name"
        if is_external and port.name == "tcp":
            report.add("IST0150", service, node, path, "a port of an ExternalName service is named tcp",
                       notes=("connections to this port of other services may be taken for this one",),
                       help="name it after its protocol, as in tcp-db, or set appProtocol")
        elif port.protocol == "TCP" and not protocol_of(port.name, port.app_protocol):
            said = f'"{port.name}"' if port.name else "without a name"
            report.add("IST0118", service, node, path, f"port {port.port} {said} does not say its protocol",
                       hint="found out, or taken for TCP",
                       notes=("a captured sidecar finds the protocol out from the first bytes, which keeps clients "
                              "waiting whose server speaks first; elsewhere it is taken for TCP",),
                       help=f"name it http-{port.name or port.port}, or set appProtocol: http "
                            f"({listed(('http', 'http2', 'grpc', 'tls', 'tcp'))})")
