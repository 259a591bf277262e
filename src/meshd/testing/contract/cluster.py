"""What plugins of a cluster must keep to: balancers, breakers, discoveries, outlier detectors, health checkers."""

from twisted.internet.defer import CancelledError, Deferred

from meshd.api import Checked, EndpointSpec
from meshd.testing.contract.kind import KindContract, Outcome, endpoints
from meshd.testing.exchange import FakeExchange

PICKS = 600
ADMISSIONS = 5000


class LoadBalancerContract(KindContract):
    """For ``load_balancer``: it picks what it was given, nothing else, and leaves no endpoint out for ever."""

    kind = "load_balancer"

    def picks(self, balancer, count=PICKS, tried=()):
        """Return what ``count`` requests get."""
        exchange = FakeExchange()
        exchange.tried = tried
        return [balancer.pick(exchange) for _ in range(count)]

    def balancer(self, usable):
        """Return a balancer over ``usable``."""
        made = self.make()
        made.update(usable)
        return made

    def test_picks_none_where_there_is_no_endpoint(self):
        self.assertEqual(set(self.picks(self.balancer(()), 3)), {None})

    def test_picks_the_only_endpoint(self):
        (only,) = usable = endpoints(1)
        self.assertEqual(set(self.picks(self.balancer(usable), 10)), {only})

    def test_picks_only_what_it_was_given(self):
        usable = endpoints(5)
        self.assertLessEqual(set(self.picks(self.balancer(usable))), set(usable))

    def test_an_update_replaces_the_endpoints(self):
        balancer = self.balancer(endpoints(4))
        usable = endpoints(2)
        balancer.update(usable)
        self.assertLessEqual(set(self.picks(balancer)), set(usable))
        balancer.update(())
        self.assertEqual(self.picks(balancer, 1), [None])

    def test_another_attempt_gets_another_endpoint_where_there_is_one(self):
        usable = endpoints(3)
        found = self.picks(self.balancer(usable), 100, tried=usable[:1])
        self.assertLess(found.count(usable[0]), 100)

    def test_picks_even_when_every_endpoint_was_tried(self):
        usable = endpoints(2)
        self.assertNotIn(None, self.picks(self.balancer(usable), 20, tried=usable))

    def test_changes_no_endpoint(self):
        usable = endpoints(3)
        before = [dict(vars(one)) for one in usable]
        self.picks(self.balancer(usable))
        self.assertEqual([vars(one) for one in usable], before)


class CircuitBreakerContract(KindContract):
    """For ``circuit_breaker``: what is admitted is paid back, what is refused costs nothing."""

    kind = "circuit_breaker"
    RESOURCES = ("request", "pending", "connection", "retry")

    def admit(self, breaker, resource, count=ADMISSIONS):
        """Ask ``count`` times; return how many were admitted."""
        answers = [getattr(breaker, f"admit_{resource}")() for _ in range(count)]
        self.assertLessEqual(set(answers), {True, False})
        return sum(answers)

    def pay_back(self, breaker, resource, count):
        """Release ``count`` times."""
        for _ in range(count):
            getattr(breaker, f"release_{resource}")()

    def test_admits_again_what_was_paid_back(self):
        for resource in self.RESOURCES:
            with self.subTest(resource):
                breaker = self.make()
                first = self.admit(breaker, resource)
                self.pay_back(breaker, resource, first)
                self.assertEqual(self.admit(breaker, resource), first)
                self.pay_back(breaker, resource, first)

    def test_a_refusal_costs_nothing(self):
        for resource in self.RESOURCES:
            with self.subTest(resource):
                breaker = self.make()
                first = self.admit(breaker, resource)
                self.admit(breaker, resource, 100)
                self.pay_back(breaker, resource, first)
                self.assertEqual(self.used(breaker), 0)

    def test_its_state_has_what_is_used_and_the_limit(self):
        for name, pair in self.make().state().items():
            used, limit = pair
            self.assertIsInstance(name, str)
            self.assertGreaterEqual(limit, used)

    def used(self, breaker):
        """Return everything that is in use."""
        return sum(used for used, _ in breaker.state().values())


