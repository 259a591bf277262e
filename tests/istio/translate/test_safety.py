"""What cannot be enforced yet and would be unsafe to leave out keeps a proxy from running."""

from unittest import TestCase

from meshd.config.load import load_documents
from meshd.config.source import Documents
from meshd.document.fault import Faults
from meshd.document.tree import parse_all
from meshd.errors import ConfigurationError
from meshd.registry import Registry

REGISTRY = Registry.load()
STRICT = "kind: PeerAuthentication\nmetadata: {name: a%s}\nspec: {%s mtls: {mode: %s}}\n"
DENY = "kind: AuthorizationPolicy\nmetadata: {name: a%s}\nspec: {%s action: %s, rules: [{}]}\n"
TOKEN = "kind: RequestAuthentication\nmetadata: {name: a%s}\nspec: {%s jwtRules: [{issuer: %s}]}\n"


def codes(text, node="{role: sidecar, labels: {app: web}}"):
    """Return [(code, severity)] of the findings about safety of one document, for a node (None: nobody said)."""
    faults = Faults()
    roots = parse_all("a.yaml", f"apiVersion: security.istio.io/v1\n{text}".encode(), faults)
    if node is not None:
        roots += parse_all("mesh.yaml", f"node: {node}\n".encode(), faults)
    try:
        found = load_documents(Documents(tuple(roots), (), faults, True), REGISTRY).warnings
    except ConfigurationError as error:
        found = error.faults
    return [(one.code, one.severity) for one in found if one.code == "MSH0313"]


class SafetyTest(TestCase):
    def test_what_selects_this_node_refuses_the_configuration(self):
        for text in (STRICT % ("", "", "STRICT"), DENY % ("", "", "DENY"), DENY % ("", "", "ALLOW"),
                     TOKEN % ("", "", "x"), STRICT % ("", "selector: {matchLabels: {app: web}},", "STRICT"),
                     DENY % (", namespace: istio-system", "", "DENY")):
            with self.subTest(text):
                self.assertEqual(codes(text), [("MSH0313", "error")])

    def test_what_is_for_others_or_forbids_nothing_does_not(self):
        for text in (STRICT % ("", "", "PERMISSIVE"), STRICT % ("", "selector: {matchLabels: {app: db}},", "STRICT"),
                     DENY % (", namespace: other", "", "DENY"), DENY % ("", "", "AUDIT"),
                     DENY % (', annotations: {istio.io/dry-run: "true"}', "", "DENY")):
            with self.subTest(text):
                self.assertEqual(codes(text), [])

    def test_a_gateway_needs_no_mutual_tls_for_what_comes_in(self):
        self.assertEqual(codes(STRICT % ("", "", "STRICT"), "{role: ingress}"), [])

    def test_a_policy_of_a_target_is_taken_for_ours(self):
        text = DENY % ("", "targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: x}],", "DENY")
        self.assertEqual(codes(text, "{role: ingress}"), [("MSH0313", "error")])

    def test_without_a_native_file_nobody_knows_the_node_and_it_is_a_warning(self):
        self.assertEqual(codes(DENY % ("", "", "DENY"), None), [("MSH0313", "warning")])
