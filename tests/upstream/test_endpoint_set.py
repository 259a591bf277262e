"""The endpoints of a cluster as they are picked: 100,000 picks against the formulas."""

import random
import unittest
from collections import Counter
from types import SimpleNamespace

from meshd.model.balancing import Balancing, Distribution, Locality, ZoneAware
from meshd.model.cluster import EndpointSpec
from meshd.model.health import DEGRADED_ACTIVE_CHECK, FAILED, FAILED_ACTIVE_CHECK, PENDING_CHECK
from meshd.model.snapshot import Node
from meshd.testing.exchange import FakeExchange
from meshd.testing.site import FakeSite
from meshd.upstream.endpoint import Endpoint
from meshd.upstream.endpoint_set import EndpointSet
from meshd_plugins.consistent_hash import RingHashOptions
from meshd_plugins.consistent_hash.key import HashRule

PICKS = 100_000
POLICIES = ("round_robin", "least_request", "random", "peak_ewma", "ring_hash", "maglev")
HERE = "eu/a"


def endpoint(place, priority=0, locality="", bits=0, weight=1):
    """Return an endpoint with these health flags."""
    spec = EndpointSpec(
        address=f"10.{priority}.0.{place}:80", priority=priority, locality=locality, weight=weight)
    made = Endpoint(spec, None)
    made.bits, made.healthy = bits, not bits & FAILED
    return made


def level(priority, well, failed=0, degraded=0, locality="", pending=0):
    """Return the endpoints of a priority."""
    flags = [0] * well + [FAILED_ACTIVE_CHECK] * failed + [DEGRADED_ACTIVE_CHECK] * degraded + [PENDING_CHECK] * pending
    return [endpoint(place, priority, locality, bits) for place, bits in enumerate(flags)]


def zone(name, well, failed=0, weight=1):
    """Return the endpoints of a locality."""
    start = sum(name.encode()) * 50 % 200
    return [endpoint(start + place, 0, name, 0 if place < well else FAILED_ACTIVE_CHECK, weight)
            for place in range(well + failed)]


def made(endpoints, policy="random", balancing=Balancing(), config=None, own=()):
    """Return an EndpointSet over ``endpoints`` and its pick."""
    balancer = FakeSite().make("load_balancer", policy, config)
    found = EndpointSet(balancing, balancer, random.Random(7), Node(locality=HERE), lambda: own)
    return found, found.update(tuple(endpoints))


def percents(pick, of, count=PICKS, **attributes):
    """Return what each group of endpoints (by ``of``) gets, in percent."""
    exchange = FakeExchange(**attributes)
    found = Counter(of(pick(exchange)) for _ in range(count))
    return {key: 100.0 * number / count for key, number in found.items()}


def priority_of(one):
    return one.priority


def locality_of(one):
    return one.locality


class Case(unittest.TestCase):
    def check(self, found, expected, delta=1.0):
        """Compare percentages."""
        self.assertLessEqual(set(found), {key for key, percent in expected.items() if percent}, found)
        for key, percent in expected.items():
            self.assertAlmostEqual(found.get(key, 0.0), percent, delta=delta, msg=f"{key}: {found}")


class Priorities(Case):
    def test_every_policy_shares_by_overprovisioning_1_4(self):
        for policy in POLICIES:
            with self.subTest(policy):
                _, pick = made(level(0, 50, 50) + level(1, 100), policy)
                self.check(percents(pick, priority_of), {0: 70, 1: 30})

    def test_72_percent_carry_all(self):
        _, pick = made(level(0, 72, 28) + level(1, 10))
        self.check(percents(pick, priority_of, 1000), {0: 100})

    def test_three_priorities(self):
        _, pick = made(level(0, 25, 75) + level(1, 25, 75) + level(2, 10))
        self.check(percents(pick, priority_of), {0: 35, 1: 35, 2: 30})

    def test_a_priority_without_endpoints_is_passed_over(self):
        _, pick = made(level(2, 3))
        self.check(percents(pick, priority_of, 1000), {2: 100})

    def test_only_healthy_ones_are_picked(self):
        _, pick = made(level(0, 50, 50) + level(1, 100))
        self.assertEqual(percents(pick, lambda one: one.healthy, 10_000), {True: 100.0})

    def test_endpoints_that_wait_for_their_first_check_do_not_count(self):
        found, pick = made(level(0, 5, pending=20) + level(1, 10))
        self.check(percents(pick, priority_of, 1000), {0: 100})
        self.assertEqual(percents(pick, lambda one: bool(one.bits), 1000), {False: 100.0})

    def test_a_retry_may_leave_out_the_priorities_that_were_tried(self):
        endpoints = level(0, 10) + level(1, 10)
        _, pick = made(endpoints)
        retry = SimpleNamespace(reselect_priority_every=1)
        self.check(percents(pick, priority_of, 1000), {0: 100})
        plan, tried = SimpleNamespace(retry=retry), (endpoints[0],)
        _, pick = made(level(0, 5, 5) + level(1, 10))
        self.check(percents(pick, priority_of, 10_000, tried=tried, plan=plan), {1: 100})
        self.check(percents(pick, priority_of, PICKS, tried=tried), {0: 70, 1: 30})

    def test_balancers_of_groups_that_stay_keep_their_place(self):
        endpoints = level(0, 10) + level(1, 10)
        found, pick = made(endpoints, "round_robin")
        first = [pick(FakeExchange()) for _ in range(3)]
        pick = found.update(tuple(endpoints[:10] + endpoints[11:]))
        following = [pick(FakeExchange()) for _ in range(7)]
        self.assertEqual(len(set(first + following)), 10)


