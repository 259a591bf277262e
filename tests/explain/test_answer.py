"""The whole answer over a runtime that was built from a file and never started."""

import unittest

from meshd.explain.asked import BadQuestion
from tests.explain.files import CLUSTERS, answer, built, listener

ROUTES = """
- name: beta
  match: {prefix: /users, headers: [{name: x-beta, exact: "1"}]}
  cluster: beta
- name: moved
  match: {path: /old}
  redirect: {https_redirect: true, path: /new}
- name: tea
  match: {path: /tea}
  direct_response: {status: 418, body: "short and stout", headers: {x-tea: "yes"}}
- name: users
  match: {prefix: /users/}
  prefix_rewrite: /u/
  host_rewrite: users.internal
  timeout: 3s
  cluster: users
"""


class Routes(unittest.TestCase):
    def setUp(self):
        self.runtime = built(listener(ROUTES) + CLUSTERS)

    def test_a_forwarded_request(self):
        found = answer(self.runtime, url="http://shop.example:8080/users/7?x=1")
        self.assertEqual([row["reason"].partition(",")[0] for row in found["passed_over"]],
                         ["header x-beta is missing", 'path /users/7 is not "/old"', 'path /users/7 is not "/tea"'])
        self.assertEqual(found["route"]["name"], "users")
        self.assertRegex(found["route"]["where"], r"meshd\.yaml:\d+:\d+$")
        self.assertEqual(found["upstream"], [
            {"cluster": "users", "percent": 100.0, "path": "/u/7?x=1", "host": "users.internal"}])
        self.assertEqual(found["result"]["kind"], "forward")
        cluster = found["clusters"][0]
        self.assertEqual(cluster["endpoints"][0], {
            "address": "127.0.0.1:8081", "healthy": True, "weight": 2, "priority": 0, "active_requests": 0,
            "health": "healthy", "why": []})
        self.assertEqual(cluster["load_balancer"], {"type": "round_robin", "where": "default of native"})
        self.assertEqual(cluster["circuit_breaker"]["limits"]["retries"], {"limit": 3, "used": 0})
        self.assertRegex(cluster["connect_timeout"]["where"], r"meshd\.yaml")
        self.assertEqual(found["timeouts"]["timeout"], {"seconds": 3.0, "where": found["route"]["where"]})
        self.assertEqual(found["timeouts"]["idle_timeout"], {"seconds": 300.0, "where": "default of native"})
        self.assertEqual((found["retry"]["config"]["attempts"], found["retry"]["where"]), (1, "default of native"))

    def test_the_places_are_those_of_the_file(self):
        text = listener(ROUTES) + CLUSTERS
        found = answer(self.runtime, url="http://shop.example:8080/users/7")
        for place, begins in ((found["route"]["where"], "name: users"), (found["virtual_host"]["where"], "name: all"),
                              (found["listener"]["where"], "name: public"),
                              (found["clusters"][0]["where"], "{name: users")):
            _, line, column = place.rsplit(":", 2)
            self.assertTrue(text.splitlines()[int(line) - 1][int(column) - 1:].startswith(begins), place)

    def test_a_redirect_shows_where_to(self):
        found = answer(self.runtime, url="http://shop.example:8080/old?x")
        self.assertEqual((found["result"]["status"], found["result"]["by"]), (301, "route"))
        self.assertIn(["location", "https://shop.example:8080/new?x"], found["result"]["headers"])
        self.assertNotIn("clusters", found)

    def test_a_direct_response_shows_its_body_and_fields(self):
        result = answer(self.runtime, url="http://shop.example:8080/tea")["result"]
        self.assertEqual((result["status"], result["body"]), (418, "short and stout"))
        self.assertIn(["x-tea", "yes"], result["headers"])

    def test_no_route_is_404_nr_with_every_reason(self):
        found = answer(self.runtime, url="http://shop.example:8080/nix")
        result = found["result"]
        self.assertEqual((result["status"], result["flags"], result["detail"]), (404, "NR", "route_not_found"))
        self.assertEqual(len(found["passed_over"]), 4)
        self.assertEqual(found["reason"], "none of 4 routes of 'all' matches")

    def test_nothing_is_counted(self):
        before = self.runtime.clusters["users"].cells.requests.value
        answer(self.runtime, url="http://shop.example:8080/users/7")
        self.assertEqual(self.runtime.clusters["users"].cells.requests.value, before)
        self.assertEqual(self.runtime.chains["public"][""].active, 0)

    def test_what_no_rule_asks_for_is_said(self):
        found = answer(self.runtime, source="web", sni="a.com")
        self.assertEqual(len(found["notes"]), 2)
        self.assertEqual((found["request"]["from"], found["request"]["sni"]), ("web", "a.com"))

    def test_an_unknown_port_is_refused(self):
        with self.assertRaises(BadQuestion):
            answer(self.runtime, url="http://shop.example:1/")


