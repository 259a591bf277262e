"""From a Snapshot to a Runtime, in slices; nothing is opened, started or scheduled. ``--check`` ends here.

``build`` is a generator: each step is a small piece of work. Faults of all plugins are gathered and raised together.
"""

import os
import random
from collections.abc import Callable, Generator, Mapping
from typing import Any

from twisted.internet import task
from twisted.logger import Logger

from meshd.api import ConfigurationError, Plugin
from meshd.document.fault import ERROR, Fault
from meshd.downstream.listener_filters import ListenerFilters
from meshd.downstream.protocol import alpn_of
from meshd.exchange.chain import Chain, Use
from meshd.exchange.network_chain import NetworkChain, TcpCells
from meshd.exchange.share import share_out
from meshd.isolation.filter import IsolatedFilter
from meshd.isolation.isolate import Isolate
from meshd.model.cluster import Cluster as ClusterSpec
from meshd.model.listener import FilterChain, Listener
from meshd.model.snapshot import Snapshot
from meshd.registry import SHIPPED_BY, Registry
from meshd.runtime.assembly import Assembly, Built
from meshd.runtime.clock import Clock
from meshd.runtime.contract import check_object
from meshd.runtime.runtime import Parts, Runtime
from meshd.runtime.secure import Securing, mark_of
from meshd.runtime.site import Ground, finish
from meshd.runtime.state import WORKER, Claims, StateTable
from meshd.telemetry.metrics import Metrics
from meshd.telemetry.plugin import PluginRecord
from meshd.upstream.checks import Checks
from meshd.upstream.cluster import Cluster
from meshd.upstream.lead import KEY as LEAD, Lead
from meshd.upstream.probe import Probe, Workload
from meshd.upstream.verdict import Verdicts
from meshd.wire.world import World

BALANCER = "round_robin"
BREAKER = "limits"
CODE = "MSH0113"
CHAIN_CODE = "MSH0202"
CLIENT_ALPN = ("http/1.1",)
"""What a cluster offers over TLS where its settings say nothing."""

Steps = Generator[None, None, Any]
Pairs = list[tuple[Plugin, Any]]
_health_log = Logger(namespace="meshd.health")


