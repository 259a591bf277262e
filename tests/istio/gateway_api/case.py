"""Documents of Gateway API through the whole translation to a real router that is asked, without sockets."""

import base64
import re
import unittest

import attrs

from meshd.document.context import Context
from meshd.document.decode import decode
from meshd.document.tree import parse_all
from meshd.model.plugin import Plugin
from meshd.model.snapshot import Node, Snapshot
from meshd.registry import Registry
from meshd.runtime.site import finish
from meshd.testing.exchange import FakeExchange, request_head
from meshd.testing.site import FakeSite
from meshd_plugins.istio.emit import tree
from meshd_plugins.istio.gateway_api.mesh_routes import mesh_routes
from meshd_plugins.istio.gateway_api.plan import Plan
from meshd_plugins.istio.gateway_api.status import status
from meshd_plugins.istio.mesh import Mesh
from meshd_plugins.istio.read import read
from meshd_plugins.istio.translate.cluster import Clusters
from meshd_plugins.istio.translate.compose import compose
from meshd_plugins.istio.translate.listener import TAGS
from meshd_plugins.router.build import build
from meshd_plugins.router.config import VirtualHost

REGISTRY = Registry.load()
API = "apiVersion: gateway.networking.k8s.io/v1\n"


def service(name, namespace="default", ports="[{name: http, port: 80}]"):
    """Return a Service document."""
    return (f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
            f"spec: {{ports: {ports}}}\n")


SERVICES = "".join(service(f"v{number}") for number in (1, 2, 3)) + service("orders", "orders")


def gateway(listeners="[{name: http, port: 80, protocol: HTTP}]", name="web", namespace="default", more=""):
    """Return a Gateway document."""
    return (f"---\n{API}kind: Gateway\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
            f"spec:\n  gatewayClassName: meshd\n  listeners: {listeners}\n{more}")


def route(rules, name="r", kind="HTTPRoute", parents="[{name: web}]", hostnames="[]", namespace="default", more=""):
    """Return a route document; ``rules`` is a YAML block, ``more`` what stands in its metadata."""
    lines = "".join(f"  {line}\n" for line in rules.strip("\n").splitlines())
    hosts = "" if hostnames == "[]" else f"  hostnames: {hostnames}\n"
    return (f"---\n{API.replace('v1', 'v1alpha2') if kind in ('TCPRoute',) else API}kind: {kind}\n"
            f"metadata: {{name: {name}, namespace: {namespace}{more}}}\n"
            f"spec:\n  parentRefs: {parents}\n{hosts}  rules:\n{lines}")


def secret(name="cert", namespace="default", crt="-----BEGIN CERTIFICATE-----", key="-----BEGIN PRIVATE KEY-----"):
    """Return a Secret of a certificate and its key."""
    crt, key = (base64.b64encode(text.encode()).decode() for text in (crt, key))
    return (f"---\napiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\n"
            f"metadata: {{name: {name}, namespace: {namespace}}}\ndata: {{tls.crt: '{crt}', tls.key: '{key}'}}\n")


AUTHORITY = ("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: ca}\n"
             "data: {ca.crt: '-----BEGIN CERTIFICATE-----'}\n")


class Cluster:
    """A cluster that has a name."""

    def __init__(self, name):
        self.name = name


@attrs.frozen
class Answer:
    """What a request got: the ``backend`` (``v1``), or the ``status`` of an answer from the proxy."""

    exchange: FakeExchange

    @property
    def backend(self):
        """Return the name of the Service, or None where the proxy answers itself."""
        plan = self.exchange.plan
        return plan.clusters[0][1].name.split("|")[3].partition(".")[0] if plan is not None else None

    @property
    def backends(self):
        """Return {name: share} of a split."""
        rows, before = {}, 0
        for total, cluster, *_ in self.exchange.plan.clusters:
            rows[cluster.name.split("|")[3].partition(".")[0]] = total - before
            before = total
        return rows

    @property
    def status(self):
        """Return the status, or 0."""
        return self.exchange.replies[0].status if self.exchange.replies else 0

    @property
    def location(self):
        """Return the place of a redirect as text."""
        return self.exchange.replies[0].header(b"location").decode()

    def sent(self, share=0):
        """Return the request as it goes upstream, by the edits of one share and the route."""
        row = self.exchange.plan.clusters[share]
        for edit in (row[2], self.exchange.plan.on_request):
            if edit is not None:
                edit(self.exchange)
        return self.exchange.request

    def answered(self, headers=(), share=0):
        """Return the head of an answer of the upstream after the edits."""
        head = self.exchange.respond(200, headers)
        row = self.exchange.plan.clusters[share]
        for edit in (row[3], self.exchange.plan.on_response):
            if edit is not None:
                edit(self.exchange)
        return head


