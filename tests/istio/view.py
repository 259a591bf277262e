"""Istio documents as one node sees them: the decoded Snapshot, and what the real router does with a request.

    seen = view(GATEWAY, RULES, role="ingress")
    seen.cluster("outbound|80|v1|a.test").endpoints
    seen.ask(b"GET", b"/a", host=b"a.test").route.name
"""

import json
import textwrap

import attrs
import yaml

from meshd.config.load import load_documents
from meshd.config.source import Documents
from meshd.document.context import Context
from meshd.document.fault import Faults
from meshd.document.tree import parse_all
from meshd.errors import ConfigurationError
from meshd.runtime.site import finish
from meshd.testing.exchange import FakeExchange, request_head
from meshd.testing.registry import installed
from meshd.testing.site import FakeSite
from meshd_plugins.istio.mesh import Mesh
from meshd_plugins.istio.read import read
from meshd_plugins.router.build import build

ISTIO = "networking.istio.io/v1"
VERSIONS = {"Service": "v1", "Endpoints": "v1", "EndpointSlice": "discovery.k8s.io/v1",
            "MeshConfig": "mesh.istio.io/v1alpha1"}
NODE = {"id": "test", "role": "ingress", "ip_families": ["ipv4"]}


def document(kind, name, spec, namespace="", labels=None, annotations=None, created="", **top):
    """Return the text of one document; ``top`` stands beside ``spec``."""
    metadata = {"name": name, "namespace": namespace, "labels": labels, "annotations": annotations,
                "creationTimestamp": created}
    if isinstance(spec, str):
        spec = yaml.safe_load(textwrap.dedent(spec))
    return json.dumps({"apiVersion": VERSIONS.get(kind, ISTIO), "kind": kind,
                       "metadata": {key: value for key, value in metadata.items() if value},
                       **({} if spec is None else {"spec": spec}), **top})


def service(name, *, namespace="", ports=((80, "http"),), endpoints=("10.0.0.1",), **more):
    """Return a ServiceEntry of one host; ``endpoints`` are addresses, or dicts as the document has them."""
    hosts = more.pop("hosts", [name])
    return document("ServiceEntry", name, {
        "hosts": hosts, "resolution": "STATIC", "location": "MESH_INTERNAL",
        "ports": [{"number": number, "name": word, "protocol": word.partition("-")[0].upper()}
                  for number, word in ports],
        "endpoints": [{"address": one} if isinstance(one, str) else one for one in endpoints], **more}, namespace)


def versions(name, *words, **more):
    """Return a ServiceEntry with one endpoint for each version, and a DestinationRule with a subset for each."""
    points = [{"address": f"10.0.0.{place + 1}", "labels": {"version": word}} for place, word in enumerate(words)]
    subsets = [{"name": word, "labels": {"version": word}} for word in words]
    return service(name, endpoints=points, **more) + "\n---\n" + document(
        "DestinationRule", name, {"host": name, "subsets": subsets}, more.get("namespace", ""))


def rules(name, http, *, hosts=("a.test",), gateways=("edge",), namespace="", annotations=None, created="", **more):
    """Return a VirtualService; ``http`` is YAML or plain Python."""
    spec = {"hosts": list(hosts), "gateways": list(gateways), **more}
    if isinstance(http, str):
        http = yaml.safe_load(textwrap.dedent(http))
    return document("VirtualService", name, {**{key: value for key, value in spec.items() if value}, "http": http},
                    namespace, annotations=annotations, created=created)


def gateway(name="edge", hosts=("*",), *, namespace="", port=80, kind="Gateway", selector=None, **server):
    """Return a Gateway of one HTTP server."""
    selector = {"istio": "ingressgateway"} if selector is None else selector
    server = {"port": {"number": port, "name": "http", "protocol": "HTTP"}, "hosts": list(hosts), **server}
    return document(kind, name, {"selector": selector, "servers": [server]}, namespace)


def sidecar(egress, name="default", namespace="", **more):
    """Return a Sidecar; ``egress`` are listeners, or a port number that takes everything."""
    if isinstance(egress, int):
        egress = [{"port": {"number": egress, "protocol": "HTTP", "name": "http"}, "hosts": ["*/*"],
                   "captureMode": "NONE"}]
    return document("Sidecar", name, {**({"egress": egress} if egress else {}), **more}, namespace)


