"""Services of Kubernetes' Service documents, with endpoints from EndpointSlice, Endpoints or WorkloadEntry."""

import attrs

from meshd_plugins.istio.mesh import entry
from meshd_plugins.istio.mesh.name import kubernetes_aliases, kubernetes_host
from meshd_plugins.istio.mesh.service import DNS, STATIC, Endpoint, Service, ServicePort, protocol_of

SERVICE_NAME = "kubernetes.io/service-name"
EXPORT_TO = "networking.istio.io/exportTo"
EXTERNAL_NAME = "ExternalName"
SERVER_FIRST = (25, 53, 3306, 27017)
"""Ports of SMTP, DNS, MySQL and MongoDB: their protocol is not found out, as the server speaks first (Istio's list)."""


def service(resource, slices, endpoints, workloads):
    """Return the Service; ``slices``, ``endpoints`` and ``workloads`` are all resources of these kinds."""
    spec, namespace = resource.spec, resource.namespace
    ports = tuple(_port(one) for one in spec.ports)
    host, resolution = kubernetes_host(resource.name, namespace), STATIC
    if spec.type == EXTERNAL_NAME:
        found, resolution = (Endpoint(spec.external_name, spec.node),), DNS
    else:
        # EndpointSlices and Endpoints say the same where both stand in a cluster's documents
        listed = tuple(_of_slices(resource, slices)) or tuple(_of_endpoints(resource, endpoints))
        found = (*listed, *_of_workloads(resource, workloads))
    exported = tuple(word.strip() for word in resource.annotations.get(EXPORT_TO, "").split(",") if word.strip())
    addresses = tuple(one for one in (spec.cluster_ip,) if one and one != "None")
    return Service(host, namespace, ports, resource, spec.node, resolution, endpoints=found, export_to=exported,
                   addresses=addresses, aliases=kubernetes_aliases(resource.name, namespace))


def _port(one):
    protocol = "udp" if one.protocol == "UDP" else protocol_of(one.name, one.app_protocol)
    if not protocol and one.port in SERVER_FIRST:
        protocol = "tcp"
    return ServicePort(one.port, one.name, protocol, _number(one.target_port))


def _number(target):
    return target if type(target) is int else None


def _of_slices(resource, slices):
    for one in slices:
        if one.namespace != resource.namespace or one.labels.get(SERVICE_NAME) != resource.name:
            continue
        ports = tuple((port.name, port.port) for port in one.spec.ports if port.port)
        for endpoint in one.spec.endpoints:
            if endpoint.conditions is not None and endpoint.conditions.ready is False:
                continue
            for address in endpoint.addresses:
                yield Endpoint(address, endpoint.node, ports, is_whole=True,
                               locality=f"/{endpoint.zone}" if endpoint.zone else "")


def _of_endpoints(resource, endpoints):
    for one in endpoints:
        if (one.namespace, one.name) != (resource.namespace, resource.name):
            continue
        for subset in one.spec.subsets:
            ports = tuple((port.name, port.port) for port in subset.ports if port.port)
            for address in subset.addresses:
                yield Endpoint(address.ip, address.node, ports, is_whole=True)


def _of_workloads(resource, workloads):
    wanted = dict(resource.spec.selector).items()
    if not wanted:
        return
    for one in workloads:
        if one.namespace == resource.namespace and wanted <= entry.workload_labels(one).items():
            found = entry.endpoint(one.spec, one.namespace, one.labels)
            yield attrs.evolve(found, ports=tuple(_workload_ports(resource.spec, dict(one.spec.ports))), is_whole=True)


def _workload_ports(spec, ports):
    """Yield (name, number) of each of the Service's ports that a workload with these ``ports`` has.

    A named targetPort must be one of the workload's; else its port of the service port's name wins over the number.
    """
    for one in spec.ports:
        target = one.target_port
        if type(target) is str:
            number = ports.get(target)
        else:
            number = ports.get(one.name) or target or one.port
        if number:
            yield one.name, number
