"""HTTP SD: what is asked, what is made of the answer, and what is refused with the last endpoints kept."""

import unittest

from meshd.api import ConfigurationError
from meshd.testing.contract.cluster import DiscoveryContract
from meshd.testing.site import FakeSite
from meshd_plugins.discovery import http
from meshd_plugins.discovery.http import HttpOptions
from tests.plugins.discovery.remote_case import RemoteCase

LIST = [
    {"targets": ["10.0.0.1:80", "10.0.0.2:80"], "labels": {"version": "v1", "__meshd_weight__": "3"}},
    {"targets": ["10.0.0.3:80"]},
]


class ContractTest(DiscoveryContract, unittest.TestCase):
    def make(self):
        self.site = FakeSite("users")
        return self.site.make("discovery", "http", HttpOptions(cluster="servers"))

    def find(self, discovery):
        if not self.site.calls[-1].is_over:
            self.site.calls[-1].answer(200, b'[{"targets": ["a:1", "a:1"]}]', [(b"content-type", b"application/json")])
        self.site.advance(1)


class HttpCase(RemoteCase):
    module = http
    options = HttpOptions

    def look_again(self):
        """Let the time until the next look pass."""
        self.site.advance(66.1)


class AskTest(HttpCase):
    def test_asks_the_cluster_as_prometheus_would(self):
        self.watch(path="/sd?team=a", host="cmdb.internal")
        request = self.call.request
        self.assertEqual((self.call.cluster, request.method, request.target), ("servers", b"GET", b"/sd?team=a"))
        self.assertEqual((request.host, self.call.header(b"accept")), (b"cmdb.internal", b"application/json"))
        self.assertEqual(self.call.header(b"x-prometheus-refresh-interval-seconds"), b"60")
        self.assertIsNone(self.call.header(b"authorization"))

    def test_sends_a_token_and_never_logs_it(self):
        self.watch(token_env="TOKEN")
        self.assertEqual(self.call.header(b"authorization"), b"Bearer s3cret")
        self.assertNotIn("s3cret", repr(self.call.request))
        self.call.fail("connection refused")
        self.assertNotIn("s3cret", self.log())

    def test_a_token_that_is_not_there_is_a_failure_of_the_source(self):
        self.watch(token_env="NOBODY")
        self.assertEqual((self.site.calls, self.error),
                         ([], "environment: NOBODY: expected a credential of visible ASCII characters"))

    def test_its_own_cluster_cannot_be_asked(self):
        with self.assertRaisesRegex(ConfigurationError, "expected another one than its own"):
            self.watch(cluster="users")

    def test_asks_again_after_about_the_interval(self):
        self.watch(refresh_interval_s=10.0)
        self.answer(LIST)
        self.site.advance(8.5)
        self.assertEqual(len(self.site.calls), 1)
        self.site.advance(2.5)
        self.assertEqual(len(self.site.calls), 2)

    def test_names_what_it_uses(self):
        needs = list(http.references(HttpOptions(cluster="servers", token_file="/token")))
        self.assertEqual([(need.kind, need.name) for need in needs], [("cluster", "servers"), ("file", "/token")])


class AnswerTest(HttpCase):
    def test_targets_and_labels_become_endpoints(self):
        self.watch()
        self.answer(LIST)
        one, two, three = self.reports[-1]
        self.assertEqual((one.address, one.weight, one.labels), ("10.0.0.1:80", 3, (("version", "v1"),)))
        self.assertEqual((two.address, three.labels), ("10.0.0.2:80", ()))
        self.assertEqual(one.source, "http servers/")

    def test_an_unchanged_list_is_not_sent_again(self):
        self.watch()
        self.answer(LIST, etag='"7"')
        self.look_again()
        self.assertEqual(self.call.header(b"if-none-match"), b'"7"')
        self.call.answer(304)
        self.settle()
        self.assertEqual((len(self.reports), self.error, self.discovery.known.found), (1, "", 3))

    def test_a_list_without_a_tag_is_asked_for_whole(self):
        self.watch()
        self.answer(LIST, etag='"7"')
        self.look_again()
        self.answer(LIST[1:])
        self.assertEqual(self.addresses, ["10.0.0.3:80"])
        self.look_again()
        self.assertIsNone(self.call.header(b"if-none-match"))

    def test_prometheus_url_is_there_for_relabelling(self):
        self.watch(path="/sd")
        rows = []
        self.discovery.find().addCallback(lambda found: rows.extend(found[0]))
        self.answer(LIST)
        self.assertEqual(rows[0].labels["__meta_url"], "http://servers/sd")


class RefusalTest(HttpCase):
    def check(self, text, body=b"[]", status=200, kind=b"application/json"):
        """Answer well, then like this: the endpoints stay and the reason is told."""
        self.watch()
        self.answer(LIST)
        self.look_again()
        self.call.answer(status, body, [(b"content-type", kind)])
        self.settle()
        self.assertRegex(self.error, text)
        self.assertEqual((len(self.reports), len(self.addresses)), (1, 3))
        self.assertEqual(self.site.metrics.value("meshd_discovery_stale", "users", "http"), 1)

    def test_another_status(self):
        self.check("status 500: no database: expected 200", b"no\ndatabase", 500)

    def test_304_to_a_question_without_a_tag(self):
        self.check("status 304: expected 200", b"", 304)

    def test_another_type(self):
        self.check("content-type 'text/html': expected application/json", kind=b"text/html")

    def test_no_json(self):
        self.check("answer: JSON is malformed", b"<html>")

    def test_another_shape(self):
        self.check(r"Expected `str`, got `int` - at `\$\[0\].targets\[0\]`", b'[{"targets": [80]}]')

    def test_deep_nesting(self):
        self.check("answer: ", b"[" * 100_000)

    def test_a_target_without_a_port_costs_only_itself(self):
        self.watch()
        self.answer([{"targets": ["nowhere", "10.0.0.1:80"]}])
        self.assertEqual(self.addresses, ["10.0.0.1:80"])
        self.assertIn("__address__: expected HOST:PORT", self.error)

    def test_a_charset_is_allowed(self):
        self.watch()
        self.call.answer(200, b'[{"targets": ["a:1"]}]', [(b"content-type", b'application/json; charset="UTF-8"')])
        self.assertEqual((self.addresses, self.error), (["a:1"], ""))

    def test_a_server_that_is_down_keeps_the_last_endpoints(self):
        self.watch()
        self.answer(LIST)
        self.look_again()
        self.call.fail("endpoint 10.9.9.9:80: connection refused")
        self.assertEqual(self.error, "cluster servers: endpoint 10.9.9.9:80: connection refused")
        self.site.advance(1.1)
        self.answer([*LIST, {"targets": ["10.0.0.4:80"]}])
        self.assertEqual((self.error, len(self.addresses)), ("", 4))

    def test_an_empty_list_is_held_back(self):
        self.watch(empty_hold_s=30.0)
        self.answer(LIST)
        self.look_again()
        self.answer([])
        self.assertEqual((len(self.addresses), self.discovery.known.state), (3, "held"))
        self.site.advance(30)
        self.assertEqual(self.addresses, [])

    def test_nothing_is_left_of_a_question_after_the_end(self):
        self.watch()
        self.discovery.stop()
        self.assertTrue(self.call.is_cancelled)
        self.assertEqual(self.site.world.clock.timers, [])