def roots_of(texts, faults):
    """Return the trees of documents; each text is a file of its own."""
    found = []
    for place, text in enumerate(texts):
        found += parse_all(f"{place}.yaml", textwrap.dedent(text).encode(), faults) or []
    return found


@attrs.frozen
class Seen:
    """``snapshot`` is decoded, ``warnings`` are all Fault objects of the run."""

    snapshot: object
    warnings: tuple

    @property
    def unsupported(self):
        """Return the warnings of what does not work yet."""
        return tuple(one for one in self.warnings if one.code == "MSH0118")

    def listener(self, name=None):
        """Return the listener of this name, or the only one."""
        found = [one for one in self.snapshot.listeners if name in (None, one.name)]
        assert len(found) == 1, [one.name for one in self.snapshot.listeners]
        return found[0]

    def cluster(self, name):
        """Return the cluster of this name."""
        found = {one.name: one for one in self.snapshot.clusters}
        assert name in found, sorted(found)
        return found[name]

    def addresses(self, name):
        """Return the addresses of a cluster's endpoints."""
        return [one.address for one in self.cluster(name).endpoints]

    def router(self, name=None):
        """Return the configuration of the router of a listener."""
        return next(one.config for one in self.listener(name).filters if one.type == "router")

    def hosts(self, name=None):
        """Return the virtual hosts of a listener: name -> VirtualHost."""
        return {one.name: one for one in self.router(name).virtual_hosts}

    def domains(self, name=None):
        """Return all domains of a listener."""
        return [domain for host in self.router(name).virtual_hosts for domain in host.domains]

    def routes(self, name=None):
        """Return the routes of all virtual hosts of a listener."""
        return [route for host in self.router(name).virtual_hosts for route in host.routes]

    def ask(self, target="/", headers=(), *, method="GET", host="a.test", listener=None):
        """Run one request through the real router; return its exchange."""
        site = FakeSite(clusters={one.name: Named(one.name) for one in self.snapshot.clusters})
        router = finish(build(self.router(listener), site))
        pairs = [(name.lower().encode(), value.encode()) for name, value in dict(headers).items()]
        exchange = FakeExchange(request=request_head(method.encode(), target.encode(), pairs, host.encode()))
        exchange.route = router.match(exchange)
        exchange.request_phase(router)
        return exchange

    def goes(self, target="/", headers=(), **options):
        """Return where a request goes: the name of its cluster, its status, or clusters with their weights."""
        exchange = self.ask(target, headers, **options)
        if exchange.plan is None:
            return exchange.replies[-1].status
        rows, below = [], 0
        for total, cluster, *_ in exchange.plan.clusters:
            rows.append((total - below, cluster.name))
            below = total
        return rows[0][1] if len(rows) == 1 else rows

    def sent(self, target="/", headers=(), **options):
        """Return the request as it goes upstream, in the first of the clusters."""
        exchange = self.ask(target, headers, **options)
        row = exchange.plan.clusters[0]
        for edit in (row[2], exchange.plan.on_request):
            if edit is not None:
                edit(exchange)
        return exchange.request


@attrs.frozen
class Named:
    """A cluster that has a name."""

    name: str


def view(*texts, strict=False, secrets=None, **node):
    """Return what a node sees in documents; raises ConfigurationError with the faults. ``secrets`` is their folder."""
    faults = Faults()
    native = {"node": {**NODE, **node}, **({"secrets": {"directory": secrets}} if secrets else {})}
    me = parse_all("node.yaml", json.dumps(native).encode(), faults)
    documents = Documents((*me, *roots_of(texts, faults)), (), faults, True)
    loaded = load_documents(documents, installed(), is_strict=strict)
    return Seen(loaded.snapshot, tuple(loaded.warnings))


def faults_of(*texts, **node):
    """Return the faults of documents, which must have some."""
    try:
        view(*texts, **node)
    except ConfigurationError as error:
        return tuple(error.faults)
    raise AssertionError("no fault")


def mesh(*texts):
    """Return the Mesh of documents, which must be good."""
    faults = Faults()
    found = read(roots_of(texts, faults), context_for(faults))
    assert not faults.errors(), [str(one) for one in faults.sorted()]
    return Mesh(found)


def context_for(faults):
    """Return the context that a dialect gets."""
    registry = installed()
    return Context(faults=faults, plugin_type=registry.type, plugin_names=registry.names)