class Panic(Case):
    def test_below_half_all_are_used(self):
        for policy in POLICIES:
            with self.subTest(policy):
                _, pick = made(level(0, 30, 70), policy)
                self.check(percents(pick, lambda one: one.healthy), {True: 30, False: 70}, 4.0)

    def test_at_half_only_the_healthy_ones(self):
        _, pick = made(level(0, 50, 50))
        self.assertEqual(percents(pick, lambda one: one.healthy, 5000), {True: 100.0})

    def test_another_priority_with_enough_prevents_it(self):
        _, pick = made(level(0, 25, 75) + level(1, 10))
        self.check(percents(pick, lambda one: (one.priority, one.healthy)), {(0, True): 35, (1, True): 65})

    def test_one_priority_in_panic_and_one_not(self):
        _, pick = made(level(0, 5, 95) + level(1, 65, 35))
        found = percents(pick, lambda one: (one.priority, one.healthy))
        self.check(found, {(0, True): 7.1 * .05, (0, False): 7.1 * .95, (1, True): 92.9})

    def test_may_fail_instead(self):
        _, pick = made(level(0, 30, 70), balancing=Balancing(fail_on_panic=True))
        self.assertIsNone(pick(FakeExchange()))

    def test_a_threshold_of_nothing_turns_it_off(self):
        _, pick = made(level(0, 0, 10), balancing=Balancing(panic_threshold=0.0))
        self.assertIsNone(pick(FakeExchange()))
        _, pick = made(level(0, 1, 99), balancing=Balancing(panic_threshold=0.0))
        self.assertEqual(percents(pick, lambda one: one.healthy, 100), {True: 100.0})


class Degraded(Case):
    def test_fill_what_the_healthy_ones_cannot(self):
        for policy in POLICIES:
            with self.subTest(policy):
                _, pick = made(level(0, 25, 10, 65), policy)
                found = percents(pick, lambda one: bool(one.bits))
                self.check(found, {False: 35, True: 65})

    def test_71_percent_leave_them_one_in_a_hundred(self):
        _, pick = made(level(0, 71, 0, 29))
        self.check(percents(pick, lambda one: bool(one.bits)), {False: 99.4, True: 0.6}, 0.3)


