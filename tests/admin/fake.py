"""A daemon for the admin API's tests: real metrics, registry and model, no listeners and no runtime."""

import collections
import types

from twisted.internet.defer import fail, succeed
from zope.interface import implementer

from meshd.admin.index import PAGES
from meshd.admin.view import IDaemon
from meshd.cli.log import Log
from meshd.explain.asked import BadQuestion
from meshd.model.cluster import Cluster, EndpointSpec
from meshd.model.plugin import Plugin
from meshd.model.snapshot import Loaded, Snapshot
from meshd.registry import Registry
from meshd.telemetry.metrics import Metrics


class FakeDiscovery:
    """A source with one target of each kind."""

    def fact(self):
        last = {"time": 1.0, "error": "x.json: broken", "found": 3, "dropped": 2}
        return {"type": "file", "source": "file /x.json", "state": "stale", "age_s": 61.0, "endpoints": 1, "updates": 2,
                "failures": 3, "held": 0, "last_look": last}

    def find(self):
        spec = EndpointSpec(address="10.0.0.7:80", labels=(("v", "1"),), source="file /x.json")
        rows = [Row({"__address__": "10.0.0.7:80"}, spec, ""), Row({"__address__": "a"}, None, "expected more"),
                Row({"__address__": "b:1"}, None, "")]
        return succeed((rows, ("x.json: broken",)))


Row = collections.namedtuple("Row", "labels endpoint cause")


class FakeCluster:
    """A cluster whose endpoints were found."""

    name = "users"
    spec = Cluster(name="users", discovery=Plugin(kind="discovery", type="file", name="file", config=None))
    endpoints = (types.SimpleNamespace(spec=EndpointSpec(address="10.0.0.7:80", source="file /x.json")),)


@implementer(IDaemon)
class FakeDaemon:
    """Records what it was told to do in ``told``."""

    def __init__(self):
        users = Cluster(name="users", endpoints=(EndpointSpec(address="10.0.0.7:80"),))
        self.loaded = Loaded(snapshot=Snapshot(clusters=(users,)), digest="d1", files=("mesh.yaml",))
        self.state = "LIVE"
        self.heir = None
        self.is_ready = True
        self.runtime = None
        self.generation = 3
        self.registry = Registry.of()
        self.metrics = Metrics()
        self.log = Log()
        self.last_reload = None
        self.started_wall = 1.0
        self.uptime_s = 2.0
        self.paths = ("mesh.yaml",)
        self.told = []
        self.outcome = {
            "accepted": True, "generation": 4, "previous_generation": 3, "duration_s": 0.018, "faults": [],
            "node": "web-1",
            "changes": [{"kind": "listeners", "added": 1, "changed": 2, "removed": 0}], "closed_connections": 0,
            "summary": "", "text": "",
        }

    def pages(self):
        return PAGES

    def listeners(self):
        return [{"name": "public", "address": "127.0.0.1:0", "bound": "127.0.0.1:8080", "connections": 2,
                 "filters": ["router"], "accepting": True, "counters": {"connections": 2, "requests": 9}}]

    def clusters(self, name=""):
        return [row for row in self._clusters() if name in ("", row["name"])]

    def _clusters(self):
        return [{
            "name": "users", "load_balancer": "round_robin", "idle_connections": 1,
            "circuit_breaker": {"requests": {"used": 1, "limit": 1024}},
            "counters": {"requests": 7, "retries": 1, "connect_failures": 0, "active_connections": 2,
                         "active_requests": 1},
            "endpoints": [{"address": "10.0.0.7:80", "weight": 1, "priority": 0, "locality": "", "labels": {},
                           "healthy": True, "health": "healthy",
                           "active_requests": 1, "connections": 2, "idle_connections": 1,
                           "pending": 0}],
        }]

    def discoveries(self):
        return [(FakeDiscovery(), FakeCluster())]

    def plugins(self):
        use = {"name": "router", "faults": {"on_request": 2}, "late": 0, "state": "in use",
               "timings": {"on_request": {"samples": 2, "mean_s": 3e-6, "longest_s": 4e-6}}}
        types = [{"kind": "http_filter", "name": "router", "doc": ""}]
        return [{"name": "router", "distribution": "meshd", "version": "0.1.0", "status": "loaded", "reason": "",
                 "types": types, "uses": [use]}]

    def overload(self):
        return {"actions": {"stop_accepting_requests": 1.5}, "resources": {"lag": {"pressure": 110.0}}}

    def workload(self):
        return {"state": "unhealthy", "reason": "status 503", "since_s": 1.5}

    def explain(self, asked):
        self.told.append(asked)
        if asked.listener == "unknown":
            return fail(BadQuestion("listener: 'unknown': unknown: expected one of public"))
        return succeed({"request": asked.fields(), "result": {"kind": "forward"}})

    def origins(self):
        return succeed({"node.id": "default of native"})

    def reload(self):
        self.told.append("reload")
        return succeed(self.outcome)

    def upgrade(self):
        self.told.append("upgrade")
        return succeed(self.outcome)

    def drain_listeners(self):
        self.told.append("drain_listeners")

    def set_health(self, is_healthy):
        self.told.append(("health", is_healthy))

    def quit(self):
        self.told.append("quit")

    def reopen(self):
        self.told.append("reopen")
