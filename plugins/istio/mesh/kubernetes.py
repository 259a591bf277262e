"""Services of Kubernetes' Service documents, with endpoints from EndpointSlice, Endpoints or WorkloadEntry."""

from meshd_plugins.istio.mesh import entry
from meshd_plugins.istio.mesh.name import kubernetes_aliases, kubernetes_host
from meshd_plugins.istio.mesh.service import DNS, STATIC, Endpoint, Service, ServicePort, protocol_of

SERVICE_NAME = "kubernetes.io/service-name"
EXPORT_TO = "networking.istio.io/exportTo"
EXTERNAL_NAME = "ExternalName"


def service(resource, slices, endpoints, workloads):
    """Return the Service; ``slices``, ``endpoints`` and ``workloads`` are all resources of these kinds."""
    spec, namespace = resource.spec, resource.namespace
    ports = tuple(ServicePort(one.port, one.name, protocol_of(one.name, one.app_protocol), _number(one.target_port))
                  for one in spec.ports)
    host, resolution = kubernetes_host(resource.name, namespace), STATIC
    if spec.type == EXTERNAL_NAME:
        found, resolution = (Endpoint(spec.external_name, spec.node),), DNS
    else:
        listed = (*_of_slices(resource, slices), *_of_endpoints(resource, endpoints))
        found = (*listed, *_of_workloads(resource, workloads))
    exported = tuple(word.strip() for word in resource.annotations.get(EXPORT_TO, "").split(",") if word.strip())
    addresses = tuple(one for one in (spec.cluster_ip,) if one and one != "None")
    return Service(host, namespace, ports, resource, spec.node, resolution, endpoints=found, export_to=exported,
                   addresses=addresses, aliases=kubernetes_aliases(resource.name, namespace))


def _number(target):
    return int(target) if target and str(target).isdecimal() else None


def _of_slices(resource, slices):
    for one in slices:
        if one.namespace != resource.namespace or one.labels.get(SERVICE_NAME) != resource.name:
            continue
        ports = tuple((port.name, port.port) for port in one.spec.ports if port.port)
        for endpoint in one.spec.endpoints:
            if endpoint.conditions is not None and endpoint.conditions.ready is False:
                continue
            for address in endpoint.addresses:
                yield Endpoint(address, endpoint.node, ports, locality=endpoint.zone and f"/{endpoint.zone}" or "")


def _of_endpoints(resource, endpoints):
    for one in endpoints:
        if (one.namespace, one.name) != (resource.namespace, resource.name):
            continue
        for subset in one.spec.subsets:
            ports = tuple((port.name, port.port) for port in subset.ports)
            for address in subset.addresses:
                yield Endpoint(address.ip, address.node, ports)


def _of_workloads(resource, workloads):
    wanted = dict(resource.spec.selector).items()
    if not wanted:
        return
    for one in workloads:
        if one.namespace == resource.namespace and wanted <= entry.workload_labels(one).items():
            yield entry.endpoint(one.spec, one.labels)
