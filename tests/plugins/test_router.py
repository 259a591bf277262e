"""The router as a whole: actions, edits, rewrites, timeouts and retries of the routes that were found."""

import unittest

from meshd.api import CONTINUE, STOP, Plugin, flag
from meshd.testing.contract.http import HttpFilterContract
from meshd.testing.exchange import FakeExchange, request_head
from meshd_plugins.router import meshd_plugins
from meshd_plugins.router.config import (
    DirectResponse, Redirect, RegexRewrite, Route, Router, VirtualHost, WeightedCluster,
)
from meshd_plugins.router.edit_config import RequestEdits, ResponseEdits
from meshd_plugins.router.filter import CatchAllFilter
from meshd_plugins.router.match_config import HeaderMatch, Match, QueryMatch
from meshd_plugins.router.recovery_config import Hedge, Mirror
from meshd_plugins.router.reference import references
from tests.plugins.router_case import edited, faults, make_site, route, router, send


class RouterContract(HttpFilterContract, unittest.TestCase):
    def make(self):
        return router(route())


class Forwarding(unittest.TestCase):
    def test_hands_the_plan_of_the_route_to_the_exchange(self):
        site = make_site()
        exchange = send(router(route(), site=site))
        self.assertEqual(exchange.plan.clusters, ((1, site.cluster("users"), None, None),))
        self.assertEqual(exchange.replies, [])

    def test_verdicts(self):
        self.assertIs(FakeExchange(route=router(route()).routes[0]).request_phase(router(route())), CONTINUE)
        self.assertIs(FakeExchange().request_phase(router(route())), STOP)

    def test_no_route_is_404_nr(self):
        reply = send(router(route(prefix="/a"))).replies[0]
        self.assertEqual((reply.status, reply.flag, reply.detail), (404, flag.NR, "route_not_found"))

    def test_no_virtual_host_is_404_nr(self):
        self.assertEqual(send(router(route(), domains=("foo.com",))).replies[0].flag, flag.NR)

    def test_first_match_in_list_order_wins(self):
        filter = router(route(prefix="/a", name="first"), route(prefix="/a/b", name="second"))
        self.assertEqual(send(filter, target=b"/a/b").route.name, "first")

    def test_a_table_whose_first_route_takes_all_finds_it_and_a_star_target_another(self):
        filter = router(route(name="all"), route(match=Match(path="*"), name="star"), domains=("foo.com", "*"))
        self.assertIsInstance(filter, CatchAllFilter)
        self.assertEqual(send(filter, target=b"/a?b").route.name, "all")
        self.assertEqual(send(filter, b"OPTIONS", b"*").route.name, "star")

    def test_a_condition_or_another_host_makes_no_table_that_takes_all(self):
        conditions = {"methods": ("GET",)}, {"headers": (HeaderMatch(name="x"),)}, {"query": (QueryMatch(name="x"),)}
        filters = [router(route(match=Match(prefix="/", **condition)), route("beta")) for condition in conditions]
        filters += [router(route(), domains=("foo.com",)), router(route(prefix="/a"), route("beta")), router()]
        self.assertFalse([filter for filter in filters if isinstance(filter, CatchAllFilter)])
        for filter in filters[:3]:
            self.assertEqual(send(filter, b"PUT").route, filter.routes[1])

    def test_routes_name_their_virtual_host(self):
        found = router(route(name="r")).routes[0]
        self.assertEqual((found.name, found.virtual_host, found.overrides), ("r", "all", {}))

    def test_timeouts_of_the_route(self):
        plan = send(router(route(timeout_s=3.0, per_try_timeout_s=1.0, idle_timeout_s=9.0))).plan
        self.assertEqual((plan.timeouts.request_s, plan.timeouts.per_try_s, plan.timeouts.idle_s), (3.0, 1.0, 9.0))
        self.assertEqual(send(router(route())).plan.timeouts.request_s, 15.0)

    def test_upgrades_are_lower_case(self):
        self.assertEqual(send(router(route(upgrades=("WebSocket",)))).plan.upgrades, (b"websocket",))

    def test_star_target_needs_its_own_route(self):
        self.assertEqual(send(router(route()), b"OPTIONS", b"*").replies[0].status, 404)
        self.assertIsNotNone(send(router(route(match=Match(path="*"))), b"OPTIONS", b"*").plan)


