"""Services that ServiceEntry documents describe, with their endpoints inline or from WorkloadEntry documents."""

from meshd_plugins.istio.mesh.service import (
    DNS, DNS_ROUND_ROBIN, EXTERNAL, NONE, Endpoint, Service, ServicePort, protocol_of,
)

LOCALITY_LABEL = "istio-locality"


def services(resource, workloads):
    """Yield one Service for each host of a ServiceEntry; ``workloads`` are all WorkloadEntry resources."""
    spec = resource.spec
    ports = tuple(ServicePort(one.number, one.name, protocol_of(one.name, one.protocol), one.target_port)
                  for one in spec.ports)
    resolution = spec.resolution or NONE
    for host in spec.hosts:
        yield Service(
            host.lower(), resource.namespace, ports, resource, spec.node, resolution, spec.location or EXTERNAL,
            _endpoints(resource, workloads, host.lower(), resolution), spec.export_to, spec.addresses,
        )


def _endpoints(resource, workloads, host, resolution):
    spec = resource.spec
    if spec.workload_selector is not None:
        wanted = dict(spec.workload_selector.labels).items()
        return tuple(endpoint(one.spec, one.namespace, one.labels) for one in workloads
                     if one.namespace == resource.namespace and wanted <= workload_labels(one).items())
    if spec.endpoints or resolution not in (DNS, DNS_ROUND_ROBIN):
        return tuple(endpoint(one, resource.namespace) for one in spec.endpoints)
    return (Endpoint(host, spec.node),)


def workload_labels(resource):
    """Return the labels of a WorkloadEntry: those of the workload and those of the document, which win."""
    return {**dict(resource.spec.labels), **resource.labels}


def endpoint(spec, namespace, labels=None):
    """Return the Endpoint of a WorkloadEntry's spec; ``labels`` are those of its document, where it has one."""
    account = f"ns/{namespace}/sa/{spec.service_account}" if spec.service_account else ""
    own = {**dict(spec.labels), **(labels or {})}
    locality = spec.locality or own.get(LOCALITY_LABEL, "").replace(".", "/")
    return Endpoint(
        spec.address, spec.node, tuple(spec.ports), tuple(own.items()), locality, spec.weight or 1, spec.network,
        account=account)
