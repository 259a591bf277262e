"""What the discovery ``kubernetes`` watches, and how a Service and its EndpointSlices become targets.

Two collections are listed and watched: the slices of the Service, and the Service itself, which says by which name a
port's number goes and which family of addresses is the first. Endpoints have load where they are ready; where none is,
those that still serve while they terminate (as kube-proxy has it, KEP-1669).
"""

from typing import Any

import msgspec
from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.python.failure import Failure

from meshd_plugins.discovery.follow import Follower
from meshd_plugins.discovery.kubernetes_api import WATCH_S, Collection, Gone, Meta
from meshd_plugins.discovery.remote import Remote, Targets, bearer
from meshd_plugins.discovery.source import Answer, Discovery
from meshd_plugins.discovery.target import ADDRESS, LOCALITY, join

META = "__meta_kubernetes_"
"""Labels that begin so are Prometheus', for relabelling."""
JITTER = 0.1


class Part(msgspec.Struct, rename="camel", gc=False):
    """The base of all."""


class Conditions(Part):
    """How an endpoint is; what is not known is as good as true, but for ``terminating``."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None

    @property
    def is_ready(self) -> bool:
        """It takes load."""
        return self.ready is not False

    @property
    def is_serving(self) -> bool:
        """It answers, even where it is about to end."""
        return self.is_ready if self.serving is None else self.serving


class Target(Part):
    """What stands behind an endpoint."""

    kind: str = ""
    name: str = ""


class SliceEndpoint(Part):
    """One endpoint of a slice; the first address counts."""

    addresses: list[str] = []
    conditions: Conditions = msgspec.field(default_factory=Conditions)
    hostname: str | None = None
    node_name: str | None = None
    zone: str | None = None
    target_ref: Target | None = None


class SlicePort(Part):
    """A port of all endpoints of a slice."""

    name: str | None = None
    port: int | None = None
    protocol: str | None = None
    app_protocol: str | None = None


class EndpointSlice(Part):
    """discovery.k8s.io/v1."""

    metadata: Meta
    address_type: str = "IPv4"
    endpoints: list[SliceEndpoint] | None = None
    ports: list[SlicePort] | None = None


class ServicePort(Part):
    """A port of a Service."""

    name: str = ""
    port: int = 0


class ServiceSpec(Part):
    """What is used of it."""

    ports: list[ServicePort] | None = None
    ip_families: list[str] | None = None


class Service(Part):
    """v1."""

    metadata: Meta
    spec: ServiceSpec = msgspec.field(default_factory=ServiceSpec)


class KubernetesSource(Follower):
    """Keeps the Service and its slices."""

    def __init__(self, options: Any, site: Any) -> None:
        super().__init__(options, site)
        self.name = f"kubernetes {options.cluster} {options.namespace}/{options.service}"
        self._was_there = False  # one that was and is no more has no endpoints; one that never was is a fault
        self._region = options.region or site.node.locality.partition("/")[0]
        remote, limit = Remote(options, site, bearer), options.max_answer_bytes
        self._slices = Collection(
            f"/apis/discovery.k8s.io/v1/namespaces/{options.namespace}/endpointslices",
            {"labelSelector": f"kubernetes.io/service-name={options.service}"}, EndpointSlice, remote,
            limit_bytes=limit)
        self._services = Collection(
            f"/api/v1/namespaces/{options.namespace}/services", {"fieldSelector": f"metadata.name={options.service}"},
            Service, remote, limit_bytes=limit)

    def fetch(self) -> Deferred:
        """List both."""
        return _all([self._slices.fetch(), self._services.fetch()])

    def follow(self) -> Deferred:
        """Watch both until one ends."""
        seconds = WATCH_S * self._random.uniform(1 - JITTER, 1 + JITTER)
        both = [one.watch(seconds, self._told) for one in (self._slices, self._services)]
        return _Both(both).done

    def _told(self, is_change: bool) -> None:
        self.changed() if is_change else self.confirmed()

    def answer(self) -> Answer:
        """Return a target for each endpoint that takes load."""
        service = self._services.objects.get(self._options.service)
        if service is None:
            text = f"no Service {self._options.namespace}/{self._options.service}"
            return Answer(targets=[], faults=() if self._was_there else (text,))
        self._was_there = True
        found, faults = [], set()
        for one in self._of_first_family(service):
            port = choose(one, service, self._options.port)
            if isinstance(port, str):
                faults.add(port)
            else:
                found += [(one, endpoint, port) for endpoint in one.endpoints or () if endpoint.addresses]
        usable = [row for row in found if row[1].conditions.is_ready]
        usable = usable or [row for row in found if row[1].conditions.is_serving]
        return Answer(targets=Targets(usable, self._target), faults=tuple(sorted(faults)))

    def _of_first_family(self, service: Service) -> list[EndpointSlice]:
        """Return the slices without those that have the same endpoints once more, by their other addresses."""
        first = (service.spec.ip_families or [""])[0]
        slices = sorted(self._slices.objects.values(), key=lambda one: one.metadata.name)
        kinds = {one.address_type for one in slices if one.endpoints}
        return [one for one in slices if one.address_type in (first, "FQDN")] if first in kinds else slices

    def _target(self, row: tuple[EndpointSlice, SliceEndpoint, SlicePort]) -> dict[str, str]:
        one, endpoint, port = row
        labels = {ADDRESS: join(endpoint.addresses[0], port.port or 0), **_described(one, endpoint, port)}
        labels[META + "namespace"] = self._options.namespace
        labels[META + "service_name"] = self._options.service
        if endpoint.zone:
            labels[LOCALITY] = f"{self._region}/{endpoint.zone}"
        if endpoint.node_name:
            labels["node"] = endpoint.node_name
        if endpoint.target_ref is not None and endpoint.target_ref.kind == "Pod":
            labels["pod"] = endpoint.target_ref.name
        return labels


def _described(one: EndpointSlice, endpoint: SliceEndpoint, port: SlicePort) -> dict[str, str]:
    """Return Prometheus' labels of an endpoint."""
    state, target = endpoint.conditions, endpoint.target_ref or Target()
    values = {
        "name": one.metadata.name, "address_type": one.address_type, "address_target_kind": target.kind,
        "address_target_name": target.name, "endpoint_hostname": endpoint.hostname or "",
        "endpoint_conditions_ready": _word(state.is_ready), "endpoint_conditions_serving": _word(state.is_serving),
        "endpoint_conditions_terminating": _word(state.terminating), "endpoint_node_name": endpoint.node_name or "",
        "endpoint_zone": endpoint.zone or "", "port": str(port.port), "port_name": port.name or "",
        "port_protocol": port.protocol or "TCP", "port_app_protocol": port.app_protocol or "",
    }
    return {f"{META}endpointslice_{key}": value for key, value in values.items()}


