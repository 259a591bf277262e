"""The probe of the workload that this proxy stands beside: its WorkloadGroup's, else the mesh's readinessProbe."""

from meshd_plugins.istio.emit import At, field, seconds

LOCAL = "127.0.0.1"
"""Where the workload is asked unless its probe names a host."""
PASSING = ["200-399"]
"""Statuses that pass (Kubernetes' rule)."""
FIGURES = (
    ("timeout", "timeout_seconds"), ("period", "period_seconds"), ("initial_delay", "initial_delay_seconds"),
)
THRESHOLDS = ("success_threshold", "failure_threshold")


def native_probe(mesh, context):
    """Return the native section ``probe`` of a sidecar, or None. A figure of 0 is one that is not given (Istio's rule).

    A WorkloadGroup is this node's where all labels of its entries are the node's.
    """
    if context.node.role != "sidecar":
        return None
    groups = [one.spec for one in mesh.of("WorkloadGroup") if _is_mine(one, context.node)]
    probe = next((one.probe for one in groups if one.probe is not None), _of_mesh(mesh))
    if probe is None:
        return None
    checker, address = _checker(probe, context)
    found = {"checker": checker, "address": address}
    found |= {name: seconds(float(getattr(probe, key))) for name, key in FIGURES if getattr(probe, key)}
    found |= {name: getattr(probe, name) or None for name in THRESHOLDS}
    return At(probe.node, found)


def _is_mine(group, node):
    spec = group.spec
    wanted = {**dict(spec.metadata.labels if spec.metadata is not None else ()), **dict(spec.template.labels)}
    return bool(wanted) and group.namespace == node.namespace and wanted.items() <= dict(node.labels).items()


def _of_mesh(mesh):
    return getattr(getattr(mesh.config, "default_config", None), "readiness_probe", None)


def _checker(probe, context):
    """Return (native checker, HOST:PORT or None)."""
    if probe.exec is not None:
        return {"exec": {"command": list(probe.exec.command)}}, None
    if probe.grpc is not None:
        address = f"{LOCAL}:{probe.grpc.port}"
        return {"grpc": At(probe.grpc.node, {
            "service_name": probe.grpc.service or None, "authority": address})}, address
    one = probe.http_get if probe.http_get is not None else probe.tcp_socket
    host = one.host or LOCAL
    address = f"[{host}]:{one.port}" if ":" in host else f"{host}:{one.port}"
    if probe.http_get is None:
        return {"tcp": {}}, address
    if one.scheme == "HTTPS":
        context.unsupported(field(one, "scheme"), "spec.probe.httpGet.scheme",
                            "TLS to the workload is not there yet: a connect is enough for it")
        return {"tcp": {}}, address
    fields = {header.name: header.value for header in one.http_headers}
    named = next((name for name in fields if name.lower() == "host"), None)
    return {"http": At(one.node, {
        "path": "/" + one.path.removeprefix("/"), "host": fields.pop(named) if named else address,
        "request_headers_to_add": fields or None, "expected_statuses": PASSING,
    })}, address