class Construction:
    """One runtime while it is made. Unless it ``isolates``, what is to run in a child is built here, for a check."""

    def __init__(
        self, snapshot: Snapshot, registry: Registry, world: Any, claims: Claims, environment: Mapping[str, str],
        isolates: bool = True,
    ) -> None:
        self.isolates = isolates
        self.claims = claims
        self.environment = environment
        self.snapshot = snapshot
        self.world = world
        self.registry = registry
        self.faults: list[Fault] = []
        self.assembly = Assembly(registry)
        self.assembly.ground = Ground(
            world, node=snapshot.node, claims=claims, environment=environment, build=self.assembly.build
        )
        self.runtime = Runtime(snapshot, registry, self.assembly.ground, self.assembly.built)
        self.securing = Securing(world, snapshot.secrets.directory, self.faults, self.runtime.secured)

    def run(self, previous: Runtime | None) -> Steps:
        """Make clusters, then sinks, then chains; raises ConfigurationError with every fault."""
        self._taken = previous.parts if previous is not None else {}
        for spec in self.snapshot.clusters:
            before = previous.clusters.get(spec.name) if previous is not None else None
            if before is not None and before.spec is spec and spec.name in self._taken and (
                    spec.tls is None or previous.snapshot.secrets == self.snapshot.secrets):
                self._share(before)
            else:
                yield from self._cluster(spec, before)
            yield
        yield from self._probe()
        self._dns()
        sinks = yield from self._objects(self.snapshot.telemetry, "")
        for listener in self.snapshot.listeners:
            yield from self._listener(listener, sinks)
        if self.faults:
            raise ConfigurationError("; ".join(str(fault) for fault in self.faults[:10]), tuple(self.faults))
        return self.runtime

    def _share(self, cluster: Cluster) -> None:
        """Take a cluster as it is: the reader of a large configuration knows that nothing of it has changed."""
        name = cluster.name
        parts = self.runtime.parts[name] = self._taken[name]
        for scope, key in parts.claims:
            self.claims.state(scope, key, _no_cell)
        self.runtime.clusters[name] = cluster
        self.runtime.shared.add(name)

    def _cluster(self, spec: ClusterSpec, previous: Cluster | None) -> Steps:
        start, self.claims.notes = len(self.assembly.built), []
        tls = self.securing.client(spec, CLIENT_ALPN) if spec.tls is not None else None
        self.assembly.ground.tls[f"cluster {spec.name}"] = tls
        balancer = yield from self._part(spec, spec.load_balancer or self._default("load_balancer", BALANCER))
        breaker = yield from self._part(spec, spec.circuit_breaker or self._default("circuit_breaker", BREAKER))
        discovery = yield from self._part(spec, spec.discovery)
        detector = yield from self._part(spec, spec.outlier_detection)
        is_lacking = spec.discovery is not None and discovery is None or spec.tls is not None and tls is None
        if balancer is None or breaker is None or is_lacking:
            self.claims.notes = None
            return
        verdicts = self.claims.state(WORKER, ("verdicts", spec.name), Verdicts)
        cluster = self.runtime.clusters[spec.name] = Cluster(
            spec, balancer, breaker, self.world, verdicts=verdicts, node=self.snapshot.node,
            own_service=self._own_service(spec), tls=tls)
        checks = yield from self._checks(spec, cluster)
        cluster.observe = observer(balancer, detector, checks)
        if detector is not None:
            detector.watch(cluster)
        built, claims, self.claims.notes = tuple(self.assembly.built[start:]), tuple(self.claims.notes), None
        is_alone = discovery is None and spec.balancing.locality.zone_aware is None
        if is_alone and all(self._is_shipped(one.plugin) for one in built):
            self.runtime.parts[spec.name] = Parts(built, claims)
            del self.assembly.built[start:]
        if previous is not None:
            cluster.adopt(previous)
            if spec.health_checks and not previous.spec.health_checks:
                verdicts.checked.update(previous.by_address)  # they serve already, and go on until a check fails
        if discovery is None:
            cluster.set_endpoints(spec.endpoints or ())
        else:
            self.runtime.discoveries.append((discovery, cluster))
            if previous is not None and previous.spec.discovery == spec.discovery:
                cluster.set_endpoints(tuple(endpoint.spec for endpoint in previous.endpoints))

    def _checks(self, spec: ClusterSpec, cluster: Cluster) -> Steps:
        """Return the cluster's active checks, None where it has none; the runtime starts and stops them."""
        parts = []
        for one in spec.health_checks:
            parts.append((one, (yield from self._part(spec, one.checker))))
        if not parts or any(checker is None for _, checker in parts):
            return None
        lead = self.claims.state(WORKER, LEAD, lambda: Lead(self.world))
        made = Checks(cluster, parts, self.world, lead, _health_log)
        self.assembly.built.append(Built(parts[0][0].checker, made, f"cluster {spec.name}"))
        return made

    def _probe(self) -> Steps:
        """Make the local workload's probe, if there is one."""
        settings = self.snapshot.probe
        checker = (yield from self._object(settings.checker, "probe", "localhost")) if settings is not None else None
        if checker is None:
            return
        workload = self.runtime.workload = self.claims.state(WORKER, ("workload",), Workload)
        lead = self.claims.state(WORKER, LEAD, lambda: Lead(self.world))
        clusters = [self.runtime.clusters[name] for name in settings.clusters if name in self.runtime.clusters]
        made = Probe(settings, checker, clusters, workload, self.world, lead, _health_log)
        self.assembly.built.append(Built(settings.checker, made, "probe"))

    def _dns(self) -> None:
        """Make the DNS proxy where it is wanted; twisted.names is imported then alone."""
        snapshot = self.snapshot
        if not snapshot.node.dns_capture:
            return
        from meshd.naming.proxy import DnsProxy
        from meshd.naming.server import Server
        addresses = snapshot.dns.addresses
        server = self.claims.state(WORKER, ("dns", addresses), lambda: Server(self.world, addresses))
        made = DnsProxy(snapshot.dns, snapshot.dns_hosts, server)
        plugin = Plugin(kind="dns", type="proxy", config=snapshot.dns, name="proxy")
        self.assembly.built.append(Built(plugin, made, "dns"))

    def _own_service(self, spec: ClusterSpec) -> Callable[[], tuple]:
        """Return what gives the endpoints that zone-aware routing compares those of ``spec`` with."""
        settings = spec.balancing.locality.zone_aware
        if settings is None:
            return tuple
        clusters, name = self.runtime.clusters, settings.local_cluster
        return lambda: clusters[name].endpoints if name in clusters else ()

    def _is_shipped(self, plugin: Plugin) -> bool:
        """A stranger's object may have read a file, or may have been bypassed: it is built anew at each reload."""
        return self.registry.entry(plugin.kind, plugin.type).distribution == SHIPPED_BY

    def _part(self, spec: ClusterSpec, plugin: Plugin | None) -> Steps:
        return (yield from self._object(plugin, f"cluster {spec.name}", spec.name)) if plugin is not None else None

    def _default(self, kind: str, name: str) -> Plugin:
        found = self.registry.type(kind, name)
        config = found.config() if found is not None and found.config is not None else None
        return Plugin(kind=kind, type=name, config=config, name=name)

    def _object(self, plugin: Plugin, owner: str, name: str = "") -> Steps:
        """Return the object of ``plugin``, or None after noting why there is none."""
        try:
            made = yield from self.assembly.build(plugin, owner, name)
        except ConfigurationError as error:
            self.faults += error.faults or [fault_at(plugin, f"{owner}: {error}" if owner else str(error))]
            return None
        yield
        return made

    def _objects(self, plugins: tuple[Plugin, ...], owner: str, isolates: bool = False) -> Steps:
        """Return (plugin, object) of each that is not disabled; the object is None where there is a fault."""
        pairs = []
        for plugin in plugins:
            if plugin.disabled:
                continue
            if isolates and plugin.is_isolated:
                pairs.append((plugin, self._isolate(plugin).part(plugin, owner)))
            else:
                pairs.append((plugin, (yield from self._object(plugin, owner))))
        return pairs

    def _isolate(self, plugin: Plugin) -> Isolate:
        """Return what will run ``plugin`` in a child; the runtime starts and stops it."""
        made = Isolate(
            plugin, world=self.world, registry=self.registry, node=self.snapshot.node,
            folder=self.snapshot.plugins.dir, environment=self.environment,
        )
        self.assembly.built.append(Built(plugin, made))
        self.assembly.ground.reopeners.append(made.reopen)
        return made

    def _listener(self, listener: Listener, shared: Pairs) -> Steps:
        """Make what a listener looks at connections by, and its chains; ``shared`` are the mesh-wide sinks."""
        owner = f"listener {listener.name}"
        chains = self.runtime.chains[listener.name] = {}
        sinks = yield from self._objects(listener.telemetry, owner)
        if listener.is_udp:
            self._check_udp(listener, owner)
            uses = [self._use(plugin, made) for plugin, made in [*shared, *sinks] if made is not None]
            chains[""] = NetworkChain((), tuple(uses), None)
            return
        lookers = yield from self._objects(listener.listener_filters, owner)
        if lookers and all(made is not None for _, made in lookers):
            self.runtime.listener_filters[listener.name] = ListenerFilters(
                tuple(self._use(plugin, made) for plugin, made in lookers))
        for spec in listener.chains:
            place = f"{owner}: filter chain {spec.name}" if spec.name else owner
            chain = yield from self._chain(spec, place, listener.name, [*shared, *sinks])
            if chain is not None:
                chains[spec.name] = chain
            yield

    def _check_udp(self, listener: Listener, owner: str) -> None:
        cluster = self.runtime.clusters.get(listener.udp.cluster)
        if cluster is not None and cluster.spec.proxy_protocol is not None:
            text = f"{owner}: udp: cluster {cluster.name!r} has proxy_protocol: expected none, datagrams have no start"
            self.faults.append(fault_at(listener, text))

    def _chain(self, spec: FilterChain, owner: str, listener: str, shared: Pairs) -> Steps:
        """Return a chain, None after noting why there is none."""
        filters = yield from self._objects(
            spec.filters or spec.network_filters, owner, self.isolates and spec.protocol == "http")
        sinks = yield from self._objects(spec.telemetry, owner)
        if any(made is None for _, made in filters + sinks + shared):
            return None
        if not self._is_whole(filters, owner):
            return None
        uses = [self._use(plugin, made) for plugin, made in filters]
        all_sinks = tuple(self._use(plugin, made) for plugin, made in [*shared, *sinks])
        if spec.protocol == "tcp":
            chain = NetworkChain(tuple(uses), all_sinks, TcpCells(self.world.metrics, listener))
            return (yield from self._secured(chain, spec, owner, listener))
        yield from self._overrides(uses, owner)
        share_out(uses, self.world.random.random, self.world.metrics)
        chain = Chain(tuple(uses), all_sinks, sample_every=self.snapshot.plugins.sample_every)
        return (yield from self._secured(chain, spec, owner, listener))

    def _secured(self, chain: Any, spec: FilterChain, owner: str, listener: str) -> Steps:
        """Return the chain with its TLS, None after noting why it has none."""
        if spec.tls is not None:
            chain.transport = yield from self.securing.server(spec.tls, listener, owner, alpn_of(spec))
            if chain.transport is None:
                return None
        return chain

    def _is_whole(self, filters: Pairs, owner: str) -> bool:
        """Note a fault unless exactly the last filter is terminal; say whether it is."""
        terminal = [self.registry.type(plugin.kind, plugin.type).terminal for plugin, _ in filters]
        if filters and terminal == [False] * (len(filters) - 1) + [True]:
            return True
        text = f"{owner}: filters: {sum(terminal)} terminal filters: expected one, at the end (router, tcp_proxy)"
        self.faults.append(fault_at(filters[-1][0] if filters else None, text, CHAIN_CODE))
        return False

    def _use(self, plugin: Plugin, made: Any) -> Use:
        entry = self.registry.entry(plugin.kind, plugin.type)
        settings = self.snapshot.plugins
        record = PluginRecord(
            plugin, entry.distribution, entry.version, self.world.metrics, self.world.log, settings.max_errors,
            clock=self.world.clock, strikes=settings.watchdog.strikes,
        )
        if isinstance(made, IsolatedFilter):
            made.isolate.record, record.process = record, made.isolate
        return Use(plugin, made, record)

    def _overrides(self, uses: list[Use], owner: str) -> Steps:
        """Build what routes put in place of a filter; routes that share a configuration share the object."""
        by_name = {use.plugin.name: use for use in uses[:-1]}
        made: dict[int, Any] = {}
        for route in getattr(uses[-1].object, "routes", ()):
            for name, plugin in route.overrides.items():
                use = by_name.get(name)
                if use is None:
                    known = f"expected one of {sorted(by_name)}"
                    text = f"{owner}: route {route.name}: override {name!r}: no such filter: {known}"
                    self.faults.append(fault_at(plugin, text))
                    continue
                if plugin is not None and id(plugin) not in made:
                    place = f"{owner}: route {route.virtual_host}/{route.name}"
                    made[id(plugin)] = yield from self._override(use, plugin, place)
                use.overrides[route] = None if plugin is None or plugin.disabled else made[id(plugin)]
            yield

    def _override(self, use: Use, plugin: Plugin, place: str) -> Steps:
        """Return what stands in for a filter on some routes; it runs where the filter runs."""
        if isinstance(use.object, IsolatedFilter):
            return use.object.isolate.part(plugin, place)
        return (yield from self._object(plugin, place))


