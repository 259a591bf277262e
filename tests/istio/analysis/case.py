"""Documents in one line each, and what analysis says of them."""

from unittest import TestCase

from meshd.document.context import Context
from meshd.document.tree import parse
from meshd.model.snapshot import Node
from meshd_plugins.istio.analysis import analyze
from meshd_plugins.istio.mesh import Mesh
from meshd_plugins.istio.read import read

GROUPS = {
    "Service": "v1", "Namespace": "v1", "Secret": "v1", "MeshConfig": "mesh.istio.io/v1alpha1",
    "RateLimitPolicy": "meshd.io/v1alpha1",
    "Telemetry": "telemetry.istio.io/v1", "WasmPlugin": "extensions.istio.io/v1alpha1",
    "EnvoyFilter": "networking.istio.io/v1alpha3",
    **dict.fromkeys(("AuthorizationPolicy", "RequestAuthentication", "PeerAuthentication"), "security.istio.io/v1"),
}


def doc(kind, name, spec, namespace="default", annotations=""):
    """Return a document; ``spec`` and ``annotations`` are YAML in one line."""
    version = GROUPS.get(kind, "networking.istio.io/v1")
    noted = f", annotations: {annotations}" if annotations else ""
    metadata = f"{{name: {name}, namespace: {namespace}{noted}}}"
    return f"apiVersion: {version}\nkind: {kind}\nmetadata: {metadata}\nspec: {spec}\n"


def service(host="a.test", more="", **meta):
    """Return a ServiceEntry with one endpoint of version v1 at port 80."""
    return doc("ServiceEntry", host.replace(".", "-").replace("*", "all"),
               f"{{hosts: ['{host}'], ports: [{{number: 80, name: http, protocol: HTTP}}], resolution: STATIC, "
               f"endpoints: [{{address: 127.0.0.1, labels: {{version: v1}}}}]{more}}}", **meta)


def routes(http, hosts="[a.test]", more="", name="web", **meta):
    """Return a VirtualService with these HTTP rules."""
    return doc("VirtualService", name, f"{{hosts: {hosts}{more}, http: [{http}]}}", **meta)


def rule(more, host="a.test", name="a", **meta):
    """Return a DestinationRule."""
    return doc("DestinationRule", name, f"{{host: {host}, {more}}}", **meta)


TO_A = "{route: [{destination: {host: a.test}}]}"


class AnalysisCase(TestCase):
    """Reads, looks, and finds."""

    def read(self, *documents, node=None, is_strict=False):
        """Return the findings of these documents, one file each; they must be without faults."""
        context = Context(node=node or Node(), is_strict=is_strict)
        roots = [parse(f"{number}.yaml", text.encode(), context.faults) for number, text in enumerate(documents)]
        mesh = Mesh(read(roots, context))
        faults = [one for one in context.faults.sorted() if one.code != "MSH0118"]
        self.assertEqual([str(one) for one in faults], [], "the documents have faults of their own")
        analyze(mesh, context)
        return [one for one in context.faults.sorted() if one.is_analysis]

    def codes(self, *documents, **more):
        """Return the codes of all findings, sorted."""
        return sorted(one.code for one in self.read(*documents, **more))

    def only(self, code, *documents, **more):
        """Return the one finding of a code."""
        found = [one for one in self.read(*documents, **more) if one.code == code]
        self.assertEqual(len(found), 1, [str(one) for one in found])
        return found[0]

    def check(self, code, severity, caret, bad, good, **more):
        """The bad documents have one finding at the text ``caret``, the good ones none of this code."""
        found = self.only(code, *bad, **more)
        mark = found.mark
        self.assertEqual((found.severity, mark.text[mark.column - 1:mark.end_column - 1]), (severity, caret))
        self.assertTrue(found.subject and found.path and found.is_analysis)
        self.assertTrue(found.hint or found.notes or found.help, "it says neither why nor what to do")
        self.assertNotIn(code, self.codes(*good, **more))