class DiscoveryContract(KindContract):
    """For ``discovery``: write ``find(discovery)`` where endpoints must be put in place or time must pass first."""

    kind = "discovery"

    def find(self, discovery):
        """Do what it takes for the endpoints to be reported; nothing by default."""

    def watched(self):
        """Return (discovery, list of reports)."""
        discovery, reports = self.make(), []
        discovery.watch(reports.append)
        self.find(discovery)
        self.addCleanup(getattr(discovery, "stop", lambda: None))
        return discovery, reports

    def test_reports_tuples_of_endpoints(self):
        _, reports = self.watched()
        self.assertTrue(reports, "expected at least one report")
        for report in reports:
            self.assertIsInstance(report, tuple)
            self.assertLessEqual({type(one) for one in report}, {EndpointSpec})

    def test_reports_no_address_twice(self):
        _, reports = self.watched()
        addresses = [one.address for one in reports[-1]]
        self.assertEqual(len(addresses), len(set(addresses)))

    def test_is_silent_once_stopped(self):
        discovery, reports = self.watched()
        if hasattr(discovery, "stop"):
            discovery.stop()
            before = len(reports)
            self.find(discovery)
            self.assertEqual(len(reports), before)


class FakeCluster:
    """``ICluster``; ``marks`` are the flags that were set, by address."""

    def __init__(self, name="test", endpoints=()):
        self.name = name
        self.endpoints = endpoints
        self.marks = {}
        self.notes = {}
        self.checked = []

    def mark(self, endpoint, bit, is_set, note=None):
        """Set or clear a flag."""
        before = self.marks.get(endpoint.address, 0)
        after = before | bit if is_set else before & ~bit
        self.marks[endpoint.address] = after
        self.notes[endpoint.address] = note
        return before != after

    def on_check(self, callback, is_wanted=True):
        """Keep a callback, or forget it."""
        if is_wanted:
            self.checked.append(callback)
        elif callback in self.checked:
            self.checked.remove(callback)

    def marked(self, bit):
        """Return the addresses that have a flag."""
        return sorted(address for address, bits in self.marks.items() if bits & bit)


class OutlierDetectorContract(KindContract):
    """For ``outlier_detector``: no result makes it raise, and its end leaves nothing behind."""

    kind = "outlier_detector"

    def test_watches_a_cluster_and_lets_go_of_it(self):
        detector, cluster = self.make(), FakeCluster(endpoints=endpoints(2))
        detector.watch(cluster)
        for name in ("start", "stop"):
            getattr(detector, name, lambda: None)()
        self.assertEqual(cluster.checked, [])
        self.assertIsNone(detector.on_result(cluster.endpoints[0], Outcome(503)))
        self.assertEqual(set(cluster.marks.values()) - {0}, set())

    def test_takes_every_result_and_returns_nothing(self):
        detector = self.make()
        (endpoint,) = endpoints(1)
        for status in (0, 100, 200, 304, 404, 429, 500, 503, 599):
            self.assertIsNone(detector.on_result(endpoint, Outcome(status)))


class HealthCheckerContract(KindContract):
    """For ``health_checker``: write ``settle(deferred)``, which waits for an answer, where it is not there at once."""

    kind = "health_checker"

    def settle(self, deferred):
        """Return the answer."""
        found = []
        deferred.addCallback(found.append)
        self.assertTrue(found, "the answer is still awaited")
        return found[0]

    def test_answers_a_deferred_of_yes_or_no(self):
        answer = self.make().check(endpoints(1)[0])
        self.assertIsInstance(answer, Deferred)
        self.assertIn(type(self.settle(answer)), (bool, Checked))

    def test_a_check_can_be_given_up(self):
        answer = self.make().check(endpoints(1)[0])
        answer.addErrback(lambda why: why.trap(CancelledError))
        answer.cancel()
        self.assertTrue(answer.called)
