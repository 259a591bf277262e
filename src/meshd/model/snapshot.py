"""The whole configuration of one proxy at one time, and the top level of the native file."""

from typing import Any

import attrs

from meshd.document.address import is_local
from meshd.document.option import (
    Address, Boolean, Choice, Duration, File, Integer, ListOf, MapOf, Nested, PluginOf, Text, config, option,
)
from meshd.model.cluster import Cluster
from meshd.model.listener import Listener
from meshd.model.naming import Dns, DnsHost
from meshd.model.overload import Overload
from meshd.model.plugin import Plugin, PluginSettings
from meshd.model.probe import Probe
from meshd.model.tls import SECRET, Secrets


@config
class Node:
    """Who this proxy is."""

    id: str = option(Text(minimum=1, maximum=253), default="meshd", doc="unique name of this proxy")
    role: str = option(Choice(("sidecar", "ingress", "egress")), default="ingress", doc="what it does")
    namespace: str = option(Text(maximum=253), default="default", doc="its namespace")
    service_account: str = option(Text(maximum=253), default="default", doc="its account")
    identity: str | None = option(
        SECRET, default=None, doc="folder with the certificate that the mesh gives it, its key and the mesh's "
        "authorities: of secrets.directory, or by its absolute path (Istio's mode ISTIO_MUTUAL)")
    labels: tuple[tuple[str, str], ...] = option(MapOf(value=Text()), default=(), doc="its workload's labels")
    locality: str = option(Text(), default="", doc="region/zone/subzone")
    ports: tuple[tuple[str, int], ...] = option(
        MapOf(value=Integer(minimum=1, maximum=65535), key=Text(pattern=r"[1-9][0-9]{0,4}")), default=(),
        doc="port of a document -> port that is bound for it ({80: 8080}), for runs without privileges"
    )

    interception_mode: str = option(
        Choice(("none", "redirect", "tproxy")), default="none",
        doc="how connections of the workload are led here by meshctl capture (Istio's interceptionMode)")
    ip_families: tuple[str, ...] = option(
        ListOf(item=Choice(("ipv4", "ipv6")), maximum=2), default=(),
        doc="families of IP of its captured listeners (those that the kernel has when absent)")
    dns_capture: bool = option(
        Boolean(), default=False, doc="answer DNS queries for names of the mesh (Istio's ISTIO_META_DNS_CAPTURE)")


@config
class Admin:
    """The admin API; loopback or a unix socket only."""

    address: str = option(Address(), default="127.0.0.1:15000", doc="HOST:PORT or unix:PATH")

    def check(self):
        """Yield a fault where others could reach it."""
        if not is_local(self.address):
            yield "address", f"expected a loopback address or unix:PATH, got {self.address!r}"


@config
class Drain:
    """How the daemon ends."""

    grace_s: float = option(Duration(), default=0.0, doc="keep accepting after readiness failed")
    deadline_s: float = option(Duration(), default=60.0, doc="then what is left is cut")


AUTO = "auto"
MAX_WORKERS = 30
"""Two generations of them, with a spare each, fit the slots of the shared memory (host/arena.py)."""


@config
class Supervisor:
    """What several workers are watched by; idle with one worker, which is one process."""

    affinity: bool = option(Boolean(), default=False, doc="bind worker N to the Nth processor of those allowed")
    spare: bool = option(
        Boolean(), default=True, doc="keep one more process started, so that a dead worker is replaced at once"
    )
    hang_s: float = option(
        Duration(minimum=1.0), default=20.0, doc="a worker that stands still for so long is killed and replaced"
    )


@config
class Snapshot:
    """Everything a runtime is built from: the top level of the native file."""

    node: Node = option(Nested(Node), default=Node(), doc="who this proxy is")
    admin: Admin = option(Nested(Admin), default=Admin(), doc="the admin API")
    documents: tuple[str, ...] = option(ListOf(item=File()), default=(), doc="files or folders of Istio documents")
    listeners: tuple[Listener, ...] = option(
        ListOf(item=Nested(Listener), maximum=10_000, unique="name"), default=(), doc="where traffic enters"
    )
    clusters: tuple[Cluster, ...] = option(
        ListOf(item=Nested(Cluster), maximum=100_000, unique="name"), default=(), doc="where traffic goes"
    )
    probe: Probe | None = option(
        Nested(Probe), default=None, doc="asks the local workload how it is (Istio's WorkloadGroup probe)")
    dns: Dns = option(Nested(Dns), default=Dns(), doc="how DNS queries are answered, where node.dns_capture is on")
    dns_hosts: tuple[DnsHost, ...] = option(
        ListOf(item=Nested(DnsHost), maximum=100_000), default=(), doc="names that are answered, with their addresses")
    telemetry: tuple[Plugin, ...] = option(
        ListOf(item=PluginOf(kind="telemetry"), maximum=20, unique="name"), default=(), doc="sinks for all listeners"
    )
    plugins: PluginSettings = option(Nested(PluginSettings), default=PluginSettings(), doc="plugin loading")
    secrets: Secrets = option(Nested(Secrets), default=Secrets(), doc="certificates and keys by name")
    drain: Drain = option(Nested(Drain), default=Drain(), doc="how the daemon ends")
    workers: int | str = option(
        Integer(minimum=1, maximum=MAX_WORKERS, words=(AUTO,)), default=1,
        doc="processes that carry traffic; auto: one for each processor that this process may use"
    )
    supervisor: Supervisor = option(Nested(Supervisor), default=Supervisor(), doc="how several workers are watched")
    overload: Overload = option(Nested(Overload), default=Overload(), doc="what is refused before the process breaks")


@attrs.frozen(kw_only=True)
class Loaded:
    """A decoded configuration: the snapshot, where each value came from, and what was warned of.

    ``origins`` maps a path as ``listeners[0].address`` to ``file:line:col`` or ``default of native``;
    it is filled only when asked for. ``digest`` names the content; ``fingerprint`` is ``Registry.fingerprint``.
    """

    snapshot: Snapshot
    digest: str
    files: tuple[str, ...] = ()
    warnings: tuple[Any, ...] = ()
    origins: dict[str, str] = attrs.field(factory=dict)
    fingerprint: tuple[tuple[str, str, str], ...] = ()
