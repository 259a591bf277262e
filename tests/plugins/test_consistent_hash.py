"""The balancers ``ring_hash`` and ``maglev``: shares, movement of keys, tables beside the picks."""

import unittest
from collections import Counter

from meshd.api import TcpPlan
from meshd.testing.contract.cluster import LoadBalancerContract
from meshd.testing.exchange import FakeExchange, request_head
from meshd.testing.site import FakeSite, FakeTime
from meshd_plugins.consistent_hash import MaglevOptions, RingHashOptions, is_prime
from meshd_plugins.consistent_hash.key import HashRule
from tests.plugins.balancer_case import FakeEndpoint

BY_USER = (HashRule(header="x-user"),)
OPTIONS = {"ring_hash": RingHashOptions, "maglev": MaglevOptions}
PICKS = 100_000


def endpoints(count, weights=(1,)):
    """Return endpoints whose weights are ``weights`` in turn."""
    return tuple(FakeEndpoint(f"10.0.0.{place}:80", weights[place % len(weights)]) for place in range(count))


def make(kind, site=None, **options):
    """Return a balancer that hashes ``x-user``."""
    return (site or FakeSite()).make("load_balancer", kind, OPTIONS[kind](hash=BY_USER, **options))


def of(key, **attributes):
    """Return a request of a user."""
    return FakeExchange(headers=[(b"x-user", b"user-%d" % key)], **attributes)


def map_of(balancer, keys=1000):
    """Return the endpoint of each key."""
    return [balancer.pick(of(key)) for key in range(keys)]


class LateTime(FakeTime):
    """Goes on at each look, so that every slice is over at once."""

    def now(self):
        self._now_s += 1.0
        return super().now()


class Shares(unittest.TestCase):
    def shares(self, kind, weights):
        """Return the picks of each weight over those that its formula gives."""
        balancer = make(kind)
        balancer.update(endpoints(10, weights))
        found = Counter()
        for _ in range(PICKS):
            found[balancer.pick(FakeExchange()).weight] += 1
        total = sum(weights) * 10 / len(weights)
        return {weight: found[weight] / (PICKS * weight * 10 / len(weights) / total) for weight in weights}

    def test_maglev_gives_each_its_weight(self):
        for share in self.shares("maglev", (1, 4)).values():
            self.assertAlmostEqual(share, 1.0, delta=0.03)

    def test_a_ring_gives_each_its_weight_as_well_as_its_size_allows(self):
        for share in self.shares("ring_hash", (1, 4)).values():
            self.assertAlmostEqual(share, 1.0, delta=0.15)


class Movement(unittest.TestCase):
    def moved(self, kind, before, after):
        """Return the share of keys that another endpoint gets, of those whose endpoint stays, and of all."""
        balancer = make(kind)
        balancer.update(before)
        was = map_of(balancer)
        balancer.update(after)
        now = map_of(balancer)
        stays = [one is not two for one, two in zip(was, now) if one in after]
        return sum(stays) / len(stays), sum(one is not two for one, two in zip(was, now)) / len(was)

    def test_one_endpoint_less_moves_its_own_keys_and_few_others(self):
        given = endpoints(20)
        for kind, others in (("ring_hash", 0.05), ("maglev", 0.03)):
            with self.subTest(kind):
                of_others, of_all = self.moved(kind, given, given[:7] + given[8:])
                self.assertLessEqual(of_others, others)
                self.assertAlmostEqual(of_all, 1 / 20, delta=0.03)

    def test_one_more_takes_its_share_and_leaves_the_rest(self):
        given = endpoints(21)
        for kind, most in (("ring_hash", 3 / 21), ("maglev", 1.5 / 21)):  # a ring's nodes are shared out anew
            with self.subTest(kind):
                _, of_all = self.moved(kind, given[:20], given)
                self.assertTrue(0.7 / 21 < of_all < most, of_all)


class Picks(unittest.TestCase):
    def test_a_key_has_its_endpoint_whatever_happens_to_the_order(self):
        given = endpoints(20)
        for kind in OPTIONS:
            balancer, other = make(kind), make(kind)
            balancer.update(given)
            other.update(given[::-1])
            same = sum(one is two for one, two in zip(map_of(balancer), map_of(other)))
            self.assertEqual(same, 1000, kind)

    def test_a_retry_comes_to_the_key_s_next_place(self):
        for kind in OPTIONS:
            balancer, given = make(kind), endpoints(20)
            balancer.update(given)
            first = balancer.pick(of(1))
            second = balancer.pick(of(1, tried=(first,)))
            self.assertIsNot(second, first)
            self.assertIs(balancer.pick(of(1, tried=(first,))), second)
            self.assertIs(balancer.pick(of(1, tried=given[1:])), given[0])

    def test_where_the_retry_policy_keeps_the_host_it_is_the_same(self):
        for kind in OPTIONS:
            balancer = make(kind)
            balancer.update(endpoints(20))
            self.assertIs(balancer.pick(of(1, tried=())), balancer.pick(of(1)))

    def test_warming_up_moves_no_key(self):
        class Spec:
            weight = 10

        for kind in OPTIONS:
            balancer, given = make(kind), endpoints(5, (10,))
            for one in given:
                one.spec = Spec
            balancer.update(given)
            was = map_of(balancer)
            given[0].weight = 1.0
            balancer.update(given)
            self.assertEqual(map_of(balancer), was)

    def test_a_label_may_stand_for_the_address(self):
        balancer, other = make("ring_hash", hash_key_label="id"), make("ring_hash", hash_key_label="id")
        given, moved = endpoints(5), tuple(FakeEndpoint(f"10.9.9.{place}:80") for place in range(5))
        for set_ in (given, moved):
            for place, one in enumerate(set_):
                one.labels = (("id", f"node-{place}"),)
        balancer.update(given)
        other.update(moved)
        places = [given.index(one) for one in map_of(balancer)]
        self.assertEqual([moved.index(one) for one in map_of(other)], places)