class Loaded:
    """The configuration of some documents: ``ask`` it, look at its ``status`` and ``faults``."""

    def __init__(self, text, node=Node(), services=SERVICES):
        self.context = Context(plugin_type=REGISTRY.type, plugin_names=REGISTRY.names, make_plugin=Plugin, node=node)
        roots = parse_all("docs.yaml", (services + text).encode(), self.context.faults) or []
        self.resources = read(roots, self.context)
        self.mesh = Mesh(self.resources)
        self.plan = Plan(self.mesh, node)
        self.snapshot = decode(Snapshot, compose(self.mesh, self.context, roots[0]), self.context) if roots else None
        self.errors = [f"{one.path}: {one.message}" for one in self.context.faults.sorted() if one.severity == "error"]
        self.warnings = [f"{one.code} {one.path}: {one.message}" for one in self.context.faults.sorted()
                         if one.severity == "warning"]
        self._routers = {}

    def listener(self, port=80):
        """Return the native listener on a port."""
        found = [one for one in self.snapshot.listeners if one.address.endswith(f":{port}")]
        assert len(found) == 1, (port, [one.address for one in self.snapshot.listeners], self.errors)
        return found[0]

    def router(self, port=80):
        """Return the built router of the listener on a port."""
        if port not in self._routers:
            names = [one.name for one in self.snapshot.clusters]
            site = FakeSite(clusters={name: Cluster(name) for name in names}, registry=REGISTRY)
            self._routers[port] = finish(build(self.listener(port).filters[-1].config, site))
        return self._routers[port]

    def ask(self, target="/", host="example.com", method="GET", headers=(), port=80):
        """Return the Answer to a request."""
        assert not self.errors, self.errors
        pairs = tuple((name.lower().encode(), value.encode()) for name, value in dict(headers).items())
        router = self.router(port)
        exchange = FakeExchange(request=request_head(method.encode(), target.encode(), pairs, host.encode()))
        exchange.route = router.match(exchange)
        exchange.request_phase(router)
        return Answer(exchange)

    def where(self, *given, **named):
        """Return the backend's name, or the status of the proxy's own answer."""
        answer = self.ask(*given, **named)
        return answer.backend or answer.status

    def status_of(self, name, kind=None):
        """Return the plain status of a document."""
        return next(one for one in status(self.plan) if one["name"] == name and kind in (None, one["kind"]))

    def parent(self, name="r", place=0):
        """Return {type: (status, reason)} of a route's conditions at one parent."""
        return conditions(self.status_of(name)["parents"][place])

    def listener_status(self, listener="http", name="web"):
        """Return the plain status of one listener."""
        return next(one for one in self.status_of(name)["listeners"] if one["name"] == listener)

    def mesh_routes(self):
        """Return the routes of Services as decoded native routes: {(host, port): [Route]}."""
        clusters = Clusters(self.mesh, self.context)
        found = mesh_routes(self.plan, self.mesh, self.context, clusters)
        for route in (one for routes in found.values() for one in routes):
            route.value.pop(TAGS)
        root = self.resources[0].node
        return {key: decode(VirtualHost, tree(root, {"name": "a", "domains": ["*"], "routes": routes}),
                            self.context).routes for key, routes in found.items()}


def conditions(one):
    """Return {type: (status, reason)} of something with conditions."""
    return {each["type"]: (each["status"], each["reason"]) for each in one["conditions"]}


def table(rows):
    """Make one test of each row of a table: ``check(self, *row)`` is asked. A row begins with its name."""

    def decorate(cls):
        for name, *row in rows:
            slug = re.sub(r"\W+", "_", name).strip("_")

            def test(self, row=tuple(row)):
                self.check(*row)

            test.__doc__ = None
            assert not hasattr(cls, f"test_{slug}"), name
            setattr(cls, f"test_{slug}", test)
        return cls

    return decorate


class RoutingCase(unittest.TestCase):
    """Rows are (name, where it goes, keywords of ``ask``); ``TEXT`` are the documents."""

    TEXT = ""

    @property
    def loaded(self):
        """Return what TEXT comes to, read once for a class (trial knows no setUpClass)."""
        cls = type(self)
        if "kept" not in vars(cls):
            cls.kept = Loaded(cls.TEXT)
        return cls.kept

    def check(self, expected, target="/", **options):
        self.assertEqual(self.loaded.where(target, **options), expected)