class Edge(unittest.TestCase):
    def test_the_path_is_normalised(self):
        found = answer(built(listener(ROUTES) + CLUSTERS), url="http://a:8080/x/../users//7")
        self.assertIn("path /x/../users//7 is normalised to /users/7", found["edge"]["steps"])
        self.assertEqual(found["route"]["name"], "users")

    def test_escaped_slashes_are_refused_before_any_filter(self):
        found = answer(built(listener(ROUTES, "- cors: {allow_origins: [{exact: 'https://a'}]}") + CLUSTERS),
                       url="http://a:8080/users%2f7")
        result = found["result"]
        self.assertEqual((result["status"], result["by"], result["flags"]), (400, "edge", "DPE"))
        self.assertEqual({row["decision"] for row in found["filters"]}, {"not reached"})
        self.assertNotIn("route", found)

    def test_escaped_slashes_may_send_the_client_elsewhere(self):
        http = "{path_with_escaped_slashes_action: unescape_and_redirect}"
        found = answer(built(listener(ROUTES, http=http) + CLUSTERS), url="http://a:8080/users%2f7")
        self.assertEqual(found["result"]["status"], 307)
        self.assertEqual(found["result"]["headers"], [["location", "/users/7"]])

    def test_what_breaks_http_is_refused(self):
        runtime = built(listener(ROUTES, http="{headers_with_underscores_action: reject_request}") + CLUSTERS)
        for headers in (["host: a", "host: b"], ["x_y: 1"], ["host: a b"]):
            self.assertEqual(answer(runtime, headers=headers)["result"]["by"], "edge", headers)
        self.assertEqual(answer(runtime, method="CONNECT", url="http://a:8080/")["result"]["by"], "edge")

    def test_the_meshs_own_fields_are_dropped(self):
        steps = answer(built(listener(ROUTES) + CLUSTERS), headers=["x-envoy-retry-on: 5xx"])["edge"]["steps"]
        self.assertIn("field x-envoy-retry-on is dropped: only this mesh may set it", steps)

    def test_the_client_is_found_behind_trusted_proxies(self):
        runtime = built(listener(ROUTES, http="{xff_num_trusted_hops: 1}") + CLUSTERS)
        found = answer(runtime, headers=["x-forwarded-for: 203.0.113.9"], client="10.0.0.1")
        self.assertIn("the client is 203.0.113.9, by x-forwarded-for", found["edge"]["steps"])