class WeightedClusters(unittest.TestCase):
    def split(self, *shares):
        return send(router(route(None, weighted_clusters=shares))).plan.clusters

    def test_weights_are_cumulative_and_zero_is_dropped(self):
        found = self.split(
            WeightedCluster(name="users", weight=3), WeightedCluster(name="beta", weight=0),
            WeightedCluster(name="gamma", weight=1),
        )
        self.assertEqual([(total, cluster.name) for total, cluster, _, _ in found], [(3, "users"), (4, "gamma")])

    def test_a_single_destination_takes_all_whatever_its_weight(self):
        self.assertEqual(self.split(WeightedCluster(name="beta", weight=0))[0][0], 1)

    def test_all_weights_zero_is_a_fault(self):
        shares = (WeightedCluster(name="users", weight=0), WeightedCluster(name="beta", weight=0))
        self.assertEqual(faults(route(None, weighted_clusters=shares)), ["expected at least one weight above 0"])

    def test_edits_of_a_destination_come_before_the_routes(self):
        share = WeightedCluster(name="users", request_headers=RequestEdits(set=(("x", "share"),)))
        filter = router(route(None, weighted_clusters=(share,), request_headers=RequestEdits(add=(("x", "route"),))))
        self.assertEqual(edited(send(filter)).headers.get_all(b"x"), [b"share", b"route"])


class Edits(unittest.TestCase):
    def test_order_is_route_virtual_host_table_and_remove_set_add(self):
        filter = router(
            route(request_headers=RequestEdits(add=(("x", "route"),), remove=("x",))),
            host={"request_headers": RequestEdits(add=(("x", "host"),))},
            table={"request_headers": RequestEdits(add=(("x", "table"),), set=(("y", "%REQ(x)%"),))},
        )
        request = edited(send(filter, headers=[(b"x", b"client")]))
        self.assertEqual(request.headers.get_all(b"x"), [b"route", b"host", b"table"])
        self.assertEqual(request.headers.get(b"y"), b"route")

    def test_empty_value_is_not_written(self):
        request = edited(send(router(route(request_headers=RequestEdits(set=(("x", "%REQ(none)%"),))))))
        self.assertNotIn(b"x", request.headers)

    def test_set_of_host_rewrites_it(self):
        for name in ("Host", ":authority"):
            request = edited(send(router(route(request_headers=RequestEdits(set=((name, "other"),))))))
            self.assertEqual((request.host, request.headers.get_all(b"host")), (b"other", [b"other"]))

    def test_response_edits(self):
        filter = router(route(response_headers=ResponseEdits(set=(("x", "%RESPONSE_CODE%"),), remove=("server",))))
        exchange = send(filter)
        exchange.respond(201, [(b"server", b"a")])
        exchange.plan.on_response(exchange)
        self.assertEqual(list(exchange.response.headers), [(b"x", b"201")])

    def test_no_edit_costs_nothing(self):
        plan = send(router(route())).plan
        self.assertIsNone(plan.on_request)
        self.assertIsNone(plan.on_response)

    def test_refuses_pseudo_and_framing_fields(self):
        for name in (":path", "content-length", "Transfer-Encoding", "connection", "a b", ""):
            self.assertTrue(faults(RequestEdits(set=((name, "x"),))), name)
        for edits in (RequestEdits(add=(("host", "x"),)), RequestEdits(remove=("host",)),
                      ResponseEdits(set=(("host", "x"),)), ResponseEdits(remove=(":status",))):
            self.assertEqual(len(faults(edits)), 1)

    def test_refuses_unknown_operators_and_controls(self):
        self.assertIn("unknown operator", faults(RequestEdits(set=(("x", "%NO%"),)))[0])
        self.assertIn("control", faults(ResponseEdits(add=(("x", "a\r\nb"),)))[0])


