"""Conditions of classes, Gateways, listeners and routes, as the documents' owners would see them in a cluster."""

import unittest

from meshd.model.snapshot import Node
from tests.istio.gateway_api.case import API, AUTHORITY, Loaded, conditions, gateway, route, secret

TO_1 = "- backendRefs: [{name: v1, port: 80}]"
HTTP = "{name: http, port: 80, protocol: HTTP}"
OTHER = "[{name: web, namespace: default}]"


def klass(name, controller, more=""):
    return f"---\n{API}kind: GatewayClass\nmetadata: {{name: {name}}}\nspec: {{controllerName: {controller}{more}}}\n"


def https(ref="{name: cert}", name="https", more=""):
    return f"{{name: {name}, port: 443, protocol: HTTPS, tls: {{certificateRefs: [{ref}]}}{more}}}"


def namespace(name, labels=""):
    return f"---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{{labels}}}}}\n"


class Classes(unittest.TestCase):
    def test_ours_and_istios_are_accepted_and_others_left_alone(self):
        loaded = Loaded(klass("a", "meshd.io/gateway") + klass("b", "istio.io/gateway-controller")
                        + klass("c", "other.io/gateway"))
        self.assertEqual([conditions(loaded.status_of(name)) for name in "ab"],
                         [{"Accepted": ("True", "Accepted")}] * 2)
        self.assertRaises(StopIteration, loaded.status_of, "c")

    def test_unknown_parameters_are_not_accepted(self):
        loaded = Loaded(klass("a", "meshd.io/gateway", ", parametersRef: {group: x.io, kind: Odd, name: p}"))
        self.assertEqual(conditions(loaded.status_of("a")), {"Accepted": ("False", "InvalidParameters")})

    def where(self, name, *documents):
        return Loaded("".join(documents) + gateway().replace("gatewayClassName: meshd", f"gatewayClassName: {name}")
                      + route(TO_1))

    def test_meshd_and_istio_need_no_document(self):
        self.assertEqual([self.where(name).where() for name in ("meshd", "istio")], ["v1", "v1"])

    def test_a_class_of_ours_by_another_name(self):
        self.assertEqual(self.where("edge", klass("edge", "meshd.io/gateway")).where(), "v1")

    def test_gateways_of_other_controllers_are_not_served(self):
        loaded = self.where("other", klass("other", "other.io/gateway"))
        self.assertEqual((loaded.snapshot.listeners, loaded.status_of("r")["parents"]), ((), []))

    def test_a_class_that_is_not_there_is_said(self):
        loaded = self.where("nobody")
        self.assertEqual(loaded.snapshot.listeners, ())
        self.assertTrue(any("no GatewayClass 'nobody'" in one for one in loaded.warnings))

    def test_the_controller_stands_in_the_routes_status(self):
        loaded = self.where("istio")
        self.assertEqual(loaded.status_of("r")["parents"][0]["controllerName"], "istio.io/gateway-controller")


class Gateways(unittest.TestCase):
    def test_a_good_one(self):
        found = Loaded(gateway()).status_of("web")
        self.assertEqual(conditions(found), {"Accepted": ("True", "Accepted"), "Programmed": ("True", "Programmed"),
                                             "ResolvedRefs": ("True", "ResolvedRefs")})

    def test_only_unsupported_protocols(self):
        loaded = Loaded(gateway("[{name: http, port: 80, protocol: UDP}]"))
        self.assertEqual(conditions(loaded.status_of("web"))["Accepted"], ("False", "ListenersNotValid"))
        found = loaded.listener_status()
        self.assertEqual(conditions(found)["Accepted"], ("False", "UnsupportedProtocol"))
        self.assertEqual(found["supportedKinds"], [])

    def test_supported_and_unsupported_protocols(self):
        loaded = Loaded(gateway(f"[{HTTP}, {{name: odd, port: 81, protocol: x.io/Odd}}]"))
        self.assertEqual(conditions(loaded.status_of("web"))["Accepted"], ("True", "ListenersNotValid"))
        self.assertEqual([conditions(loaded.listener_status(name))["Accepted"] for name in ("http", "odd")],
                         [("True", "Accepted"), ("False", "UnsupportedProtocol")])

    def test_unknown_parameters(self):
        loaded = Loaded(gateway(more="  infrastructure: {parametersRef: {group: x.io, kind: Odd, name: p}}\n"))
        self.assertEqual(conditions(loaded.status_of("web")), {
            "Accepted": ("False", "InvalidParameters"), "Programmed": ("False", "Invalid"),
            "ResolvedRefs": ("True", "ResolvedRefs")})
        self.assertEqual(loaded.snapshot.listeners, ())

    def test_addresses_of_other_types(self):
        loaded = Loaded(gateway(more="  addresses: [{type: test/fake, value: a}]\n"))
        self.assertEqual(conditions(loaded.status_of("web"))["Accepted"], ("False", "UnsupportedAddress"))

    def test_an_address_is_listened_at(self):
        loaded = Loaded(gateway(more="  addresses: [{value: 127.0.0.2}, {type: IPAddress, value: '::1'}]\n"))
        self.assertEqual([one.address for one in loaded.snapshot.listeners], ["127.0.0.2:80", "[::1]:80"])

    def test_an_empty_address_is_all_of_them(self):
        loaded = Loaded(gateway(more="  addresses: [{type: IPAddress}]\n"))
        self.assertEqual([one.address for one in loaded.snapshot.listeners], ["0.0.0.0:80"])

    def test_ports_go_through_the_nodes_map(self):
        loaded = Loaded(gateway(), Node(ports=(("80", 8080),)))
        self.assertEqual([one.address for one in loaded.snapshot.listeners], ["0.0.0.0:8080"])