def observer(*parts: Any) -> Callable[[Any, Any], None] | None:
    """Return a callable(endpoint, outcome) that tells all ``parts`` that have ``on_result``, None for none."""
    told = [part.on_result for part in parts if callable(getattr(part, "on_result", None))]
    if len(told) < 2:
        return told[0] if told else None

    def observe(endpoint: Any, outcome: Any) -> None:
        for tell in told:
            tell(endpoint, outcome)
    return observe


def _no_cell() -> Any:
    raise KeyError("a cell of a runtime in force is gone")


def fault_at(plugin: Plugin | None, text: str, code: str = CODE) -> Fault:
    """Return a fault at the place where ``plugin`` is configured."""
    return Fault(code, ERROR, text, mark_of(plugin.where if plugin is not None else ""))


def build(
    snapshot: Snapshot, registry: Registry, world: Any, previous: Runtime | None = None, *,
    table: StateTable, environment: Mapping[str, str] | None = None, isolates: bool = True,
) -> Steps:
    """Return the Runtime of ``snapshot``; ``previous`` lends pools and endpoints, ``table`` holds what outlives both.

    Raises ConfigurationError; what was made until then is given back.
    """
    claims = Claims(table)
    try:
        environment = os.environ if environment is None else environment
        construction = Construction(snapshot, registry, world, claims, environment, isolates)
        return (yield from construction.run(previous))
    except BaseException:
        finish(claims.release())
        raise


