"""BackendTLSPolicy towards backends, and the certificates that a Gateway's listeners ask of clients."""

import unittest

from tests.istio.gateway_api.case import API, AUTHORITY, Loaded, conditions, gateway, route, secret, service

TO_1 = "- backendRefs: [{name: v1, port: 80}]"
POLICY = f"""---
{API}kind: BackendTLSPolicy
metadata: {{name: p}}
spec:
  targetRefs: [{{group: '', kind: Service, name: v1}}]
  validation: {{hostname: v1.example, wellKnownCACertificates: System}}
"""
SYSTEM = "wellKnownCACertificates: System"
CA = "caCertificateRefs: [{group: '', kind: ConfigMap, name: ca}]"
NAME = "outbound|80||v1.default.svc.cluster.local"
HTTPS = "{name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: cert}]}}"
ASKED = "  tls: {frontend: {%s: %s}}\n"
VALIDATION = "{validation: {caCertificateRefs: [{group: '', kind: ConfigMap, name: ca%s}]%s}}"


def cluster(loaded, name=NAME):
    """Return the native cluster of the only backend."""
    return next(one for one in loaded.snapshot.clusters if one.name == name)


def towards(text, more=""):
    """Return (what was loaded, the ``tls`` of the backend)."""
    loaded = Loaded(gateway() + route(TO_1) + text + more)
    assert not loaded.errors, loaded.errors
    return loaded, cluster(loaded).tls


def state(loaded, name="p"):
    """Return {type: (status, reason)} of a policy."""
    return conditions({"conditions": loaded.status_of(name)["ancestors"][0]["conditions"]})


class Backends(unittest.TestCase):
    def test_the_hostname_is_asked_for_and_expected(self):
        loaded, tls = towards(POLICY)
        self.assertEqual((tls.sni, tls.auto_san_validation, tls.validation.system_roots, tls.certificate),
                         ("v1.example", True, True, None))
        self.assertEqual((loaded.where(), loaded.parent()["ResolvedRefs"]), ("v1", ("True", "ResolvedRefs")))
        self.assertEqual(state(loaded), {"ResolvedRefs": ("True", "ResolvedRefs"), "Accepted": ("True", "Accepted")})
        self.assertEqual(loaded.status_of("p")["ancestors"][0]["ancestorRef"]["name"], "web")

    def test_a_config_map_is_the_folder_of_its_name(self):
        loaded, tls = towards(POLICY.replace(SYSTEM, CA), AUTHORITY)
        self.assertEqual((tls.validation.secret, tls.validation.system_roots), ("ca", False))
        self.assertEqual(state(loaded)["Accepted"], ("True", "Accepted"))

    def test_names_take_the_place_of_the_hostname(self):
        names = "[{type: Hostname, hostname: b.example}, {type: URI, uri: 'spiffe://mesh/ns/a/sa/b'}]"
        _, tls = towards(POLICY.replace(SYSTEM, f"{SYSTEM}, subjectAltNames: {names}"))
        self.assertEqual([(one.type, one.exact) for one in tls.validation.subject_alt_names],
                         [("dns", "b.example"), ("uri", "spiffe://mesh/ns/a/sa/b")])
        self.assertEqual(tls.sni, "v1.example")

    def test_a_policy_of_one_port_holds_for_that_port(self):
        text = POLICY.replace("name: v1}", "name: two, sectionName: b}")
        ports = service("two", ports="[{name: a, port: 80}, {name: b, port: 81}]")
        rules = "- matches: [{path: {value: /a}}]\n  backendRefs: [{name: two, port: 80}]\n" \
                "- matches: [{path: {value: /b}}]\n  backendRefs: [{name: two, port: 81}]"
        loaded = Loaded(ports + gateway() + route(rules) + text)
        found = [cluster(loaded, f"outbound|{port}||two.default.svc.cluster.local").tls is None for port in (80, 81)]
        self.assertEqual(found, [True, False])

    def test_the_policy_of_a_port_goes_before_that_of_all(self):
        own = POLICY.replace("name: p}", "name: a}").replace("v1.example", "own.example").replace(
            "name: v1}", "name: v1, sectionName: http}")
        self.assertEqual(towards(POLICY, own)[1].sni, "own.example")

    def test_it_goes_before_the_rule_of_the_host(self):
        rule = ("---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: d}\n"
                "spec: {host: v1.default.svc.cluster.local, trafficPolicy: {tls: {mode: SIMPLE, sni: rule.example}}}\n")
        self.assertEqual(towards(POLICY, rule)[1].sni, "v1.example")

    def test_a_port_that_wants_tls_has_it_from_a_policy(self):
        wss = service("w", ports="[{name: a, port: 80, appProtocol: kubernetes.io/wss}]")
        text = wss + gateway() + route("- backendRefs: [{name: w, port: 80}]")
        self.assertEqual(Loaded(text).where(), 500)
        self.assertEqual(Loaded(text + POLICY.replace("name: v1}", "name: w}")).where(), "w")

    def test_a_target_that_is_not_there(self):
        self.assertEqual(state(Loaded(POLICY.replace("name: v1}", "name: nobody}")))["Accepted"],
                         ("False", "TargetNotFound"))

    def test_of_two_policies_for_one_target_the_first_holds(self):
        loaded, tls = towards(POLICY.replace("name: p}", "name: q}").replace("v1.example", "q.example"), POLICY)
        self.assertEqual([state(loaded, name)["Accepted"] for name in ("p", "q")],
                         [("True", "Accepted"), ("False", "Conflicted")])
        self.assertEqual(tls.sni, "v1.example")
        old = POLICY.replace("name: p}", "name: q, creationTimestamp: '2020-01-01T00:00:00Z'}").replace(
            "v1.example", "q.example")
        self.assertEqual(towards(old, POLICY)[1].sni, "q.example")


