"""TCPRoute and TLSRoute: their conditions, and the chains of connections. ListenerSets: more listeners of a Gateway."""

import unittest

from tests.istio.gateway_api.case import API, Loaded, conditions, gateway, route, secret

TO_1 = "- backendRefs: [{name: v1, port: 80}]"
TCP = "[{name: tcp, port: 9000, protocol: TCP}]"
TLS = "[{name: tls, port: 443, protocol: TLS, hostname: '*.example.com', tls: {mode: Passthrough}}]"


class Connections(unittest.TestCase):
    def test_a_tcp_route(self):
        loaded = Loaded(gateway(TCP) + route(TO_1, kind="TCPRoute"))
        self.assertEqual(loaded.parent(), {"Accepted": ("True", "Accepted"), "ResolvedRefs": ("True", "ResolvedRefs")})
        self.assertEqual(loaded.listener_status("tcp")["attachedRoutes"], 1)

    def test_a_tcp_route_at_a_listener_of_requests(self):
        loaded = Loaded(gateway() + route(TO_1, kind="TCPRoute"))
        self.assertEqual(loaded.parent()["Accepted"], ("False", "NotAllowedByListeners"))
        self.assertEqual(loaded.listener_status()["attachedRoutes"], 0)

    def test_a_tcp_route_takes_listener_and_port(self):
        text = gateway("[{name: a, port: 9000, protocol: TCP}, {name: b, port: 9001, protocol: TCP}]")
        loaded = Loaded(text + route(TO_1, kind="TCPRoute", parents="[{name: web, sectionName: b, port: 9001}]"))
        self.assertEqual([loaded.listener_status(name)["attachedRoutes"] for name in "ab"], [0, 1])

    def test_references_of_tcp_routes(self):
        for ref, reason in (("{name: nobody, port: 80}", "BackendNotFound"), ("{name: v1, port: 80}", "ResolvedRefs"),
                            ("{name: orders, namespace: orders, port: 80}", "RefNotPermitted"),
                            ("{group: x.io, kind: Odd, name: v1}", "InvalidKind")):
            loaded = Loaded(gateway(TCP) + route(f"- backendRefs: [{ref}]", kind="TCPRoute"))
            self.assertEqual(loaded.parent()["ResolvedRefs"][1], reason)

    def test_tls_routes_by_hostname(self):
        for hosts, reason in (("[a.example.com]", "Accepted"), ("['*.example.com']", "Accepted"),
                              ("[example.com]", "NoMatchingListenerHostname"), ("[]", "Accepted"),
                              ("[a.b.example.com, x.org]", "Accepted")):
            loaded = Loaded(gateway(TLS) + route(TO_1, kind="TLSRoute", hostnames=hosts))
            self.assertEqual(loaded.parent()["Accepted"][1], reason, hosts)

    def test_a_tls_route_at_a_listener_of_requests(self):
        loaded = Loaded(gateway() + route(TO_1, kind="TLSRoute", hostnames="[a.com]"))
        self.assertEqual(loaded.parent()["Accepted"], ("False", "NotAllowedByListeners"))

    def test_an_address_is_no_server_name(self):
        loaded = Loaded(gateway(TLS) + route(TO_1, kind="TLSRoute", hostnames="['10.0.0.1']"))
        self.assertEqual(loaded.errors, ["spec.hostnames: expected no IP address, got '10.0.0.1'"])

    def chains(self, *texts, port=443):
        """Return {server names: (cluster or [(cluster, weight)], secrets or None)} of a listener's chains."""
        found = {}
        for one in Loaded("".join(texts)).listener(port).chains:
            plan = one.network_filters[-1].config
            where = plan.cluster or [(share.cluster, share.weight) for share in plan.weighted_clusters]
            secrets = one.tls and [certificate.secret for certificate in one.tls.certificates]
            found[one.match.server_names] = where, secrets
        return found

    def test_a_tcp_listener_takes_everything(self):
        found = self.chains(gateway(TCP), route(TO_1, kind="TCPRoute"), port=9000)
        self.assertEqual(found, {(): ("outbound|80||v1.default.svc.cluster.local", None)})

    def test_shares_and_those_of_nobody(self):
        refs = ("- backendRefs: [{name: v1, port: 80, weight: 3}, {name: nobody, port: 80}, "
                "{name: v2, port: 80, weight: 0}]")
        found = self.chains(gateway(TCP), route(refs, kind="TCPRoute"), port=9000)
        self.assertEqual(found[()][0], [("outbound|80||v1.default.svc.cluster.local", 3), ("BlackHoleCluster", 1)])

    def test_tls_passes_through_by_hostname(self):
        found = self.chains(gateway(TLS), route(TO_1, kind="TLSRoute", hostnames="[a.example.com, b.example.com]"),
                            route("- backendRefs: [{name: v2, port: 80}]", "s", "TLSRoute",
                                  hostnames="[a.example.com, '*.example.com']"))
        self.assertEqual({names: where.partition("||")[2].partition(".")[0] for names, (where, _) in found.items()},
                         {("a.example.com", "b.example.com"): "v1", ("*.example.com",): "v2"})

    def test_tls_that_ends_here_is_bytes(self):
        listener = "[{name: tls, port: 443, protocol: TLS, tls: {certificateRefs: [{name: cert}]}}]"
        found = self.chains(gateway(listener), secret(), route(TO_1, kind="TLSRoute", hostnames="[a.com]"))
        self.assertEqual(found[("a.com",)][1], ["cert"])

    def test_without_routes_nothing_is_bound(self):
        self.assertEqual(Loaded(gateway(TCP)).snapshot.listeners, ())

    def test_udp_routes_are_left_alone(self):
        loaded = Loaded(route(TO_1, kind="UDPRoute"))
        self.assertEqual((loaded.errors, loaded.plan.routes), ([], []))


