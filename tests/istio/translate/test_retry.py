"""Retries and cross-origin rules with Istio's defaults."""

from unittest import TestCase

import yaml

from tests.istio.view import document, gateway, rules, service, view

TO_A = "route: [{destination: {host: a.test}}]"


def route(more="", *texts):
    """Return the route of one rule."""
    found = view(gateway(), service("a.test"), rules("r", f"- {TO_A}\n{more}"), *texts)
    return found.routes()[0], found


def retries(text, *texts):
    """Return the configuration of the retry policy, or None where it is off."""
    found, _ = route(f"  retries: {text}\n" if text else "", *texts)
    return None if found.retry.disabled else found.retry.config


SAFE = ("connect-failure", "refused-stream", "unavailable", "cancelled")
"""Istio's default conditions; retriable-status-codes has no codes there."""


class Defaults(TestCase):
    def test_two_more_attempts_on_what_no_server_has_processed(self):
        found = retries("")
        self.assertEqual((found.attempts, found.retry_on, found.methods),
                         (2, SAFE, ("*",)))

    def test_the_mesh_s_policy_takes_their_place(self):
        config = document("MeshConfig", "mesh", {"defaultHttpRetryPolicy": {
            "attempts": 5, "retryOn": "5xx", "perTryTimeout": "2s"}})
        found = retries("", config)
        self.assertEqual((found.attempts, found.retry_on), (5, ("5xx",)))
        self.assertEqual(route("", config)[0].per_try_timeout_s, 2.0)

    def test_the_mesh_s_policy_can_turn_them_off(self):
        config = document("MeshConfig", "mesh", {"defaultHttpRetryPolicy": {"attempts": 0}})
        self.assertIsNone(retries("", config))


class Given(TestCase):
    def test_attempts_alone_keep_the_default_conditions(self):
        found = retries("{attempts: 4}")
        self.assertEqual((found.attempts, found.retry_on), (4, SAFE))

    def test_no_attempts_turn_them_off_with_the_mesh_s_time_out(self):
        config = document("MeshConfig", "mesh", {"defaultHttpRetryPolicy": {"attempts": 2, "perTryTimeout": "2s"}})
        found, _ = route("  retries: {attempts: 0}\n", config)
        self.assertEqual((found.retry.disabled, found.per_try_timeout_s), (True, 0))

    def test_numbers_are_statuses(self):
        found = retries('{attempts: 1, retryOn: "gateway-error,409,reset"}')
        self.assertEqual((found.retry_on, found.status_codes),
                         (("gateway-error", "reset", "retriable-status-codes"), (409,)))

    def test_back_off_and_per_try_time_out(self):
        found, _ = route("  retries: {attempts: 1, perTryTimeout: 250ms, backoff: 10ms}\n")
        self.assertEqual((found.per_try_timeout_s, found.retry.config.base_s), (0.25, 0.01))

    def test_a_condition_on_fields_that_nothing_names_is_warned_of(self):
        found, seen = route('  retries: {attempts: 1, retryOn: "5xx,retriable-headers,unavailable"}\n')
        self.assertEqual(found.retry.config.retry_on, ("5xx", "unavailable"))
        self.assertEqual([one.code for one in seen.unsupported], ["MSH0118"])

    def test_the_same_host_and_other_localities(self):
        found = retries("{attempts: 1, retryIgnorePreviousHosts: false, retryRemoteLocalities: true}")
        self.assertEqual((found.previous_hosts, found.reselect_priority_every), (False, 2))
        plain = retries("{attempts: 1}")
        self.assertEqual((plain.previous_hosts, plain.reselect_priority_every), (True, 0))

    def test_a_host_without_rules_has_the_mesh_s(self):
        config = document("MeshConfig", "mesh", {"proxyHttpPort": 15007, "defaultHttpRetryPolicy": {
            "attempts": 5, "perTryTimeout": "2s"}})
        found = view(service("a.test"), config, role="sidecar").routes()[0]
        self.assertEqual((found.retry.config.attempts, found.per_try_timeout_s, found.timeout_s), (5, 2.0, 0.0))