class Filters(unittest.TestCase):
    def rows(self, filters, routes=ROUTES, **asking):
        """Return (rows by name, the whole answer)."""
        found = answer(built(listener(routes, filters) + CLUSTERS), **asking)
        return {row["name"]: row for row in found["filters"]}, found

    def test_one_that_cannot_explain_itself_runs(self):
        rows, _ = self.rows("- compression: {}")
        self.assertEqual((rows["compression"]["decision"], rows["compression"]["text"]), ("runs", ""))

    def test_off_and_other_on_a_route(self):
        routes = """
            - match: {prefix: /off}
              cluster: users
              disabled_filters: [body_limit]
            - match: {prefix: /}
              cluster: users
              filters: {body_limit: {body_limit: {max: 1}}}
        """
        rows, _ = self.rows("- body_limit: {}", routes, url="http://a:8080/off")
        self.assertEqual(rows["body_limit"]["decision"], "disabled on this route")
        rows, found = self.rows("- body_limit: {}", routes, headers=["content-length: 2"])
        self.assertEqual(rows["body_limit"]["decision"], "override on this route")
        self.assertEqual((found["result"]["status"], found["result"]["by"]), (413, "filter body_limit"))

    def test_the_first_that_answers_ends_the_walk_and_the_route_is_shown_all_the_same(self):
        rows, found = self.rows("""
            - authentication: {authenticators: [{api_key: {header: x-key, keys: {web: "0123456789abcdef"}}}]}
            - body_limit: {}
        """, url="http://a:8080/users/7")
        self.assertEqual(rows["authentication"]["text"], "no credentials: refuses")
        self.assertEqual(rows["body_limit"]["decision"], "not reached")
        self.assertEqual(rows["router"]["text"], "the filter authentication has answered")
        self.assertEqual((found["result"]["status"], found["result"]["by"]), (401, "filter authentication"))
        self.assertEqual(found["route"]["name"], "users")

    def test_a_changed_field_counts_for_the_route(self):
        rows, found = self.rows("- header_mutation: {request: {set: {x-beta: '1'}}}", url="http://a:8080/users/7")
        self.assertEqual(rows["header_mutation"]["text"], "request: sets x-beta")
        self.assertEqual(found["route"]["name"], "beta")

    def test_a_route_that_was_found_earlier_stays_and_that_is_said(self):
        routes = ROUTES + "  disabled_filters: [body_limit]\n"
        rows, found = self.rows("- body_limit: {}\n- header_mutation: {request: {set: {x-beta: '1'}}}", routes,
                                url="http://a:8080/users/7")
        self.assertEqual(found["route"]["name"], "users")
        self.assertIn("when filter body_limit asked for it", found["notes"][0])
        self.assertIn("x-beta is missing", found["passed_over"][0]["reason"])
        _, cleared = self.rows(
            "- body_limit: {}\n- header_mutation: {request: {set: {x-beta: '1'}}, clear_route: true}", routes,
            url="http://a:8080/users/7")
        self.assertEqual(cleared["route"]["name"], "beta")

    def test_one_in_a_process_of_its_own_is_not_asked(self):
        rows, _ = self.rows("- {body_limit: {}, isolation: process}")
        self.assertEqual(rows["body_limit"]["text"], "in a process of its own")

    def test_shares(self):
        rows, _ = self.rows("""
            - {body_limit: {}, percent: 25}
            - cors: {allow_origins: [{exact: 'https://a'}]}
            - {cors: {allow_origins: [{exact: 'https://b'}]}, name: new, canary_of: cors, percent: 10}
        """)
        self.assertEqual(rows["body_limit"]["text"], "25 % of the requests; chance decides")
        self.assertEqual(rows["cors"]["text"], "90 % of the requests; chance decides")
        self.assertEqual(rows["new"]["text"], "10 % of the requests, in place of cors; chance decides")

    def test_one_that_is_bypassed_says_so(self):
        for mode, decides in (("fail-open", "route"), ("fail-closed", "filter body_limit")):
            runtime = built(listener(ROUTES, f"- {{body_limit: {{}}, on_error: {mode}}}") + CLUSTERS)
            runtime.chains["public"][""].uses[0].record.is_bypassed = True
            found = answer(runtime, url="http://a:8080/users/7")
            self.assertEqual((found["filters"][0]["decision"], found["result"]["by"]), ("bypassed", decides))


class Clusters(unittest.TestCase):
    def test_a_split_shows_what_each_destination_gets(self):
        routes = """
            - match: {prefix: /}
              weighted_clusters:
                - {name: users, weight: 3}
                - {name: beta, weight: 1, request_headers: {set: {host: beta.internal}}}
        """
        found = answer(built(listener(routes) + CLUSTERS))
        self.assertEqual([(one["cluster"], one["percent"], one["host"]) for one in found["upstream"]],
                         [("users", 75.0, "shop.example:8080"), ("beta", 25.0, "beta.internal")])
        self.assertEqual([one["name"] for one in found["clusters"]], ["users", "beta"])

    def test_a_split_with_answers_shows_what_becomes_of_each_share(self):
        routes = """
            - match: {prefix: /}
              weighted_clusters:
                - {name: users, weight: 7, prefix_rewrite: /u/}
                - {weight: 2, direct_response: {status: 418, body: tea}}
                - {weight: 1, redirect: {path: /new}}
        """
        runtime = built(listener(routes) + CLUSTERS)
        state = runtime.ground.world.random.getstate()
        found = answer(runtime, url="http://a:8080/x")
        self.assertEqual([(one["percent"], one["kind"], one["status"]) for one in found["result"]["shares"]],
                         [(70.0, "forward", 0), (20.0, "answer", 418), (10.0, "answer", 301)])
        self.assertEqual([one["percent"] for one in found["action"]["clusters"]], [70.0, 20.0, 10.0])
        self.assertEqual(found["upstream"], [{"cluster": "users", "percent": 70.0, "path": "/u/x", "host": "a:8080"}])
        self.assertEqual(found["rewrites"], [
            {"rewrite": "prefix_rewrite", "value": "/u/", "of": "destination users"}])
        self.assertEqual(runtime.ground.world.random.getstate(), state, "chance was used up")

    def test_no_healthy_endpoint_is_503_uh(self):
        runtime = built(listener(ROUTES) + CLUSTERS)
        runtime.clusters["users"].set_endpoints(())
        result = answer(runtime, url="http://a:8080/users/7")["result"]
        self.assertEqual((result["status"], result["flags"], result["detail"]), (503, "UH", "no_healthy_upstream"))

    def test_what_only_discovery_knows_is_left_open_in_files(self):
        text = listener(ROUTES) + CLUSTERS.replace(
            'endpoints: [{address: "127.0.0.1:8081", weight: 2}]',
            'discovery: {static: {endpoints: [{address: "127.0.0.1:9"}]}}')
        found = answer(built(text), url="http://a:8080/users/7")
        self.assertIsNone(found["clusters"][0]["endpoints"])
        self.assertEqual(found["result"]["kind"], "forward")
        live = answer(built(text), url="http://a:8080/users/7", bound={})
        self.assertEqual((live["clusters"][0]["endpoints"], live["result"]["flags"]), ([], "UH"))

    def test_the_retry_policy_in_force(self):
        routes = """
            - match: {path: /own}
              cluster: users
              retry: {retry: {attempts: 5}}
            - match: {path: /none}
              cluster: users
              retry: {retry: {}, disabled: true}
            - match: {prefix: /}
              cluster: users
        """
        runtime = built(listener(routes, host="retry: {retry: {attempts: 7}}") + CLUSTERS)
        retries = {path: answer(runtime, url=f"http://a:8080{path}")["retry"] for path in ("/own", "/none", "/")}
        self.assertEqual(retries["/own"]["config"]["attempts"], 5)
        self.assertIsNone(retries["/none"]["type"])
        self.assertEqual(retries["/"]["config"]["attempts"], 7)


