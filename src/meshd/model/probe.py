"""The probe of the local workload: the process that this proxy stands beside (Istio's WorkloadGroup ``probe``)."""

from meshd.document.option import Address, Duration, Integer, ListOf, PluginOf, Reference, config, option
from meshd.model.plugin import Plugin


@config
class Probe:
    """How the workload is asked, and what follows. Figures are those of Kubernetes' probes, as Istio's are."""

    checker: Plugin = option(
        PluginOf(kind="health_checker"), doc="how it is asked: http (httpGet), grpc, tcp (tcpSocket), exec")
    address: str = option(
        Address(resolve=True), default="127.0.0.1:80", doc="where http, grpc and tcp ask: the workload's own address")
    initial_delay_s: float = option(Duration(), default=0.0, doc="until the first time")
    timeout_s: float = option(Duration(minimum=0.001), default=1.0, doc="until it has failed")
    period_s: float = option(Duration(minimum=0.001), default=10.0, doc="from one time to the next")
    success_threshold: int = option(Integer(minimum=1, maximum=1000), default=1, doc="passes in a row until it is well")
    failure_threshold: int = option(Integer(minimum=1, maximum=1000), default=3, doc="failures in a row until it fails")
    clusters: tuple[str, ...] = option(
        ListOf(item=Reference("cluster"), maximum=1000), default=(),
        doc="clusters of the workload: their endpoints are not used while it fails")

    @property
    def healthy_threshold(self) -> int:
        """The same under the name that active checks have for it."""
        return self.success_threshold

    @property
    def unhealthy_threshold(self) -> int:
        """The same under the name that active checks have for it."""
        return self.failure_threshold
