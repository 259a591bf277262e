"""Istio's standard labels (H3): who asked, who answered, and how; made once for each kind of exchange.

What is not known is ``unknown``, never left out: Kiali drops series that lack a label.
"""

from typing import Any

UNKNOWN = "unknown"
_SIDE = (
    "workload", "workload_namespace", "principal", "app", "version", "cluster", "canonical_service",
    "canonical_revision",
)
W = (
    "reporter", *(f"source_{name}" for name in _SIDE), *(f"destination_{name}" for name in _SIDE),
    "destination_service", "destination_service_name", "destination_service_namespace", "request_protocol",
    "connection_security_policy", "response_flags", "response_code",
)
LABELS = (*W, "grpc_response_status")
TCP = W[:-1]
"""A connection of TCP has no response code."""
NOBODY = (UNKNOWN,) * len(_SIDE)


class Labels:
    """The label values of one proxy. ``reporter`` source: this proxy is the caller's; destination: the callee's."""

    def __init__(self, config: Any, node: Any) -> None:
        role = "destination" if node.role == "sidecar" else "source"
        self._reporter = role if config.reporter == "auto" else config.reporter
        self._me = workload(node.labels, node.namespace, node.id)
        self._namespace = node.namespace
        is_unknown = self._reporter == "source" and config.source_security_policy == "unknown"
        self._policy = UNKNOWN if is_unknown else "none"
        self._dropped = frozenset(config.drop_labels)

    def is_dropped(self, name: str) -> bool:
        """Say whether the label is left out."""
        return name in self._dropped

    def values(self, cluster: Any, endpoint: Any, protocol: str, flags: str, status: int) -> tuple:
        """Return the values of ``W``, for ``protocol`` http, grpc or tcp; None for a dropped label."""
        if self._reporter == "source":
            sides = self._me + (NOBODY if endpoint is None else workload(endpoint.labels))
        else:
            sides = NOBODY + self._me
        service = self._service(cluster)
        row = (self._reporter, *sides, *service, protocol, self._policy, flags, str(status))
        return tuple(None if name in self._dropped else value for name, value in zip(W, row))

    def _service(self, cluster: Any) -> tuple:
        """Return destination service, its name and its namespace."""
        if self._reporter == "destination":
            host = istio_host("" if cluster is None else cluster.name)
            return service_of(host) if host else (self._me[6], self._me[6], self._namespace)
        if cluster is None:
            return UNKNOWN, UNKNOWN, UNKNOWN
        return service_of(istio_host(cluster.name) or cluster.name)


def istio_host(cluster: str) -> str:
    """Return the host of ``outbound|80|v1|reviews.default.svc.cluster.local``, "" for a name of another form."""
    parts = cluster.split("|")
    return parts[3] if len(parts) == 4 else ""


def service_of(host: str) -> tuple:
    """Return a service's host, name and namespace: the two are told apart only in ``NAME.NAMESPACE.svc...``."""
    parts = host.split(".")
    if len(parts) > 2 and parts[2] == "svc":
        return host, parts[0], parts[1]
    return host, host, UNKNOWN


def workload(labels: tuple, namespace: str = "", name: str = "") -> tuple:
    """Return the values of ``_SIDE`` from a workload's labels, with Istio's label names and fall-backs."""
    known = dict(labels)
    app = known.get("app") or known.get("app.kubernetes.io/name")
    service = known.get("service.istio.io/canonical-name") or app
    workload_name = known.get("service.istio.io/workload-name") or known.get("workload") or app or name or UNKNOWN
    revision = known.get("service.istio.io/canonical-revision") or known.get("version")
    return (
        workload_name, known.get("namespace") or namespace or UNKNOWN, UNKNOWN, app or UNKNOWN,
        known.get("version") or UNKNOWN, known.get("topology.istio.io/cluster") or known.get("cluster") or UNKNOWN,
        service or workload_name, revision or ("latest" if service or name else UNKNOWN),
    )
