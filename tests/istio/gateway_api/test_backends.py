"""Backends: shares, references that do not resolve, namespaces and grants, timeouts and retries."""

import unittest
from collections import Counter

from tests.istio.gateway_api.case import API, Loaded, gateway, route, service


def grant(namespace="orders", source="default", kind="HTTPRoute", to="{group: '', kind: Service}", name="g"):
    return (f"---\n{API}kind: ReferenceGrant\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
            f"spec:\n  from: [{{group: gateway.networking.k8s.io, kind: {kind}, namespace: {source}}}]\n  to: [{to}]\n")


def shares(*pairs):
    found = (f"{{name: {name}, port: 80, weight: {weight}}}" for name, weight in pairs)
    return f"- backendRefs: [{', '.join(found)}]"


ORDERS = "- backendRefs: [{name: orders, namespace: orders, port: 80}]"


class Shares(unittest.TestCase):
    def test_weights(self):
        answer = Loaded(gateway() + route(shares(("v1", 70), ("v2", 30), ("v3", 0)))).ask()
        self.assertEqual(answer.backends, {"v1": 70, "v2": 30})

    def test_without_weights_the_shares_are_equal(self):
        answer = Loaded(gateway() + route("- backendRefs: [{name: v1, port: 80}, {name: v2, port: 80}]")).ask()
        self.assertEqual(answer.backends, {"v1": 1, "v2": 1})

    def test_a_single_share_is_everything(self):
        self.assertEqual(Loaded(gateway() + route(shares(("v1", 7)))).where(), "v1")

    def test_a_single_share_of_nothing_is_500(self):
        self.assertEqual(Loaded(gateway() + route(shares(("v1", 0)))).where(), 500)

    def test_no_backends_are_500(self):
        text = "- matches: [{path: {value: /forward}}]\n  backendRefs: [{name: v1, port: 80}]\n" \
               "- matches: [{path: {value: /omitted}}]\n- matches: [{path: {value: /empty}}]\n  backendRefs: []\n"
        loaded = Loaded(gateway() + route(text))
        self.assertEqual([loaded.where(path) for path in ("/forward", "/omitted", "/empty")], ["v1", 500, 500])

    def test_no_rules_are_500(self):
        text = f"---\n{API}kind: HTTPRoute\nmetadata: {{name: r}}\nspec: {{parentRefs: [{{name: web}}]}}\n"
        self.assertEqual(Loaded(gateway() + text).where(), 500)

    def test_a_broken_share_is_500_for_its_part_of_the_requests(self):
        loaded = Loaded(gateway() + route(shares(("v1", 3), ("nobody", 1))))
        found = Counter(loaded.where() for _ in range(2000))
        self.assertEqual(set(found), {"v1", 500})
        self.assertAlmostEqual(found[500] / 2000, 0.25, delta=0.06)

    def test_a_service_without_endpoints_is_a_cluster_without_endpoints(self):
        loaded = Loaded(gateway() + route(shares(("v1", 1))))
        name = "outbound|80||v1.default.svc.cluster.local"
        cluster = next(one for one in loaded.snapshot.clusters if one.name == name)
        self.assertEqual((cluster.endpoints, cluster.missing), ((), False))


class References(unittest.TestCase):
    def refused(self, text, reason, rules="- backendRefs: [%s]"):
        loaded = Loaded(gateway() + route(rules % text))
        self.assertEqual(loaded.where(), 500)
        self.assertEqual(loaded.parent(), {"Accepted": ("True", "Accepted"), "ResolvedRefs": ("False", reason)})
        self.assertTrue(any(one.startswith("MSH0332 spec.rules[0].backendRefs[0]") for one in loaded.warnings))

    def test_a_service_that_is_not_there(self):
        self.refused("{name: nobody, port: 80}", "BackendNotFound")

    def test_a_port_that_is_not_there(self):
        self.refused("{name: v1, port: 81}", "BackendNotFound")

    def test_an_unknown_kind(self):
        self.refused("{group: unknown.example.com, kind: NonExistent, name: v1, port: 80}", "InvalidKind")

    def test_another_namespace_without_a_grant(self):
        self.refused("{name: orders, namespace: orders, port: 80}", "RefNotPermitted")

    def test_the_grant_is_asked_before_the_service(self):
        self.refused("{name: nobody, namespace: orders, port: 80}", "RefNotPermitted")

    def test_a_protocol_that_is_not_spoken(self):
        for protocol, reason in (("kubernetes.io/wss", "UnsupportedProtocol"), ("kubernetes.io/h2c", "ResolvedRefs"),
                                 ("kubernetes.io/ws", "ResolvedRefs")):
            ports = service("odd", ports=f"[{{port: 80, appProtocol: {protocol}}}]")
            loaded = Loaded(ports + gateway() + route("- backendRefs: [{name: odd, port: 80}]"))
            self.assertEqual((loaded.errors, loaded.parent()["ResolvedRefs"][1]), ([], reason))

    def test_a_host_of_the_mesh_as_istio_names_it(self):
        entry = ("---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: e}\nspec:\n"
                 "  hosts: [api.example.org]\n  ports: [{number: 80, name: http, protocol: HTTP}]\n  resolution: DNS\n")
        text = entry + gateway() + route("- backendRefs: [{group: networking.istio.io, kind: Hostname, "
                                         "name: %s, port: 80}]")
        self.assertEqual(Loaded(text % "api.example.org").where(), "api")
        self.assertEqual(Loaded(text % "other.example.org").where(), 500)

    def test_a_broken_rule_leaves_the_others_alone(self):
        text = "- matches: [{path: {value: /v2}}]\n  backendRefs: [{name: orders, namespace: orders, port: 80}]\n" \
               "- backendRefs: [{name: v1, port: 80}]"
        loaded = Loaded(gateway() + route(text))
        self.assertEqual([loaded.where("/v2"), loaded.where("/")], [500, "v1"])
        self.assertEqual(loaded.parent()["ResolvedRefs"], ("False", "RefNotPermitted"))