class BadPolicies(unittest.TestCase):
    """What was to be encrypted is not sent in plain text."""

    def refused(self, text, resolved, accepted):
        loaded = Loaded(text + gateway() + route(TO_1))
        self.assertEqual((state(loaded)["ResolvedRefs"][1], state(loaded)["Accepted"][1]), (resolved, accepted))
        self.assertEqual((loaded.where(), loaded.parent()["ResolvedRefs"]), (500, ("False", "UnsupportedProtocol")))
        return loaded

    def test_authorities_that_are_not_there(self):
        self.refused(POLICY.replace(SYSTEM, CA), "InvalidCACertificateRef", "NoValidCACertificate")
        self.refused(POLICY.replace(SYSTEM, CA) + AUTHORITY.replace("-----BEGIN CERTIFICATE-----", "x"),
                     "InvalidCACertificateRef", "NoValidCACertificate")

    def test_authorities_of_another_kind(self):
        self.refused(POLICY.replace(SYSTEM, CA.replace("ConfigMap", "Secret")), "InvalidKind", "NoValidCACertificate")

    def test_authorities_that_nobody_knows(self):
        self.refused(POLICY.replace("System", "example.com/ours"), "ResolvedRefs", "Invalid")

    def test_one_good_authority_is_enough_and_the_others_are_named(self):
        two = "caCertificateRefs: [{group: '', kind: ConfigMap, name: gone}, {group: '', kind: ConfigMap, name: ca}]"
        loaded, tls = towards(POLICY.replace(SYSTEM, two), AUTHORITY)
        self.assertEqual((tls.validation.secret, state(loaded)), ("ca", {
            "ResolvedRefs": ("False", "InvalidCACertificateRef"), "Accepted": ("True", "Accepted")}))
        self.assertTrue(any("spec.validation.caCertificateRefs" in one for one in loaded.warnings))

    def test_other_routes_to_it_do_not_go_in_plain_text_either(self):
        rule = ("---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: g}\n"
                "spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 81, name: http, protocol: HTTP}, "
                "hosts: ['*']}]}\n---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: r}\n"
                "spec: {hosts: ['*'], gateways: [g], "
                "http: [{route: [{destination: {host: v1, port: {number: 80}}}]}]}\n")
        self.assertTrue(cluster(Loaded(POLICY.replace(SYSTEM, CA) + rule)).missing)
        self.assertEqual(cluster(Loaded(POLICY + rule)).tls.sni, "v1.example")


class Clients(unittest.TestCase):
    def chain(self, frontend, *more):
        loaded = Loaded(gateway(f"[{HTTPS}]", more=frontend) + secret() + route(TO_1) + "".join(more))
        return loaded, loaded.snapshot.listeners and loaded.listener(443).chains[0]

    def test_a_certificate_of_the_authority_is_asked_for(self):
        loaded, chain = self.chain(ASKED % ("default", VALIDATION % ("", "")), AUTHORITY)
        self.assertEqual((chain.tls.client_certificate, chain.tls.validation.secret), ("required", "ca"))
        self.assertEqual(chain.http.forward_client_cert_details, "sanitize_set")
        self.assertEqual(conditions(loaded.listener_status("https"))["Programmed"], ("True", "Programmed"))

    def test_a_port_has_its_own_in_place_of_the_default(self):
        one = "default: {}, perPort"
        _, chain = self.chain(ASKED % (one, f"[{{port: 443, tls: {VALIDATION % ('', '')}}}]"), AUTHORITY)
        self.assertEqual(chain.tls.client_certificate, "required")
        _, chain = self.chain(ASKED % (one, f"[{{port: 444, tls: {VALIDATION % ('', '')}}}]"), AUTHORITY)
        self.assertEqual(chain.tls.client_certificate, "none")

    def test_an_authority_that_is_not_there_lets_nobody_in(self):
        for validation, reason in ((VALIDATION % ("", ""), "InvalidCACertificateRef"),
                                   (VALIDATION.replace("ConfigMap", "Secret") % ("", ""), "InvalidCACertificateKind"),
                                   (VALIDATION % (", namespace: other", ""), "RefNotPermitted")):
            loaded, chain = self.chain(ASKED % ("default", validation))
            found = conditions(loaded.listener_status("https"))
            self.assertEqual((found["ResolvedRefs"], found["Programmed"], chain),
                             (("False", reason), ("False", "Invalid"), ()))