def _word(value: bool | None) -> str:
    return "true" if value else "false"


def choose(one: EndpointSlice, service: Service, wanted: str) -> SlicePort | str:
    """Return the port of a slice that is meant, or why there is none."""
    ports = [port for port in one.ports or () if port.port and (port.protocol or "TCP") == "TCP"]
    if wanted.isdecimal():
        names = [port.name for port in service.spec.ports or () if str(port.port) == wanted]
        if not names:
            known = ", ".join(str(port.port) for port in service.spec.ports or ()) or "it has none"
            return f"port {wanted}: the Service has no such port: expected one of: {known}"
        ports = [port for port in ports if (port.name or "") == names[0]]
    elif wanted:
        known = ", ".join(port.name or "(without a name)" for port in ports) or "it has none"
        ports = [port for port in ports if port.name == wanted]
        if not ports:
            return f"port {wanted!r}: {one.metadata.name} has no such port: expected one of: {known}"
    if len(ports) == 1:
        return ports[0]
    if not ports:
        return f"{one.metadata.name} has no port for TCP"
    return f"several ports: expected port to be one of: {', '.join(port.name or str(port.port) for port in ports)}"


class _Both:
    """Two watches as one; ``done`` says whether the next can go on where they have ended."""

    def __init__(self, watches: list[Deferred]) -> None:
        self.done: Deferred = Deferred(lambda _: self._cancel())
        self._watches = watches
        self._is_over = False
        for watch in watches:
            watch.addCallbacks(lambda _: self._end(True), self._lost)

    def _lost(self, why: Failure) -> None:
        self._end(False if why.check(Gone) else why)

    def _end(self, result: Any) -> None:
        if not self._is_over:
            self._cancel()
            self.done.callback(result) if isinstance(result, bool) else self.done.errback(result)

    def _cancel(self) -> None:
        self._is_over = True
        for watch in self._watches:
            watch.cancel()


def _all(asked: list[Deferred]) -> Deferred:
    """Return a Deferred that fires when all have, and fails as the first that does; the others are cancelled then."""
    def first(why: Failure) -> Failure:
        for one in asked:
            one.cancel()
        return why.value.subFailure if why.check(FirstError) else why
    return gatherResults(asked, consumeErrors=True).addErrback(first)


def build(options: Any, site: Any) -> Discovery:
    """Return a Discovery."""
    return Discovery("kubernetes", KubernetesSource(options, site), options, site)