class Listeners(unittest.TestCase):
    def kinds(self, kinds):
        listener = f"{{name: http, port: 80, protocol: HTTP, allowedRoutes: {{kinds: {kinds}}}}}"
        found = Loaded(gateway(f"[{listener}]")).listener_status()
        return [one["kind"] for one in found["supportedKinds"]], conditions(found)["ResolvedRefs"]

    def test_kinds(self):
        bad = ("False", "InvalidRouteKinds")
        for kinds, expected in (
            ("[]", (["HTTPRoute", "GRPCRoute"], ("True", "ResolvedRefs"))),
            ("[{kind: HTTPRoute}]", (["HTTPRoute"], ("True", "ResolvedRefs"))),
            ("[{kind: InvalidRoute}]", ([], bad)), ("[{kind: HTTPRoute}, {kind: InvalidRoute}]", (["HTTPRoute"], bad)),
            ("[{kind: TCPRoute}]", ([], bad)), ("[{group: x.io, kind: HTTPRoute}]", ([], bad)),
        ):
            self.assertEqual(self.kinds(kinds), expected, kinds)

    def test_attached_routes_are_those_that_are_accepted(self):
        listener = "{name: http, port: 80, protocol: HTTP, hostname: foo.com}"
        loaded = Loaded(gateway(f"[{listener}]") + route(TO_1, name="a") + route(TO_1, name="b", hostnames="[foo.com]")
                        + route(TO_1, name="c", hostnames="[bar.com]"))
        self.assertEqual(loaded.listener_status()["attachedRoutes"], 2)

    def test_attached_routes_of_two_listeners(self):
        loaded = Loaded(gateway(f"[{HTTP}, {{name: b, port: 8080, protocol: HTTP}}]")
                        + route(TO_1, parents="[{name: web, sectionName: b}]"))
        self.assertEqual([loaded.listener_status(name)["attachedRoutes"] for name in ("http", "b")], [0, 1])

    def test_routes_attach_to_a_listener_that_is_not_resolved(self):
        loaded = Loaded(gateway(f"[{https()}]") + route("- backendRefs: [{name: nobody, port: 80}]"))
        found = loaded.listener_status("https")
        self.assertEqual(found["attachedRoutes"], 1)
        self.assertEqual((conditions(found)["Programmed"][0], conditions(found)["ResolvedRefs"][0]), ("False", "False"))

    def certificate(self, ref, *documents):
        loaded = Loaded(gateway(f"[{https(ref)}]") + "".join(documents))
        return conditions(loaded.listener_status("https"))["ResolvedRefs"]

    def test_certificates(self):
        bad = ("False", "InvalidCertificateRef")
        for ref, documents, expected in (
            ("{name: cert}", (secret(),), ("True", "ResolvedRefs")),
            ("{name: cert}", (), bad), ("{name: cert}", (secret(crt="x"),), bad),
            ("{name: cert}", (secret(key="x"),), bad), ("{group: x.io, kind: Secret, name: cert}", (secret(),), bad),
            ("{kind: Odd, name: cert}", (secret(),), bad),
        ):
            self.assertEqual(self.certificate(ref, *documents), expected, ref)

    def test_certificates_of_another_namespace(self):
        def grant(to="{group: '', kind: Secret}", source="default"):
            return (f"---\n{API}kind: ReferenceGrant\nmetadata: {{name: g, namespace: certs}}\nspec:\n"
                    f"  from: [{{group: gateway.networking.k8s.io, kind: Gateway, namespace: {source}}}]\n"
                    f"  to: [{to}]\n")

        ref, there = "{name: cert, namespace: certs}", secret(namespace="certs")
        bad = ("False", "RefNotPermitted")
        for grants, expected in (
            ("", bad), (grant(), ("True", "ResolvedRefs")), (grant("{group: '', kind: Secret, name: cert}"),
                                                             ("True", "ResolvedRefs")),
            (grant("{group: '', kind: Secret, name: other}"), bad), (grant("{group: '', kind: Service}"), bad),
            (grant(source="other"), bad),
        ):
            self.assertEqual(self.certificate(ref, there, grants), expected, grants)

    def test_https_is_served_by_the_secret_of_its_name(self):
        more = ", hostname: '%s'"
        text = f"[{https(more=more % 'a.com')}, {https(name='rest', more=more % '*.com')}]"
        loaded = Loaded(gateway(text) + secret() + route(TO_1))
        found = conditions(loaded.listener_status("https"))
        self.assertEqual((found["Accepted"], found["Programmed"]), (("True", "Accepted"), ("True", "Programmed")))
        chains = loaded.listener(443).chains
        self.assertEqual([(one.match.server_names, one.tls.certificates[0].secret) for one in chains],
                         [(("a.com",), "cert"), (("*.com",), "cert")])
        self.assertEqual([[host.domains for host in one.filters[-1].config.virtual_hosts] for one in chains],
                         [[("a.com",)], [("*.com",)]])

    def test_what_cannot_be_served_yet_is_pending_and_not_bound(self):
        options = "{name: https, port: 443, protocol: HTTPS, tls: {options: {a.io/b: c}}}"
        frontend = ("  tls: {frontend: {default: {validation: {mode: AllowInsecureFallback, caCertificateRefs: "
                    "[{group: '', kind: ConfigMap, name: ca}]}}}}\n")
        for text in (gateway(f"[{options}]"), gateway(f"[{https()}]", more=frontend)):
            loaded = Loaded(text + secret() + AUTHORITY)
            self.assertEqual(conditions(loaded.listener_status("https"))["Programmed"], ("False", "Pending"))
            self.assertTrue([one for one in loaded.warnings if "this listener is not bound" in one])
            self.assertEqual(loaded.snapshot.listeners, ())

    def test_https_without_tls(self):
        found = Loaded(gateway("[{name: http, port: 443, protocol: HTTPS}]")).listener_status()
        self.assertEqual(conditions(found)["Accepted"], ("False", "UnsupportedValue"))

    def conflicts(self, text):
        loaded = Loaded(gateway(text) + secret())
        return [conditions(one)["Conflicted"] for one in loaded.status_of("web")["listeners"]], loaded

    def test_protocols_that_cannot_share_a_port_are_all_out(self):
        for text in (f"[{HTTP}, {https(name='b').replace('443', '80')}]",
                     f"[{HTTP}, {{name: b, port: 80, protocol: TCP}}]"):
            found, loaded = self.conflicts(text)
            self.assertEqual(found, [("True", "ProtocolConflict")] * 2)
            self.assertEqual(conditions(loaded.listener_status())["Programmed"], ("False", "ProtocolConflict"))
            self.assertEqual(loaded.snapshot.listeners, ())

    def test_https_and_tls_of_one_hostname_are_out(self):
        tls = "{name: b, port: 443, protocol: TLS, hostname: a.com, tls: {mode: Passthrough}}"
        host = ", hostname: %s"
        for name, expected in (("a.com", ("True", "HostnameConflict")), ("b.com", ("False", "NoConflicts"))):
            self.assertEqual(self.conflicts(f"[{https(more=host % name)}, {tls}]")[0], [expected] * 2)

    def test_hostnames_that_overlap_are_marked_where_tls_ends(self):
        text = ", ".join(https(name=name, more=f", hostname: '{host}'") for name, host in (
            ("a", "foo.example.com"), ("b", "foo.example.org"), ("c", "*.example.com")))
        loaded = Loaded(gateway(f"[{text}]") + secret())
        found = [conditions(loaded.listener_status(name)).get("OverlappingTLSConfig") for name in "abc"]
        self.assertEqual(found, [("True", "OverlappingHostnames"), None, ("True", "OverlappingHostnames")])

    def test_a_conflict_leaves_other_ports_alone(self):
        text = f"[{HTTP}, {{name: b, port: 80, protocol: TCP}}, {{name: c, port: 81, protocol: HTTP}}]"
        found, loaded = self.conflicts(text)
        self.assertEqual(found[2], ("False", "NoConflicts"))
        self.assertEqual(conditions(loaded.status_of("web"))["Accepted"], ("True", "ListenersNotValid"))
        self.assertEqual([one.address for one in loaded.snapshot.listeners], ["0.0.0.0:81"])