class Hashed(TestCase):
    """A key's endpoint is asked again (Istio leaves out the predicate previous_hosts)."""

    KEY = "loadBalancer: {consistentHash: {httpHeaderName: x-user}}"

    def rule(self, policy="{%s}" % KEY, **more):
        return document("DestinationRule", "a", {"host": "a.test", "trafficPolicy": yaml.safe_load(policy), **more})

    def test_a_retry_goes_to_the_key_s_endpoint(self):
        self.assertFalse(retries("", self.rule()).previous_hosts)
        self.assertFalse(retries("{attempts: 1}", self.rule()).previous_hosts)
        self.assertTrue(retries("", self.rule("{loadBalancer: {simple: RANDOM}}")).previous_hosts)

    def test_what_the_rule_says_of_previous_hosts_holds(self):
        self.assertTrue(retries("{attempts: 1, retryIgnorePreviousHosts: true}", self.rule()).previous_hosts)

    def test_the_port_and_the_subset_of_the_destination_count(self):
        other = "{portLevelSettings: [{port: {number: %d}, " + self.KEY + "}]}"
        self.assertFalse(retries("", self.rule(other % 80)).previous_hosts)
        self.assertTrue(retries("", self.rule(other % 81)).previous_hosts)
        subset = [{"name": "v1", "labels": {"a": "b"}, "trafficPolicy": yaml.safe_load("{%s}" % self.KEY)}]
        self.assertTrue(retries("", self.rule("{loadBalancer: {simple: RANDOM}}", subsets=subset)).previous_hosts)

    def test_a_host_without_rules_does_the_same(self):
        config = document("MeshConfig", "mesh", {"proxyHttpPort": 15007})
        found = view(service("a.test"), config, self.rule(), role="sidecar").routes()[0]
        self.assertFalse(found.retry.config.previous_hosts)


class Cors(TestCase):
    POLICY = """
  corsPolicy:
    allowOrigins: [{exact: "https://a.test"}, {regex: "https://.*[.]b[.]test"}]
    allowMethods: [GET, PUT]
    allowHeaders: [x-a]
    exposeHeaders: [x-b]
    maxAge: 24h
    allowCredentials: true
"""

    def test_the_filter_is_on_where_the_rule_says_so(self):
        found = view(gateway(), service("a.test"), rules("r", f"""
- match: [{{uri: {{prefix: /c}}}}]
  {TO_A}{self.POLICY}
- {TO_A}
"""))
        first, second = found.routes()
        config = dict(first.filters)["cors"].config
        self.assertEqual((config.allow_methods, config.allow_headers, config.expose_headers, config.max_age_s,
                          config.allow_credentials), (("GET", "PUT"), ("x-a",), ("x-b",), 86400, True))
        self.assertEqual(second.disabled_filters, ("cors",))

    def test_preflights_of_other_origins_go_upstream_unless_they_are_ignored(self):
        for word, native in (("", "forward"), ("FORWARD", "forward"), ("IGNORE", "ignore")):
            more = f", unmatchedPreflights: {word}" if word else ""
            found, _ = route(f"  corsPolicy: {{allowOrigins: [{{exact: 'https://a.test'}}]{more}}}\n")
            self.assertEqual(dict(found.filters)["cors"].config.unmatched_preflights, native)

    def test_what_is_not_granted_is_not_granted_by_default(self):
        found, _ = route("  corsPolicy: {allowOrigins: [{exact: 'https://a.test'}]}\n")
        self.assertEqual(dict(found.filters)["cors"].config.allow_methods, ())

    def test_a_policy_without_origins_grants_nothing_and_needs_no_filter(self):
        self.assertEqual(route("  corsPolicy: {allowMethods: [PUT]}\n")[0].filters, ())

    def test_the_older_list_of_origins_is_exact(self):
        found, _ = route("  corsPolicy: {allowOrigin: ['https://a.test']}\n")
        self.assertEqual([one.exact for one in dict(found.filters)["cors"].config.allow_origins], ["https://a.test"])

    def test_a_table_without_such_rules_has_no_filter(self):
        _, seen = route()
        self.assertEqual([one.type for one in seen.listener().filters], ["grpc_stats", "router"])
