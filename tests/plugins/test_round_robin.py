"""The round robin balancer."""

import unittest
from collections import Counter

from meshd.testing.exchange import FakeExchange
from meshd.testing.site import FakeSite, FakeWorld
from tests.plugins.balancer_case import endpoints, picked, shares


def balancer(*weights, seed=1):
    """Return a balancer over endpoints of these weights, and the endpoints."""
    found = FakeSite(world=FakeWorld(seed)).make("load_balancer", "round_robin")
    given = endpoints(*weights)
    found.update(given)
    return found, given


class EqualWeights(unittest.TestCase):
    def test_each_in_turn(self):
        found, _ = balancer(1, 1, 1)
        text = picked(found, 6)
        self.assertIn(text[:3], "abcabc")
        self.assertEqual(text[:3], text[3:])

    def test_start_is_random(self):
        self.assertEqual({picked(balancer(1, 1, 1, seed=seed)[0], 1) for seed in range(30)}, set("abc"))

    def test_nothing_to_pick(self):
        found, _ = balancer()
        self.assertIsNone(found.pick(FakeExchange()))

    def test_last_endpoint_goes_and_nothing_is_picked(self):
        found, _ = balancer(1)
        found.update(())
        self.assertIsNone(found.pick(FakeExchange()))


class UnequalWeights(unittest.TestCase):
    def test_shares_follow_weights(self):
        found, _ = balancer(5, 1, 2)
        self.assertEqual(shares(found, 800), Counter(a=500, b=100, c=200))

    def test_is_smooth(self):
        text = picked(balancer(3, 3, 1)[0], 70)
        self.assertNotIn("aa" "a", text)
        self.assertTrue(all("c" in text[start:start + 10] for start in range(60)))

    def test_start_is_random(self):
        self.assertGreater(len({picked(balancer(3, 2, 2, seed=seed)[0], 1) for seed in range(30)}), 1)


class Retries(unittest.TestCase):
    def test_avoids_what_was_tried(self):
        for weights in ((1, 1, 1), (3, 2, 1)):
            found, (a, b, c) = balancer(*weights)
            for _ in range(6):
                self.assertIs(found.pick(FakeExchange(tried=(a, b))), c)

    def test_picks_a_tried_one_where_there_is_no_other(self):
        found, (a, b) = balancer(1, 1)
        self.assertIn(found.pick(FakeExchange(tried=(a, b))), (a, b))


    def test_a_retry_takes_no_turn(self):
        for weights in ((1, 1), (1, 1, 1), (3, 2)):
            found, given = balancer(*weights)
            dead, firsts = given[0], Counter()
            for _ in range(60):
                first = found.pick(FakeExchange())
                firsts[first is dead] += 1
                if first is dead:
                    self.assertIsNot(found.pick(FakeExchange(tried=(dead,))), dead)
            self.assertEqual(firsts[True], 60 * weights[0] // sum(weights))


class Updates(unittest.TestCase):
    def test_goes_on_where_it_stood(self):
        found, (a, b, c) = balancer(1, 1, 1)
        first = found.pick(FakeExchange())
        following = {a: b, b: c, c: a}[first]
        (new,) = endpoints(1)
        found.update((new, a, b, c))
        self.assertIs(found.pick(FakeExchange()), following)

    def test_goes_on_behind_one_that_left(self):
        found, (a, b, c) = balancer(1, 1, 1)
        while found.pick(FakeExchange()) is not a:
            pass
        found.update((a, c))
        self.assertIs(found.pick(FakeExchange()), c)

    def test_weights_that_stay_keep_their_turn(self):
        found, given = balancer(4, 2, 1)
        before = picked(found, 5)
        found.update(given)
        twin, _ = balancer(4, 2, 1)
        self.assertEqual(before + picked(found, 9), picked(twin, 14))

    def test_changes_between_equal_and_unequal(self):
        found, given = balancer(1, 1)
        found.update(endpoints(1, 3))
        self.assertEqual(shares(found, 400), Counter(a=100, b=300))
        found.update(given)
        self.assertEqual(shares(found, 400), Counter(a=200, b=200))