def listener_set(listeners, name="more", namespace="default", parent="{name: web, namespace: default}"):
    return (f"---\n{API}kind: ListenerSet\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
            f"spec: {{parentRef: {parent}, listeners: {listeners}}}\n")


def allows(namespaces):
    return gateway(more=f"  allowedListeners: {{namespaces: {namespaces}}}\n")


A = "[{name: a, port: 80, protocol: HTTP, hostname: a.com}]"
TO_SET = "[{kind: ListenerSet, name: more}]"


class ListenerSets(unittest.TestCase):
    def test_its_listeners_are_served_with_its_own_routes(self):
        loaded = Loaded(allows("{from: Same}") + listener_set(A) + route(TO_1, parents=TO_SET) + route(
            "- backendRefs: [{name: v2, port: 80}]", name="g"))
        self.assertEqual([loaded.where(host=host) for host in ("a.com", "b.com")], ["v1", "v2"])
        self.assertEqual(loaded.parent()["Accepted"], ("True", "Accepted"))
        self.assertEqual(loaded.status_of("web")["attachedListenerSets"], 1)
        self.assertEqual(conditions(loaded.status_of("more")), {
            "Accepted": ("True", "Accepted"), "Programmed": ("True", "Programmed"),
            "ResolvedRefs": ("True", "ResolvedRefs")})

    def test_which_namespaces_may_attach(self):
        label = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: other, labels: {team: a}}\n"
        for allowed, source, reason in (
            ("{}", "default", "NotAllowed"), ("{from: None}", "default", "NotAllowed"),
            ("{from: Same}", "default", "Accepted"), ("{from: Same}", "other", "NotAllowed"),
            ("{from: All}", "other", "Accepted"),
            ("{from: Selector, selector: {matchLabels: {team: a}}}", "other", "Accepted"),
            ("{from: Selector, selector: {matchLabels: {team: b}}}", "other", "NotAllowed"),
        ):
            loaded = Loaded(label + allows(allowed) + listener_set(A, namespace=source))
            found = conditions(loaded.status_of("more"))
            self.assertEqual(found["Accepted"][1], reason, (allowed, source))
            self.assertEqual(loaded.status_of("web")["attachedListenerSets"], int(reason == "Accepted"))

    def test_none_may_attach_by_default(self):
        loaded = Loaded(gateway() + listener_set(A))
        self.assertEqual(conditions(loaded.status_of("more"))["Accepted"], ("False", "NotAllowed"))

    def test_the_gateways_listener_stays_in_a_conflict(self):
        for listener, reason in (("{name: a, port: 80, protocol: HTTP}", "HostnameConflict"),
                                 ("{name: a, port: 80, protocol: TCP}", "ProtocolConflict")):
            loaded = Loaded(allows("{from: Same}") + listener_set(f"[{listener}]"))
            found = conditions(loaded.listener_status("a", "more"))
            self.assertEqual((found["Accepted"], found["Programmed"], found["Conflicted"]),
                             (("False", reason), ("False", reason), ("True", reason)))
            self.assertEqual(conditions(loaded.status_of("more"))["Programmed"], ("False", "ListenersNotValid"))
            self.assertEqual(conditions(loaded.status_of("web"))["Accepted"], ("True", "Accepted"))

    def test_the_earlier_sets_listener_stays_in_a_conflict(self):
        loaded = Loaded(allows("{from: Same}") + listener_set(A, "b") + listener_set(A, "a"))
        self.assertEqual([conditions(loaded.listener_status("a", name))["Conflicted"][0] for name in ("a", "b")],
                         ["False", "True"])

    def test_a_set_of_a_gateway_that_is_not_accepted(self):
        text = gateway(more="  allowedListeners: {namespaces: {from: All}}\n"
                            "  infrastructure: {parametersRef: {group: x.io, kind: Odd, name: p}}\n")
        loaded = Loaded(text + listener_set(A))
        self.assertEqual(conditions(loaded.status_of("more"))["Accepted"], ("False", "ParentNotAccepted"))

    def test_a_route_to_the_gateway_is_not_for_its_sets(self):
        loaded = Loaded(allows("{from: Same}") + listener_set(A) + route(TO_1))
        self.assertEqual([loaded.where(host=host) for host in ("a.com", "b.com")], [404, "v1"])