class Parents(unittest.TestCase):
    def accepted(self, text, name="r"):
        return Loaded(text).parent(name)["Accepted"]

    def test_a_good_one(self):
        self.assertEqual(Loaded(gateway() + route(TO_1)).parent(), {
            "Accepted": ("True", "Accepted"), "ResolvedRefs": ("True", "ResolvedRefs")})

    def test_no_such_listener(self):
        for ref in ("sectionName: nobody", "port: 81", "sectionName: http, port: 81", "sectionName: nobody, port: 80"):
            text = gateway() + route(TO_1, parents=f"[{{name: web, {ref}}}]")
            self.assertEqual(self.accepted(text), ("False", "NoMatchingParent"), ref)

    def test_listener_and_port_together(self):
        text = gateway() + route(TO_1, parents="[{name: web, sectionName: http, port: 80}]")
        self.assertEqual(self.accepted(text), ("True", "Accepted"))

    def test_a_gateway_that_is_not_there(self):
        loaded = Loaded(route(TO_1))
        self.assertEqual(loaded.parent()["Accepted"], ("False", "NoMatchingParent"))
        self.assertTrue(any(one.startswith("MSH0331 spec.parentRefs[0]") for one in loaded.warnings))

    def test_a_parent_of_an_unknown_kind(self):
        text = route(TO_1, parents="[{group: x.io, kind: Odd, name: web}]")
        self.assertEqual(self.accepted(text), ("False", "NoMatchingParent"))

    def test_kinds_that_a_listener_does_not_take(self):
        text = gateway("[{name: tls, port: 443, protocol: TLS, tls: {mode: Passthrough}}]") + route(TO_1)
        self.assertEqual(self.accepted(text), ("False", "NotAllowedByListeners"))

    def test_a_kind_that_is_not_allowed(self):
        listener = "{name: http, port: 80, protocol: HTTP, allowedRoutes: {kinds: [{kind: GRPCRoute}]}}"
        loaded = Loaded(gateway(f"[{listener}]") + route(TO_1))
        self.assertEqual(loaded.parent()["Accepted"], ("False", "NotAllowedByListeners"))
        self.assertEqual((loaded.listener_status()["attachedRoutes"], loaded.where()), (0, 404))

    def test_each_parent_has_conditions_of_its_own(self):
        text = gateway() + gateway(name="web2", listeners="[{name: http, port: 81, protocol: HTTP, hostname: a.com}]")
        loaded = Loaded(text + route(TO_1, parents="[{name: web}, {name: web2}]", hostnames="[b.com]"))
        self.assertEqual([loaded.parent(place=place)["Accepted"] for place in (0, 1)],
                         [("True", "Accepted"), ("False", "NoMatchingListenerHostname")])
        self.assertEqual(loaded.status_of("r")["parents"][1]["parentRef"], {
            "group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": "default", "name": "web2"})

    def test_two_gateways_at_two_ports(self):
        text = gateway() + gateway(name="web2", listeners="[{name: http, port: 81, protocol: HTTP}]")
        loaded = Loaded(text + route(TO_1, parents="[{name: web}, {name: web2}]"))
        self.assertEqual([loaded.where(port=port) for port in (80, 81)], ["v1", "v1"])

    def test_a_route_without_parents_goes_nowhere(self):
        loaded = Loaded(gateway() + route(TO_1, parents="[]"))
        self.assertEqual((loaded.status_of("r")["parents"], loaded.where()), ([], 404))


