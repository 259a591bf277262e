"""The random balancer."""

import unittest

from meshd.testing.contract.cluster import LoadBalancerContract
from meshd.testing.exchange import FakeExchange
from meshd.testing.site import FakeSite
from tests.plugins.balancer_case import endpoints, shares

PICKS = 100_000


def balancer(*weights):
    """Return a balancer over endpoints of these weights, and the endpoints."""
    found, given = FakeSite().make("load_balancer", "random"), endpoints(*weights)
    found.update(given)
    return found, given


class Contract(LoadBalancerContract, unittest.TestCase):
    def make(self):
        return FakeSite().make("load_balancer", "random")


class RandomChoice(unittest.TestCase):
    def test_shares_are_weights_over_their_sum(self):
        for weights in ((1, 1, 1, 1), (1, 2, 5)):
            counts = shares(balancer(*weights)[0], PICKS)
            for name, weight in zip("abcd", weights):
                self.assertAlmostEqual(counts[name] / PICKS, weight / sum(weights), delta=0.01)

    def test_a_retry_finds_the_one_that_was_not_tried(self):
        for weights in ((1,) * 10, (100,) * 9 + (1,)):
            found, given = balancer(*weights)
            for _ in range(20):
                self.assertIs(found.pick(FakeExchange(tried=given[:9])), given[9])