class Localities(Case):
    def weighted(self, *ones, policy="random", **weights):
        weights = tuple((name.replace("_", "/"), weight) for name, weight in weights.items())
        balancing = Balancing(locality=Locality(mode="weighted", weights=weights))
        return made([one for part in ones for one in part], policy, balancing)[1]

    def test_share_by_their_weights_and_what_is_well_of_them(self):
        rows = {100: 33.3, 70: 33, 50: 25.9, 25: 14.9, 0: 0}
        for well, percent in rows.items():
            with self.subTest(well):
                pick = self.weighted(zone("x", well, 100 - well), zone("y", 100), x=1, y=2)
                self.check(percents(pick, locality_of), {"x": percent, "y": 100 - percent})

    def test_the_number_of_endpoints_does_not_count(self):
        for policy in ("round_robin", "least_request", "random", "peak_ewma"):
            pick = self.weighted(zone("x", 2), zone("y", 20), policy=policy, x=1, y=1)
            self.check(percents(pick, locality_of), {"x": 50, "y": 50})

    def test_those_without_a_weight_get_nothing(self):
        pick = self.weighted(zone("x", 2), zone("y", 2), x=1)
        self.check(percents(pick, locality_of, 1000), {"x": 100})

    def test_distribute(self):
        rules = (Distribution(source="eu/*", targets=(("eu/a", 70), ("eu/b", 20), ("us/*", 10))),)
        balancing = Balancing(locality=Locality(mode="distribute", distribute=rules))
        endpoints = zone("eu/a", 2) + zone("eu/b", 10) + zone("us/a", 3) + zone("us/b", 3) + zone("asia/a", 50)
        _, pick = made(endpoints, balancing=balancing)
        self.check(percents(pick, locality_of), {"eu/a": 70, "eu/b": 20, "us/a": 5, "us/b": 5})

    def test_zone_aware(self):
        aware = Locality(mode="zone_aware", zone_aware=ZoneAware(local_cluster="own"))
        own = zone("eu/a", 6) + zone("eu/b", 2) + zone("eu/c", 2)
        endpoints = zone("eu/a", 3) + zone("eu/b", 4) + zone("eu/c", 3)
        _, pick = made(endpoints, balancing=Balancing(locality=aware), own=own)
        self.check(percents(pick, locality_of), {"eu/a": 50, "eu/b": 33.3, "eu/c": 16.7})

    def test_zone_aware_for_half_of_the_requests(self):
        aware = Locality(mode="zone_aware", zone_aware=ZoneAware(local_cluster="own", enabled_percent=50.0))
        _, pick = made(zone("eu/a", 5) + zone("eu/b", 5), balancing=Balancing(locality=aware),
                       own=zone("eu/a", 5) + zone("eu/b", 5))
        self.check(percents(pick, locality_of), {"eu/a": 75, "eu/b": 25})

    def test_a_small_cluster_is_not_zone_aware(self):
        aware = Locality(mode="zone_aware", zone_aware=ZoneAware(local_cluster="own"))
        _, pick = made(zone("eu/a", 1) + zone("eu/b", 4), balancing=Balancing(locality=aware),
                       own=zone("eu/a", 5) + zone("eu/b", 5))
        self.check(percents(pick, locality_of), {"eu/a": 20, "eu/b": 80})

    def test_do_not_count_where_a_key_decides(self):
        pick = self.weighted(zone("x", 5), zone("y", 15), policy="maglev", x=1)
        self.check(percents(pick, locality_of), {"x": 25, "y": 75})


class Keys(Case):
    OPTIONS = RingHashOptions(hash=(HashRule(header="x-user"),))

    def request(self, number):
        return FakeExchange(headers=[(b"x-user", b"user-%d" % number)])

    def test_a_key_stays_in_its_priority_and_at_its_endpoint(self):
        _, pick = made(level(0, 50, 50) + level(1, 100), "ring_hash", config=self.OPTIONS)
        found = Counter()
        for number in range(2000):
            first = pick(self.request(number))
            self.assertIs(pick(self.request(number)), first)
            found[first.priority] += 1
        self.assertAlmostEqual(found[0] / 2000, 0.7, delta=0.03)


class Weights(Case):
    def test_endpoints_share_by_weight_in_every_priority(self):
        for policy in ("round_robin", "least_request", "random", "maglev"):
            with self.subTest(policy):
                _, pick = made([endpoint(place, weight=1 + place % 3) for place in range(9)], policy)
                self.check(percents(pick, lambda one: one.weight), {1: 100 / 6, 2: 200 / 6, 3: 300 / 6})

    def test_one_that_warms_up_gets_its_part_of_a_share_at_each_step(self):
        for policy in ("round_robin", "least_request"):
            with self.subTest(policy):
                endpoints = [endpoint(place) for place in range(10)]
                new, found = endpoints[0], None
                found, pick = made(endpoints, policy)
                for step in range(1, 21):
                    new.weight = step / 20
                    pick = found.update(tuple(endpoints))
                    share = percents(pick, lambda one: one is new, 5000)[True]
                    self.assertAlmostEqual(share, 100 * new.weight / (9 + new.weight), delta=0.5)

    def test_steps_faster_than_turns_neither_starve_nor_flood(self):
        for policy in ("round_robin", "least_request"):
            with self.subTest(policy):
                endpoints = [endpoint(place) for place in range(100)]
                found, _ = made(endpoints, policy)
                new = endpoints[:20]
                count, expected = 0, 0.0
                for step in range(400):
                    for one in new:
                        one.weight = 0.1 + 0.9 * step / 400
                    pick = found.update(tuple(endpoints))
                    count += sum(pick(FakeExchange()) in new for _ in range(10))
                    expected += 10 * 20 * new[0].weight / (80 + 20 * new[0].weight)
                self.assertAlmostEqual(count / expected, 1.0, delta=0.1)