class Namespaces(unittest.TestCase):
    def loaded(self, allowed, source="other", labels=""):
        listener = f"{{name: http, port: 80, protocol: HTTP, allowedRoutes: {{namespaces: {allowed}}}}}"
        return Loaded(gateway(f"[{listener}]") + namespace("other", labels)
                      + route("- backendRefs: [{name: v1, namespace: other, port: 80}]", parents=OTHER,
                              namespace=source)
                      + "---\napiVersion: v1\nkind: Service\nmetadata: {name: v1, namespace: other}\n"
                        "spec: {ports: [{port: 80}]}\n")

    def where(self, *given, **named):
        loaded = self.loaded(*given, **named)
        return loaded.where(), loaded.parent()["Accepted"][1]

    def test_namespaces(self):
        refused = (404, "NotAllowedByListeners")
        taken = ("v1", "Accepted")
        for allowed, labels, expected in (
            ("{}", "", refused), ("{from: Same}", "", refused), ("{from: All}", "", taken),
            ("{from: Selector, selector: {matchLabels: {team: a}}}", "team: a", taken),
            ("{from: Selector, selector: {matchLabels: {team: a}}}", "team: b", refused),
            ("{from: Selector, selector: {matchLabels: {kubernetes.io/metadata.name: other}}}", "", taken),
            ("{from: Selector, selector: {matchExpressions: [{key: team, operator: In, values: [a, b]}]}}", "team: b",
             taken),
            ("{from: Selector, selector: {matchExpressions: [{key: team, operator: NotIn, values: [a]}]}}", "team: a",
             refused),
            ("{from: Selector, selector: {matchExpressions: [{key: team, operator: NotIn, values: [a]}]}}", "", taken),
            ("{from: Selector, selector: {matchExpressions: [{key: team, operator: Exists}]}}", "", refused),
            ("{from: Selector, selector: {matchExpressions: [{key: team, operator: DoesNotExist}]}}", "", taken),
            ("{from: Selector, selector: {}}", "", taken),
        ):
            self.assertEqual(self.where(allowed, labels=labels), expected, (allowed, labels))

    def test_no_namespace_is_the_gateways_own(self):
        loaded = Loaded(gateway() + route(TO_1))
        self.assertEqual(loaded.where(), "v1")

    def test_a_parent_of_another_namespace_must_be_named(self):
        text = gateway("[{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]") \
            + route(TO_1, namespace="other")
        self.assertEqual(Loaded(text).parent()["Accepted"], ("False", "NoMatchingParent"))


