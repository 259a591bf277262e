"""Documents that went wrong somewhere: none makes the translation raise, and what it makes of good ones is good."""

import copy
import random
import unittest

import yaml

from meshd.model.snapshot import Node
from meshd_plugins.istio.gateway_api.status import status
from tests.istio.gateway_api import case
from tests.istio.gateway_api.case import SERVICES, Loaded
from tests.istio.gateway_api.test_page import BLOCKS
from tests.istio.gateway_api.test_redirects import REWRITES, redirects

TEXT = "---\n" + BLOCKS[0] + "---\n" + BLOCKS[1] + case.gateway(
    "[{name: a, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: c}]}}, {name: b, port: 90, protocol: TCP}]",
    name="tls", more="  allowedListeners: {namespaces: {from: All}}\n  infrastructure: {labels: {a: b}}\n",
) + case.route(REWRITES, name="w") + case.route(redirects(a="scheme: https, port: 8443"), name="x") + case.route(
    "- matches: [{method: {service: a.B, method: C}, headers: [{name: a, value: b}]}]\n"
    "  backendRefs: [{name: v1, port: 80}]", name="g", kind="GRPCRoute", hostnames="[g.example.com]",
) + case.route("- backendRefs: [{name: v2, namespace: orders, port: 80, weight: 3}]", name="t", kind="TCPRoute",
               parents="[{name: tls, sectionName: b}]") + f"""---
{case.API}kind: ListenerSet
metadata: {{name: s}}
spec: {{parentRef: {{name: tls}}, listeners: [{{name: a, port: 91, protocol: HTTP}}]}}
---
{case.API}kind: ReferenceGrant
metadata: {{name: g, namespace: orders}}
spec:
  from: [{{group: gateway.networking.k8s.io, kind: TCPRoute, namespace: default}}]
  to: [{{group: '', kind: Service}}]
---
{case.API}kind: BackendTLSPolicy
metadata: {{name: p}}
spec:
  targetRefs: [{{group: '', kind: Service, name: v3}}]
  validation: {{hostname: a.b, wellKnownCACertificates: System}}
---
apiVersion: v1
kind: Secret
metadata: {{name: c}}
data: {{tls.crt: YQ==}}
""" + SERVICES
WORDS = (
    "", "a", "*", "*.a.com", "Same", "Service", "/", "//", "/a%", "(", -1, 0, 1, 2**40, 1.5, True, None, [], {}, ["a"],
    {"a": "b"}, [{"name": "a"}], "1h", "0s", "x" * 300, "é",
)


def places(value, found):
    """Gather (container, key) of everything below ``value``."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in list(items):
        found.append((value, key))
        places(one, found)
    return found


def mutated(documents, chance):
    made = copy.deepcopy(documents)
    for _ in range(chance.choice((1, 1, 2, 4))):
        container, key = chance.choice(places(made, []))
        verb = chance.choice(("drop", "word", "word", "copy"))
        if verb == "drop":
            del container[key]
        elif verb == "copy" and isinstance(container, list):
            container.append(copy.deepcopy(container[key]))
        else:
            container[key] = copy.deepcopy(chance.choice(WORDS))
    return [one for one in made if one is not None]


class Mutations(unittest.TestCase):
    def test_nothing_raises(self):
        documents = list(yaml.safe_load_all(TEXT))
        chance = random.Random(7)
        node = Node(labels=(("edge", "partners"), ("a", "b")))
        good = 0
        for _ in range(100):
            text = "---\n" + yaml.safe_dump_all(mutated(documents, chance), sort_keys=False)
            with self.subTest(text=text):
                loaded = Loaded(text, node, services="")
                good += not loaded.errors
                for one in status(loaded.plan):
                    self.assertIn("kind", one)
        self.assertGreater(good, 5)

    def test_the_documents_themselves_are_good(self):
        loaded = Loaded(TEXT, Node(labels=(("edge", "partners"), ("a", "b"))), services="")
        self.assertEqual(loaded.errors, [])
        self.assertEqual(sorted(one.address for one in loaded.snapshot.listeners),
                         ["0.0.0.0:8080", "0.0.0.0:90", "0.0.0.0:91", "10.0.0.4:80"])
