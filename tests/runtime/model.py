"""Small configurations and plugins for the tests of this folder."""

import random
from types import SimpleNamespace

from twisted.internet.task import Clock
from twisted.logger import Logger

from meshd.api import CONTINUE, Integer, Plugin, PluginType, config, option
from meshd.model.cluster import Cluster, EndpointSpec
from meshd.model.listener import Listener
from meshd.model.snapshot import Loaded, Snapshot
from meshd.registry import Registry
from meshd.telemetry.metrics import Metrics
from meshd.testing.site import FakeTime
from meshd.wire.world import World


@config
class Tag:
    """Configuration of the fake plugins."""

    value: int = option(Integer(), default=0, doc="tells one from another")


class Part:
    """A plugin object that remembers what happened to it in ``journal``."""

    journal: list = []

    def __init__(self, config, site):
        self.config = config
        self.site = site

    def start(self):
        self.journal.append(("start", self.site.name))

    def stop(self):
        self.journal.append(("stop", self.site.name))


class Balancer(Part):
    def update(self, endpoints):
        self.endpoints = endpoints

    def pick(self, exchange):
        return self.endpoints[0]


class Breaker(Part):
    def admit_request(self):
        return True

    admit_pending = admit_connection = admit_retry = admit_request

    def release_request(self):
        pass

    release_pending = release_connection = release_retry = release_request

    def state(self):
        return {}


class Discovery(Part):
    found = (EndpointSpec(address="127.0.0.1:9"),)

    def watch(self, report):
        self.report = report
        report(self.found)


class Filter(Part):
    def on_request(self, exchange):
        return CONTINUE


class Looker(Part):
    def on_accept(self, arrival):
        return CONTINUE


class Terminal(Part):
    def __init__(self, config, site):
        super().__init__(config, site)
        self.routes = ()
        if config is not None and config.value:
            self.routes = (Route("a", {"filter": None}), Route("b", {"filter": plug("filter", "filter", Tag(value=7))}))

    def match(self, exchange):
        return None


class Route(SimpleNamespace):
    def __init__(self, name, overrides):
        super().__init__(name=name, virtual_host="all", overrides=overrides)

    __hash__ = object.__hash__


class Sink(Part):
    def on_complete(self, exchange):
        pass


def slow(config, site):
    """Build in slices."""
    yield
    yield
    return Filter(config, site)


def broken(config, site):
    raise RuntimeError("cannot be built")


TYPES = (
    PluginType(kind="load_balancer", name="round_robin", config=Tag, build=Balancer),
    PluginType(kind="circuit_breaker", name="limits", build=Breaker),
    PluginType(kind="discovery", name="found", build=Discovery),
    PluginType(kind="http_filter", name="filter", config=Tag, build=Filter),
    PluginType(kind="http_filter", name="slow", build=slow),
    PluginType(kind="http_filter", name="broken", build=broken),
    PluginType(kind="http_filter", name="formless", build=lambda config, site: object()),
    PluginType(kind="http_filter", name="router", config=Tag, build=Terminal, terminal=True),
    PluginType(kind="listener_filter", name="looker", build=Looker),
    PluginType(kind="telemetry", name="sink", build=Sink),
)
REGISTRY = Registry.of(*TYPES)


def plug(name, kind="filter", config=None, where=""):
    """Return the use of a fake plugin."""
    kinds = {one.name: one.kind for one in TYPES}
    return Plugin(kind=kinds[kind], type=kind, config=config, name=name, where=where)


def listener(name="public", *filters, address="127.0.0.1:0", routes=0):
    """Return a listener whose chain ends in the fake router."""
    return Listener(name=name, address=address, filters=(*filters, plug("router", "router", Tag(value=routes))))


def cluster(name="users", **more):
    """Return a cluster of one endpoint."""
    more = more or {"endpoints": (EndpointSpec(address="127.0.0.1:9"),)}
    return Cluster(name=name, **more)


def snapshot(*listeners, clusters=(), **more):
    """Return a configuration."""
    return Snapshot(listeners=tuple(listeners), clusters=tuple(clusters), **more)


def loaded(*listeners, digest="d", fingerprint=(), **more):
    """Return a configuration as the reader does."""
    return Loaded(snapshot=snapshot(*listeners, **more), digest=digest, fingerprint=fingerprint)


def world(events=None):
    """Return a world whose reactor is a twisted Clock."""
    clock = Clock()
    events = [] if events is None else events
    return World(clock, FakeTime(clock), random.Random(1), Metrics(), Logger(namespace="test", observer=events.append))