def check(snapshot: Snapshot, registry: Registry) -> None:
    """Build ``snapshot`` in a world without a reactor and throw it away (``--check``); raises ConfigurationError."""
    finish(asleep(snapshot, registry).stop())


def asleep(snapshot: Snapshot, registry: Registry) -> Runtime:
    """Return the Runtime of ``snapshot`` in a world without a reactor, to be looked at and not to be started.

    Raises ConfigurationError.
    """
    return finish(build(snapshot, registry, _world(), table=StateTable(), isolates=False))


def check_type(kind: str, name: str, registry: Registry) -> None:
    """Build one type with the defaults of its configuration and throw it away (``meshctl plugins check``).

    Raises PluginError where the object lacks what its kind promises, and whatever the plugin's own code raises.
    """
    found = registry.type(kind, name)
    claims = Claims(StateTable())
    assembly = Assembly(registry)
    ground = assembly.ground = Ground(
        _world(), node=Snapshot().node, claims=claims, environment=os.environ, build=assembly.build)
    try:
        made = found.build(found.config() if found.config is not None else None, ground.site(name, ""))
        check_object(kind, finish(made) if isinstance(made, Generator) else made, found.terminal)
    finally:
        finish(claims.release())


def _world() -> World:
    clock = task.Clock()
    return World(clock, Clock(clock), random.Random(), Metrics(), Logger(namespace="meshd.check"))