class FilterChains(unittest.TestCase):
    def setUp(self):
        chain = ("filters: [{router: {virtual_hosts: [{name: %s, domains: ['*'], routes: [{name: r, "
                 "match: {prefix: /}, direct_response: {status: 200, body: %s}}]}]}}]")
        self.runtime = built(f"""
secrets: {{directory: secrets}}
listeners:
  - name: edge
    address: 127.0.0.1:8080
    filter_chains:
      - {{name: shop, match: {{transport_protocol: tls, server_names: ["*.shop.example"]}}, {chain % ("a", "a")}}}
      - {{name: plain, match: {{source_type: same_ip_or_loopback}}, {chain % ("b", "b")}}}
      - name: ended
        match: {{transport_protocol: tls, server_names: [ended.example]}}
        tls: {{certificates: [{{secret: shop}}], client_certificate: optional, validation: {{secret: mesh}}}}
        http: {{forward_client_cert_details: append_forward}}
        {chain % ("c", "c")}
      - {{name: bytes, match: {{server_names: [tcp.example]}}, network_filters: [{{tcp_proxy: {{cluster: users}}}}]}}
""" + CLUSTERS)

    def test_the_chain_is_the_one_that_a_connection_meets(self):
        for url, chain, body in (("https://x.shop.example:8080/", "shop", "a"), ("http://any:8080/", "plain", "b")):
            found = answer(self.runtime, url=url)
            self.assertEqual((found["listener"]["filter_chain"], found["result"]["body"]), (chain, body))

    def test_none_takes_it(self):
        with self.assertRaisesRegex(BadQuestion, "no filter chain takes the request: its connection is closed$"):
            answer(self.runtime, url="http://any:8080/", client="203.0.113.1")
        with self.assertRaisesRegex(BadQuestion, "is closed; one would with https$"):
            answer(self.runtime, url="http://ended.example:8080/", client="203.0.113.1")

    def test_tls_that_ends_here(self):
        found = answer(self.runtime, url="https://ended.example:8080/", headers=["x-forwarded-client-cert: By=a"])
        self.assertEqual(found["tls"]["certificates"], ["shop"])
        self.assertEqual(found["tls"]["client_certificate"], "optional")
        self.assertIn("field x-forwarded-proto is set to https", found["edge"]["steps"])
        self.assertEqual([step for step in found["edge"]["steps"] if "client-cert" in step], [
            "field x-forwarded-client-cert: append_forward by the client's certificate, dropped where it has none"])

    def test_one_of_tcp_does_not_look_at_requests(self):
        with self.assertRaisesRegex(BadQuestion, "filter chain bytes of listener edge: it is of TCP"):
            answer(self.runtime, url="https://tcp.example:8080/")