class Rewrites(unittest.TestCase):
    def rewritten(self, target, match=Match(prefix="/old"), **options):
        return edited(send(router(route(match=match, **options)), target=target))

    def test_prefix_is_replaced_and_the_query_stays(self):
        request = self.rewritten(b"/old/a?b=/old", prefix_rewrite="/new")
        self.assertEqual((request.target, request.path), (b"/new/a?b=/old", b"/new/a"))

    def test_old_path_is_kept(self):
        headers = self.rewritten(b"/old?x", prefix_rewrite="/").headers
        self.assertEqual(headers.get_all(b"x-envoy-original-path"), [b"/old?x"])

    def test_prefix_is_replaced_as_plain_text(self):
        self.assertEqual(self.rewritten(b"/old/baz", prefix_rewrite="/").target, b"//baz")
        self.assertEqual(self.rewritten(b"/old/baz", match=Match(prefix="/old/"), prefix_rewrite="/").target, b"/baz")

    def test_prefix_rewrite_of_exact_and_regex_replaces_the_path(self):
        for match in (Match(path="/old"), Match(regex="/o.d")):
            self.assertEqual(self.rewritten(b"/old?q", match=match, prefix_rewrite="/n").target, b"/n?q")

    def test_path_rewrite(self):
        self.assertEqual(self.rewritten(b"/old/x?q", path_rewrite="/n").target, b"/n?q")

    def test_regex_rewrite_replaces_every_occurrence(self):
        rewrite = RegexRewrite(pattern=r"/([a-z]+)/(\d)", substitution=r"/\2/\1\\")
        self.assertEqual(self.rewritten(b"/old/1/b/2?c", regex_rewrite=rewrite).target, b"/1/old\\/2/b\\?c")

    def test_group_text_is_not_expanded_again(self):
        rewrite = RegexRewrite(pattern=r"/old/(.*)/(.*)", substitution=r"/\1-\2")
        self.assertEqual(self.rewritten(rb"/old/\2/x", regex_rewrite=rewrite).target, rb"/\2-x")

    def test_a_result_without_a_slash_gets_one(self):
        rewrite = RegexRewrite(pattern="/old/", substitution="")
        self.assertEqual(self.rewritten(b"/old/x", regex_rewrite=rewrite).target, b"/x")

    def test_host_rewrite(self):
        request = self.rewritten(b"/old", host_rewrite="inner:81")
        self.assertEqual((request.host, request.headers.get(b"host")), (b"inner:81", b"inner:81"))

    def test_host_rewrite_from_a_field(self):
        filter = router(route(host_rewrite_header="X-Host", prefix_rewrite="/n"))
        request = edited(send(filter, headers=[(b"x-host", b"inner")]))
        self.assertEqual((request.host, request.path), (b"inner", b"/n"))
        self.assertEqual(edited(send(filter)).host, b"example.com")

    def test_what_is_no_host_does_not_become_one(self):
        for name, value in (("x-host", b"a b"), ("x-host", b"a/b"), ("x-host", b"a@b"), ("x-host", b"h" * 2000)):
            exchange = send(router(route(host_rewrite_header=name)), headers=[(name.encode(), value)])
            self.assertEqual(edited(exchange).host, b"example.com", value)

    def test_substitution_with_a_missing_group_is_a_fault(self):
        self.assertIn("1 groups", faults(RegexRewrite(pattern="(a)", substitution=r"\2"))[0])
        self.assertIn("backslash", faults(RegexRewrite(pattern="(a)", substitution="\\"))[0])

    def test_only_one_rewrite_of_each_kind(self):
        self.assertEqual(len(faults(route(prefix_rewrite="/a", path_rewrite="/b"))), 1)
        self.assertEqual(len(faults(route(host_rewrite="a", host_rewrite_header="b"))), 1)
        self.assertEqual(len(faults(route(None, redirect=Redirect(), prefix_rewrite="/a"))), 1)


class Redirects(unittest.TestCase):
    def location(self, target=b"/old?q=1", prefix="/old", host=b"foo.com", scheme=b"http", **options):
        head = request_head(b"GET", target, host=host)
        head.scheme = scheme
        exchange = send(router(route(None, prefix=prefix, redirect=Redirect(**options))), request=head)
        self.reply = exchange.replies[0]
        return self.reply.header(b"location")

    def test_https(self):
        self.assertEqual(self.location(https_redirect=True), b"https://foo.com/old?q=1")
        self.assertEqual((self.reply.status, self.reply.detail), (301, "direct_response"))

    def test_the_old_schemes_own_port_goes_with_it(self):
        self.assertEqual(self.location(https_redirect=True, host=b"foo.com:80"), b"https://foo.com/old?q=1")
        self.assertEqual(self.location(https_redirect=True, host=b"foo.com:8080"), b"https://foo.com:8080/old?q=1")
        self.assertEqual(self.location(path="/x", host=b"foo.com:80"), b"http://foo.com:80/x?q=1")

    def test_host_and_port(self):
        self.assertEqual(self.location(host=b"foo.com:1", port=8443), b"http://foo.com:8443/old?q=1")
        self.assertEqual(self.location(**{"scheme": b"https"}, port=1, path="/"), b"https://foo.com:1/?q=1")

    def test_other_host(self):
        filter = router(route(None, redirect=Redirect(host="bar.org", scheme="https")))
        self.assertEqual(send(filter, target=b"/a").replies[0].header(b"location"), b"https://bar.org/a")

    def test_path_with_its_own_query(self):
        self.assertEqual(self.location(path="/new?z"), b"http://foo.com/new?z")

    def test_prefix_rewrite_and_strip_query(self):
        options = {"target": b"/old/a?b", "prefix_rewrite": "/new"}
        self.assertEqual(self.location(**options), b"http://foo.com/new/a?b")
        self.assertEqual(self.location(**options, strip_query=True), b"http://foo.com/new/a")

    def test_without_a_host_it_is_relative_and_never_another_host(self):
        self.assertEqual(self.location(target=b"//evil.com/a", prefix="/", host=b"", response_code=302), b"/evil.com/a")

    def test_codes(self):
        self.location(response_code=307)
        self.assertEqual(self.reply.status, 307)
        self.assertTrue(faults(Redirect(response_code=304)))

    def test_response_edits_apply(self):
        edits = ResponseEdits(set=(("x-code", "%RESPONSE_CODE%"),))
        reply = send(router(route(None, redirect=Redirect(), response_headers=edits))).replies[0]
        self.assertEqual(reply.header(b"x-code"), b"301")


