"""Faults on purpose: delays and aborts of a rule, with Istio's shares."""

from unittest import TestCase

from tests.istio.translate.test_retry import route


def fault(text):
    """Return the filter's configuration on a route with this ``fault``, or None."""
    found, _ = route(f"  fault: {text}\n")
    plugin = dict(found.filters).get("fault")
    return plugin.config if plugin is not None else None


class Faults(TestCase):
    def test_a_delay_of_a_share(self):
        found = fault("{delay: {fixedDelay: 5s, percentage: {value: 0.1}}}")
        self.assertEqual((found.delay.fixed_delay_s, found.delay.percentage.numerator, found.delay.percentage.total),
                         (5.0, 1000, 1_000_000))
        self.assertIsNone(found.abort)

    def test_the_old_whole_percent_counts_where_there_is_no_other(self):
        self.assertEqual(fault("{delay: {fixedDelay: 5s, percent: 50}}").delay.percentage.numerator, 500_000)

    def test_a_share_that_is_not_given_is_none(self):
        self.assertIsNone(fault("{delay: {fixedDelay: 5s}}"))
        self.assertIsNone(fault("{abort: {httpStatus: 500}}"))

    def test_an_abort_by_status_or_by_a_grpc_status(self):
        self.assertEqual(fault("{abort: {httpStatus: 418, percentage: {value: 100}}}").abort.http_status, 418)
        self.assertEqual(fault("{abort: {grpcStatus: UNAVAILABLE, percentage: {value: 100}}}").abort.grpc_status, 14)

    def test_requests_without_a_route_have_none(self):
        _, seen = route("  fault: {abort: {httpStatus: 500, percentage: {value: 100}}}\n")
        first = seen.listener().filters[0]
        self.assertEqual((first.type, first.config.abort), ("fault", None))

    def test_both_are_drawn_for_themselves(self):
        found = fault("{delay: {fixedDelay: 1s, percentage: {value: 10}},"
                      " abort: {httpStatus: 503, percentage: {value: 20}}}")
        self.assertEqual((found.delay.percentage.numerator, found.abort.percentage.numerator), (100_000, 200_000))