class Grants(unittest.TestCase):
    def where(self, *grants):
        loaded = Loaded(gateway() + route(ORDERS) + "".join(grants))
        return loaded.where(), loaded.parent()["ResolvedRefs"][1]

    def test_a_grant_for_all_services(self):
        self.assertEqual(self.where(grant()), ("orders", "ResolvedRefs"))

    def test_a_grant_for_this_service(self):
        self.assertEqual(self.where(grant(to="{group: '', kind: Service, name: orders}")), ("orders", "ResolvedRefs"))

    def test_a_grant_for_another_service(self):
        self.assertEqual(self.where(grant(to="{group: '', kind: Service, name: other}")), (500, "RefNotPermitted"))

    def test_a_grant_for_another_kind(self):
        self.assertEqual(self.where(grant(to="{group: '', kind: Secret}")), (500, "RefNotPermitted"))

    def test_a_grant_for_another_group(self):
        self.assertEqual(self.where(grant(to="{group: x.io, kind: Service}")), (500, "RefNotPermitted"))

    def test_a_grant_to_another_namespace(self):
        self.assertEqual(self.where(grant(source="elsewhere")), (500, "RefNotPermitted"))

    def test_a_grant_to_another_kind_of_routes(self):
        self.assertEqual(self.where(grant(kind="TCPRoute")), (500, "RefNotPermitted"))

    def test_a_grant_in_another_namespace(self):
        self.assertEqual(self.where(grant(namespace="default")), (500, "RefNotPermitted"))

    def test_one_of_several_grants_is_enough(self):
        self.assertEqual(self.where(grant(source="elsewhere"), grant(name="h")), ("orders", "ResolvedRefs"))


class Limits(unittest.TestCase):
    def plan(self, text):
        loaded = Loaded(gateway() + route(f"- backendRefs: [{{name: v1, port: 80}}]\n  {text}\n"))
        self.assertEqual(loaded.errors, [])
        return loaded.ask().exchange.plan

    def times(self, text):
        found = self.plan(f"timeouts: {{{text}}}").timeouts
        return found.request_s, found.per_try_s

    def test_without_timeouts_there_is_none(self):
        self.assertEqual(self.times(""), (0.0, 0.0))

    def test_the_request_timeout_is_the_whole(self):
        self.assertEqual(self.times("request: 500ms"), (0.5, 0.0))

    def test_zero_turns_it_off(self):
        self.assertEqual(self.times("request: 0s"), (0.0, 0.0))

    def test_the_backend_timeout_is_of_each_attempt(self):
        self.assertEqual(self.times("request: 1m, backendRequest: 500ms"), (60.0, 0.5))

    def test_a_backend_timeout_alone_is_of_the_whole_answer(self):
        self.assertEqual(self.times("backendRequest: 500ms"), (0.5, 0.0))

    def test_with_retries_a_backend_timeout_alone_is_of_each_attempt(self):
        found = self.plan("retry: {attempts: 3}\n  timeouts: {backendRequest: 500ms}").timeouts
        self.assertEqual((found.request_s, found.per_try_s), (0.0, 0.5))

    def retry(self, text):
        loaded = Loaded(gateway() + route(f"- backendRefs: [{{name: v1, port: 80}}]\n  {text}\n"))
        self.assertEqual(loaded.errors, [])
        host = next(one for one in loaded.listener().filters[-1].config.virtual_hosts)
        return host.routes[0].retry.config

    def test_retries(self):
        found = self.retry("retry: {codes: [500, 503], attempts: 2, backoff: 100ms}")
        self.assertEqual((found.attempts, found.status_codes, found.base_s), (2, (500, 503), 0.1))
        self.assertLessEqual({"connect-failure", "reset", "retriable-status-codes"}, set(found.retry_on))

    def test_retries_without_codes_are_of_faults_of_the_connection(self):
        found = self.retry("retry: {attempts: 4}")
        self.assertEqual((found.attempts, found.status_codes), (4, ()))
        self.assertNotIn("retriable-status-codes", found.retry_on)

    def test_session_persistence_is_a_named_warning(self):
        text = "- backendRefs: [{name: v1, port: 80}]\n  sessionPersistence: {type: Cookie, cookie: {name: s}}"
        loaded = Loaded(gateway() + route(text))
        self.assertTrue(any("sessions do not stay" in one for one in loaded.warnings))
