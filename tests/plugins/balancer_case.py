"""Endpoints and requests for the tests of load balancers."""

from collections import Counter

from zope.interface import implementer

from meshd.api import IEndpoint
from meshd.testing.exchange import FakeExchange


@implementer(IEndpoint)
class FakeEndpoint:
    """An endpoint with a weight and a number of requests in flight."""

    healthy = True
    labels = ()
    locality = ""
    priority = 0
    bits = 0
    memo = None

    def __init__(self, address, weight=1, active=0):
        self.address = address
        self.weight = weight
        self.active = active

    def __repr__(self):
        return self.address


def endpoints(*weights):
    """Return endpoints a, b, c... of these weights."""
    return tuple(FakeEndpoint("abcdefghij"[number], weight) for number, weight in enumerate(weights))


def picked(balancer, count, **attributes):
    """Return the addresses of ``count`` picks, as a text."""
    exchange = FakeExchange(**attributes)
    return "".join(balancer.pick(exchange).address for _ in range(count))


def shares(balancer, count):
    """Return how often each endpoint was picked."""
    return Counter(picked(balancer, count))