class Nodes(unittest.TestCase):
    def ports(self, node, **named):
        return [one.address for one in Loaded(gateway(**named), node).snapshot.listeners]

    def test_sidecars_and_egress_nodes_serve_no_gateway(self):
        for role in ("sidecar", "egress"):
            self.assertEqual(self.ports(Node(role=role)), [])

    def test_the_infrastructures_labels_choose_nodes(self):
        more = "  infrastructure: {labels: {edge: a}}\n"
        self.assertEqual(self.ports(Node(), more=more), [])
        self.assertEqual(self.ports(Node(labels=(("edge", "a"), ("x", "y"))), more=more), ["0.0.0.0:80"])

    def test_the_annotation_stands_in_their_place(self):
        text = gateway(more="  infrastructure: {labels: {edge: a}}\n").replace(
            "namespace: default}", "namespace: default, annotations: {meshd.io/node-selector: 'edge=b, zone=1'}}")
        for labels, count in (((("edge", "b"), ("zone", "1")), 1), ((("edge", "b"),), 0), ((("edge", "a"),), 0)):
            self.assertEqual(len(Loaded(text, Node(labels=labels)).snapshot.listeners), count)

    def test_a_gateway_of_another_node_is_neither_programmed_nor_refused(self):
        loaded = Loaded(gateway(more="  infrastructure: {labels: {edge: a}}\n") + route(TO_1))
        self.assertEqual(conditions(loaded.status_of("web"))["Programmed"], ("Unknown", "Pending"))
        self.assertEqual(loaded.parent()["Accepted"], ("True", "Accepted"))

    def test_gateways_of_two_nodes_do_not_conflict(self):
        text = gateway(more="  infrastructure: {labels: {edge: a}}\n") + gateway(
            name="web2", more="  infrastructure: {labels: {edge: b}}\n")
        loaded = Loaded(text, Node(labels=(("edge", "b"),)))
        self.assertEqual([conditions(loaded.listener_status(name=name))["Conflicted"] for name in ("web", "web2")],
                         [("False", "NoConflicts")] * 2)