class DirectResponses(unittest.TestCase):
    def test_status_body_and_fields_with_substitutions(self):
        answer = DirectResponse(
            status=503, body="sorry %REQ(x)%",
            headers=(("Content-Type", "text/html"), ("retry-after", "5"), ("y", "%REQ(n)%")),
        )
        reply = send(router(route(None, direct_response=answer)), headers=[(b"x", b"you")]).replies[0]
        self.assertEqual((reply.status, reply.body, reply.content_type), (503, b"sorry you", b"text/html"))
        self.assertEqual(reply.header(b"retry-after"), b"5")
        self.assertEqual((reply.flag, reply.detail), (0, "direct_response"))

    def test_edits_of_the_virtual_host_apply(self):
        filter = router(
            route(None, direct_response=DirectResponse(status=200, headers=(("x", "1"),))),
            host={"response_headers": ResponseEdits(remove=("x",), set=(("z", "%PROTOCOL% %RESPONSE_CODE%"),))},
        )
        self.assertEqual(send(filter).replies[0].headers, ((b"z", b"HTTP/1.1 200"),))

    def test_faults(self):
        self.assertTrue(faults(DirectResponse(status=200, body="100%")))
        self.assertTrue(faults(DirectResponse(status=204, body="x")))
        self.assertTrue(faults(DirectResponse(status=200, headers=(("content-length", "1"),))))


class Actions(unittest.TestCase):
    def test_exactly_one(self):
        self.assertIn("got none", faults(route(None))[0])
        self.assertIn("got cluster, redirect", faults(route(redirect=Redirect()))[0])
        self.assertEqual(faults(route()), [])

    def test_references_name_every_cluster_with_its_place(self):
        shares = (WeightedCluster(name="beta"), WeightedCluster(name="gamma"))
        routes = (route(), route(None, redirect=Redirect()), route(None, weighted_clusters=shares))
        needs = references(Router(virtual_hosts=(VirtualHost(name="a", domains=("*",), routes=routes),)))
        self.assertEqual([(need.kind, need.name, need.path) for need in needs], [
            ("cluster", "users", "virtual_hosts[0].routes[0].cluster"),
            ("cluster", "beta", "virtual_hosts[0].routes[2].weighted_clusters[0].name"),
            ("cluster", "gamma", "virtual_hosts[0].routes[2].weighted_clusters[1].name"),
        ])

    def test_duplicate_domains_are_a_fault(self):
        one = VirtualHost(name="a", domains=("foo.com",))
        two = VirtualHost(name="b", domains=("FOO.com",))
        self.assertIn("stands twice, in 'a' and 'b'", faults(Router(virtual_hosts=(one, two)))[0])
        self.assertTrue(faults(Router(virtual_hosts=(VirtualHost(name="a", domains=("x", "X")),))))
        self.assertEqual(faults(Router(virtual_hosts=(one,))), [])

    def test_is_offered_as_terminal(self):
        self.assertTrue(meshd_plugins()[0].terminal)