class Tables(unittest.TestCase):
    def test_the_old_table_answers_while_the_new_one_is_made(self):
        for kind in OPTIONS:
            site = FakeSite(time=LateTime())
            balancer, given = make(kind, site), endpoints(10)
            balancer.update(given)
            was = map_of(balancer)
            more = (*given, *endpoints(20)[10:])
            balancer.update(more)
            self.assertEqual(map_of(balancer), was)
            self.turn(site)
            self.assertGreater(len(set(map_of(balancer)) - set(given)), 5)

    def test_what_has_gone_is_not_picked_meanwhile(self):
        for kind in OPTIONS:
            site = FakeSite(time=LateTime())
            balancer, given = make(kind, site), endpoints(10)
            balancer.update(given)
            was = map_of(balancer)
            balancer.update(given[1:])
            now = map_of(balancer)
            self.assertNotIn(given[0], now)
            self.assertTrue(all(one is two for one, two in zip(was, now) if one is not given[0]))
            self.turn(site)
            self.assertNotIn(given[0], map_of(balancer))

    def test_churn_does_not_keep_tables_from_being_finished(self):
        site = FakeSite(time=LateTime())
        balancer = make("maglev", site, table_size=4001)
        balancer.update(endpoints(5))
        map_of(balancer, 1)
        for count in range(6, 100):
            balancer.update(endpoints(count))
            call, = site.world.reactor.getDelayedCalls()
            function, args = call.func, call.args
            call.cancel()
            function(*args)
        self.assertGreater(len(set(map_of(balancer))), 50)
        balancer.stop()
        self.assertEqual(site.world.reactor.getDelayedCalls(), [])

    def test_the_last_endpoint_goes_while_a_table_is_made(self):
        site = FakeSite(time=LateTime())
        balancer = make("maglev", site)
        balancer.update(endpoints(5))
        map_of(balancer, 1)
        balancer.update(endpoints(6))
        balancer.update(())
        self.assertIsNone(balancer.pick(of(1)))
        self.turn(site)
        self.assertIsNone(balancer.pick(of(1)))

    def test_the_only_endpoint_goes_before_its_table_is_made(self):
        balancer = make("maglev", FakeSite(time=LateTime()))
        balancer.update(endpoints(1))
        balancer.update(())
        self.assertIsNone(balancer.pick(of(1)))

    def turn(self, site):
        """Let every slice be made: an advance makes what is due at once, however often it comes again."""
        site.advance(0.0)
        self.assertEqual(site.world.reactor.getDelayedCalls(), [])


class Options(unittest.TestCase):
    def test_table_sizes_are_prime(self):
        self.assertEqual(list(MaglevOptions(table_size=65537).check()), [])
        self.assertEqual(list(MaglevOptions(table_size=5_000_011).check()), [])
        self.assertEqual(len(list(MaglevOptions(table_size=65536).check())), 1)
        self.assertEqual([number for number in range(20) if is_prime(number)], [2, 3, 5, 7, 11, 13, 17, 19])

    def test_a_ring_is_not_smaller_than_its_minimum(self):
        self.assertEqual(len(list(RingHashOptions(minimum_ring_size=9, maximum_ring_size=8).check())), 1)


class RingHashContract(LoadBalancerContract, unittest.TestCase):
    def make(self):
        return FakeSite().make("load_balancer", "ring_hash")


class MaglevContract(LoadBalancerContract, unittest.TestCase):
    def make(self):
        return FakeSite().make("load_balancer", "maglev")


class Connections(unittest.TestCase):
    def session(self, key):
        """Return a connection of TCP whose proxy says this key."""
        return FakeExchange(request=request_head(version=0), plan=TcpPlan(hash_key=lambda session: key))

    def test_a_proxys_own_policy_is_asked_in_the_place_of_the_clusters(self):
        for kind in OPTIONS:
            balancer = make(kind)
            balancer.update(endpoints(5))
            asked = [self.session(key << 56) for key in range(50)]
            found = [balancer.pick(one) for one in asked]
            self.assertEqual(found, [balancer.pick(one) for one in asked])
            self.assertGreater(len(set(found)), 2)
            self.assertGreater(len({balancer.pick(self.session(None)) for _ in range(50)}), 1)
