"""What the running daemon says and what its files say are one answer, but for counts and health; and it is true."""

import http.client
import json
from unittest import TestCase

from tests.integration.harness.daemon import Daemon, document

REQUESTS = (
    ("GET", "/a/../users/7?x=1", []), ("GET", "/users/7", ["x-beta: 1"]), ("GET", "/old", []), ("GET", "/tea", []),
    ("GET", "/nix", []), ("GET", "/a%2fb", []),
    ("POST", "/users/", ["content-length: 99", "origin: https://a.example"]),
)
ROUTES = [
    {"name": "beta", "match": {"prefix": "/users", "headers": [{"name": "x-beta", "exact": "1"}]}, "cluster": "beta"},
    {"name": "old", "match": {"path": "/old"}, "redirect": {"path": "/new"}},
    {"name": "tea", "match": {"path": "/tea"}, "direct_response": {"status": 418, "body": "%START_TIME(%Y)%"}},
    {"name": "users", "match": {"path_separated_prefix": "/users"}, "prefix_rewrite": "/u", "timeout": "3s",
     "weighted_clusters": [{"name": "up", "weight": 1}, {"name": "beta", "weight": 3}],
     "retry": {"retry": {"attempts": 2}}, "filters": {"body_limit": {"body_limit": {"max": 10}}}},
]
FILTERS = [
    {"cors": {"allow_origins": [{"exact": "https://a.example"}]}},
    {"rate_limit": {"rate": 100, "per": "1h", "key": "client_address"}}, {"body_limit": {"max": 1000}},
    {"header_mutation": {"request": {"set": {"x-seen": "1"}}}},
]
LIVE = ("used", "active_requests", "generation", "apiVersion", "kind")


def without_live(value):
    """Return an answer less what changes while a daemon runs."""
    if isinstance(value, dict):
        return {key: without_live(one) for key, one in value.items() if key not in LIVE}
    return [without_live(one) for one in value] if isinstance(value, list) else value


class ExplainTest(TestCase):
    def setUp(self):
        made = document(ROUTES, [
            {"name": "up", "endpoints": [{"address": "127.0.0.1:9"}]},
            {"name": "beta", "endpoints": [{"address": "127.0.0.1:9", "weight": 3}]}])
        listener = made["listeners"][0]
        listener["filters"] = [*FILTERS, *listener["filters"]]
        self.configuration = made

    def told(self, daemon, *arguments):
        """Return meshctl's answer as JSON."""
        code, out = daemon.ctl("explain", *arguments, "-o", "json")
        self.assertEqual(code, 0, out)
        return json.loads(out)

    def test_files_and_daemon_give_one_answer(self):
        with Daemon(self.configuration) as daemon:
            for method, target, fields in REQUESTS:
                headers = [part for field in fields for part in ("--header", field)]
                question = (method, f"http://shop.example:{daemon.port}{target}", *headers)
                live, asleep = self.told(daemon, *question), self.told(daemon, *question, "-c", daemon.path)
                self.assertEqual(without_live(live), without_live(asleep), target)
                self.assertIn(daemon.path, live["listener"]["where"])

    def test_a_reload_moves_the_places_and_asking_costs_nothing(self):
        with Daemon(self.configuration) as daemon:
            url = f"http://a:{daemon.port}/users/7"
            before = self.told(daemon, "GET", url)
            listener = self.configuration["listeners"][0]
            daemon.write({**self.configuration, "listeners": [{"name": listener["name"], "backlog": 99, **listener}]})
            self.assertTrue(daemon.reload()["accepted"])
            after = self.told(daemon, "GET", url)
            self.assertEqual(after["generation"], before["generation"] + 1)
            self.assertEqual(line_of(after["route"]) - line_of(before["route"]), 1)
            self.assertEqual(daemon.metric("envoy_http_downstream_rq_total"), 0)
            self.assertEqual(daemon.metric("meshd_rate_limit_requests_total"), 0)
            row = next(row for row in after["filters"] if row["name"] == "rate_limit")
            self.assertIn("100 of 100 tokens", row["text"])

    def test_tokens_and_counts_are_those_of_now(self):
        with Daemon(self.configuration) as daemon:
            for _ in range(3):
                connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=10)
                connection.request("GET", "/tea")
                self.assertEqual(connection.getresponse().status, 418)
                connection.close()
            found = self.told(daemon, "GET", f"http://a:{daemon.port}/tea")
            row = next(row for row in found["filters"] if row["name"] == "rate_limit")
            self.assertIn("97 of 100 tokens", row["text"])


def line_of(thing):
    """Return the line of its place."""
    return int(thing["where"].rsplit(":", 2)[1])