class Policies(unittest.TestCase):
    def plugin(self, **options):
        return Plugin(kind="retry_policy", type="retry", config=None, name="retry", **options)

    def test_default_policy_is_built_once_for_all_routes(self):
        found = router(route(prefix="/a"), route()).routes
        self.assertIsNotNone(found[0].plan.retry)
        self.assertIs(found[0].plan.retry, found[1].plan.retry)

    def test_disabled_policy_means_no_retry(self):
        off = self.plugin(disabled=True)
        self.assertIsNone(router(route(retry=off)).routes[0].plan.retry)
        self.assertIsNone(router(route(), host={"retry": off}).routes[0].plan.retry)
        self.assertIsNotNone(router(route(retry=self.plugin()), host={"retry": off}).routes[0].plan.retry)

    def test_a_filter_may_be_off(self):
        filter = router(route(disabled_filters=("a",)), host={"disabled_filters": ("b",)})
        self.assertEqual(filter.routes[0].overrides, {"a": None, "b": None})
        both = route(filters=(("a", self.plugin()),), disabled_filters=("a",))
        self.assertIn("not both", faults(both)[0])

    def test_overrides_of_the_route_win_over_the_hosts(self):
        def override(**options):
            return Plugin(kind="http_filter", type="cors", config=None, name="cors", **options)
        mine = override()
        filter = router(
            route(prefix="/a", filters=(("cors", mine),)), route(),
            host={"filters": (("cors", override(disabled=True)), ("other", mine))},
        )
        self.assertEqual(filter.routes[0].overrides, {"cors": mine, "other": mine})
        self.assertEqual(filter.routes[1].overrides, {"cors": None, "other": mine})


class Building(unittest.TestCase):
    def test_unknown_cluster_fails_the_build(self):
        with self.assertRaises(KeyError):
            router(Route(match=Match(prefix="/"), cluster="none"))


class Recovery(unittest.TestCase):
    def extra(self, host=(), table=(), **options):
        return router(route(**options), host=host, table=table).routes[0].plan.extra

    def test_a_route_that_says_nothing_has_none(self):
        self.assertIsNone(self.extra(timeout_s=3.0, per_try_timeout_s=1.0, idle_timeout_s=9.0, hedge_policy=Hedge()))

    def test_each_option_makes_one(self):
        for options, name, value in (
            ({"priority": "high"}, "is_high", True), ({"max_stream_duration_s": 3.0}, "max_stream_s", 3.0),
            ({"per_try_idle_timeout_s": 2.0}, "per_try_idle_s", 2.0),
            ({"hedge_policy": Hedge(hedge_on_per_try_timeout=True)}, "hedges", True),
            ({"host": {"include_request_attempt_count": True}}, "attempt_in_request", True),
            ({"host": {"include_attempt_count_in_response": True}}, "attempt_in_response", True),
            ({"host": {"include_is_timeout_retry_header": True}}, "timeout_retry_in_request", True),
            ({"table": {"suppress_envoy_headers": False}}, "expected_timeout_in_request", True),
        ):
            self.assertEqual(getattr(self.extra(**options), name), value, name)

    def test_a_per_try_timeout_that_is_not_below_the_whole_counts_for_nothing(self):
        for per_try_s, request_s, wanted in ((2.0, 3.0, 2.0), (3.0, 3.0, 0.0), (3.0, 0.0, 3.0)):
            plan = router(route(per_try_timeout_s=per_try_s, timeout_s=request_s)).routes[0].plan
            self.assertEqual(plan.timeouts.per_try_s, wanted)

    def test_mirrors(self):
        site = make_site()
        edits = RequestEdits(set=(("x-copy", "%REQ(x-own)%"),))
        options = Mirror(cluster="beta", percent=0.0001, host_rewrite="other.test", request_headers=edits)
        mirror, = router(route(mirror=(options,)), site=site).routes[0].plan.extra.mirrors
        self.assertEqual((mirror.cluster.name, mirror.percent, mirror.keeps_host), ("beta", 0.0001, False))
        exchange = FakeExchange(headers=[(b"x-own", b"7")])
        mirror.edit(exchange)
        self.assertEqual(exchange.request.headers.get(b"x-copy"), b"7")
        self.assertEqual(exchange.request.host, b"other.test")
        mirror.dropped("overflow")
        family = site.metrics.counter("meshd_mirror_dropped_total", "", ("cluster_name", "reason"))
        self.assertEqual(family.cell("beta", "overflow").value, 1)

    def test_a_route_without_retries_has_a_policy_for_requests_that_ask(self):
        off = Plugin(kind="retry_policy", type="retry", config=None, name="retry", disabled=True)
        plan = router(route(retry=off)).routes[0].plan
        self.assertIsNone(plan.retry)
        self.assertTrue(plan.asked_retry.asked({b"x-envoy-retry-on": b"5xx"}).judges_responses)
