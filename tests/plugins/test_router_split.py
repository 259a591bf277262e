"""A split whose shares are more than clusters: answers, redirects and rewrites that one share gets."""

import unittest
from collections import Counter

from meshd.testing.exchange import request_head
from meshd_plugins.router.config import DirectResponse, Redirect, Router, VirtualHost, WeightedCluster
from meshd_plugins.router.edit_config import ResponseEdits
from meshd_plugins.router.reference import references
from tests.plugins.reading import read
from tests.plugins.router_case import edited, faults, make_site, route, router, send

BROKEN = WeightedCluster(direct_response=DirectResponse(status=500, body="broken"), weight=1)


def split(*shares, prefix="/", site=None, **options):
    return router(route(None, prefix=prefix, weighted_clusters=shares, **options), site=site)


class ResponseEditsOfShares(unittest.TestCase):
    """Of plain clusters, which the exchange draws."""

    def answered(self, filter):
        exchange = send(filter)
        row = exchange.plan.clusters[0]
        if row[2] is not None:
            row[2](exchange)
        exchange.respond(200)
        if exchange.plan.on_response is not None:
            exchange.plan.on_response(exchange)
        return exchange.response.headers

    def test_the_share_s_run_before_the_route_s(self):
        share = WeightedCluster(name="users", response_headers=ResponseEdits(set=(("x-a", "share"), ("x-b", "share"))))
        headers = self.answered(split(share, WeightedCluster(name="beta"),
                                      response_headers=ResponseEdits(set=(("x-b", "route"),))))
        self.assertEqual((headers.get(b"x-a"), headers.get(b"x-b")), (b"share", b"route"))

    def test_another_share_has_none_of_them(self):
        share = WeightedCluster(name="beta", response_headers=ResponseEdits(set=(("x-a", "share"),)))
        self.assertIsNone(self.answered(split(WeightedCluster(name="users"), share)).get(b"x-a"))

    def test_a_share_alone_has_them_too(self):
        share = WeightedCluster(name="users", response_headers=ResponseEdits(set=(("x-a", "share"),)))
        self.assertEqual(self.answered(split(share)).get(b"x-a"), b"share")

    def test_a_split_without_any_has_no_edit_at_all(self):
        self.assertIsNone(send(split(WeightedCluster(name="users"), WeightedCluster(name="beta"))).plan.on_response)


class SplitShares(unittest.TestCase):
    def test_a_share_is_answered_in_proportion_and_the_rest_forwarded(self):
        filter = split(WeightedCluster(name="users", weight=3), BROKEN)
        found = Counter(bool(send(filter).replies) for _ in range(4000))
        self.assertAlmostEqual(found[True] / 4000, 0.25, delta=0.05)

    def test_the_forwarded_share_has_the_routes_timeouts_and_its_own_cluster(self):
        site = make_site()
        filter = split(WeightedCluster(name="beta"), WeightedCluster(
            direct_response=DirectResponse(status=500), weight=0), timeout_s=3.0, site=site)
        plan = send(filter).plan
        self.assertEqual((plan.clusters[0][1], plan.timeouts.request_s), (site.cluster("beta"), 3.0))

    def test_a_share_alone_gets_everything_whatever_its_weight(self):
        self.assertEqual(send(split(WeightedCluster(direct_response=DirectResponse(status=503), weight=0))).replies[0]
                         .status, 503)

    def test_a_share_of_weight_0_gets_nothing(self):
        filter = split(WeightedCluster(name="users"), WeightedCluster(
            direct_response=DirectResponse(status=500), weight=0))
        self.assertFalse(any(send(filter).replies for _ in range(200)))

    def test_an_answer_has_the_edits_of_share_and_route(self):
        share = WeightedCluster(direct_response=DirectResponse(status=500),
                                response_headers=ResponseEdits(set=(("x-share", "1"),)))
        reply = send(split(share, response_headers=ResponseEdits(add=(("x-route", "2"),)))).replies[0]
        self.assertEqual((reply.header(b"x-share"), reply.header(b"x-route")), (b"1", b"2"))

    def test_the_upstreams_answer_has_the_edits_of_share_and_route(self):
        share = WeightedCluster(name="users", response_headers=ResponseEdits(set=(("x-share", "1"),)))
        other = WeightedCluster(name="beta", response_headers=ResponseEdits(set=(("x-other", "1"),)), weight=0)
        for shares in ((share, other), (share,)):
            exchange = send(split(*shares, response_headers=ResponseEdits(add=(("x-share", "2"),))))
            exchange.respond()
            exchange.plan.on_response(exchange)
            headers = exchange.response.headers
            self.assertEqual((headers.get_all(b"x-share"), headers.get(b"x-other")), ([b"1", b"2"], None))

    def test_a_share_is_redirected_with_the_prefix_of_the_route(self):
        share = WeightedCluster(redirect=Redirect(prefix_rewrite="/new", response_code=302))
        reply = send(split(share, prefix="/old"), target=b"/old/a?b=c").replies[0]
        self.assertEqual((reply.status, reply.header(b"location")), (302, b"http://example.com/new/a?b=c"))

    def test_the_rewrite_of_a_share_stands_in_place_of_the_routes(self):
        share = WeightedCluster(name="users", path_rewrite="/share", host_rewrite="share.example")
        request = edited(send(split(share, prefix="/old", prefix_rewrite="/route", host_rewrite="route.example"),
                              target=b"/old/a"))
        self.assertEqual((request.target, request.host), (b"/share", b"share.example"))

    def test_a_share_without_a_rewrite_keeps_the_routes(self):
        filter = split(WeightedCluster(name="users"), WeightedCluster(name="beta", path_rewrite="/b", weight=0),
                       prefix="/old", prefix_rewrite="/new")
        self.assertEqual(edited(send(filter, target=b"/old/a")).target, b"/new/a")


class ShareFaults(unittest.TestCase):
    def test_a_share_is_exactly_one_thing(self):
        self.assertIn("expected exactly one of name, direct_response, redirect, got none", faults(WeightedCluster()))
        both = WeightedCluster(name="a", redirect=Redirect())
        self.assertIn("expected exactly one of name, direct_response, redirect, got name, redirect", faults(both))

    def test_an_answered_share_has_nothing_to_rewrite(self):
        share = WeightedCluster(redirect=Redirect(), path_rewrite="/a")
        self.assertEqual(faults(share), ["expected no path_rewrite beside redirect"])

    def test_one_path_rewrite_at_most(self):
        share = WeightedCluster(name="a", path_rewrite="/a", prefix_rewrite="/b")
        self.assertEqual(faults(share), ["expected at most one of prefix_rewrite, path_rewrite, got both"])

    def test_a_share_is_read_as_written(self):
        found, said = read(WeightedCluster, "{direct_response: {status: 500}, weight: 2}")
        self.assertEqual((found.direct_response.status, found.weight, said), (500, 2, []))

    def test_only_clusters_are_referred_to(self):
        table = Router(virtual_hosts=(VirtualHost(name="a", domains=("*",), routes=(
            route(None, weighted_clusters=(WeightedCluster(name="users"), BROKEN)),)),))
        self.assertEqual([need.name for need in references(table)], ["users"])


class StripPort(unittest.TestCase):
    def test_the_port_of_host_goes_and_no_other_comes(self):
        for strips, place in ((True, b"http://a.com/x"), (False, b"http://a.com:8080/x")):
            filter = router(route(None, redirect=Redirect(strip_port=strips)))
            reply = send(filter, request=request_head(target=b"/x", host=b"a.com:8080")).replies[0]
            self.assertEqual(reply.header(b"location"), place)
