"""Which document comes first."""

from unittest import TestCase

from meshd_plugins.istio.mesh.order import PRIORITY, reason
from tests.istio.view import mesh, rules


def names(*texts):
    """Return the names of VirtualServices in their order."""
    return [one.name for one in mesh(*texts).of("VirtualService")]


def rule(name, priority=None, created="", namespace=""):
    """Return a VirtualService with a priority and an age."""
    return rules(name, "- {route: [{destination: {host: a.test}}]}", created=created, namespace=namespace,
                 annotations=None if priority is None else {PRIORITY: str(priority)})


class Order(TestCase):
    def test_the_highest_priority_is_first_whatever_the_age(self):
        found = names(rule("old", created="2020-01-01T00:00:00Z"), rule("low", -1), rule("high", 5))
        self.assertEqual(found, ["high", "old", "low"])

    def test_the_oldest_is_first_and_what_has_no_age_is_last(self):
        found = names(rule("a"), rule("b", created="2021-01-01T00:00:00Z"), rule("c", created="2020-01-01T00:00:00Z"))
        self.assertEqual(found, ["c", "b", "a"])

    def test_else_namespace_and_name_decide_not_the_place_of_the_file(self):
        found = names(rule("b"), rule("a", namespace="z"), rule("a"))
        self.assertEqual(found, ["a", "b", "a"])

    def test_a_priority_that_is_no_number_counts_as_0(self):
        self.assertEqual(names(rule("b", "soon"), rule("a", -1)), ["b", "a"])

    def test_the_reason_is_said_in_words(self):
        first, second, third, fourth = mesh(
            rule("a", 2), rule("b", created="2020-01-01T00:00:00Z"), rule("c"), rule("d")).of("VirtualService")
        self.assertIn("2 against 0", reason(first, second))
        self.assertIn("no known time", reason(second, third))
        self.assertIn("by name", reason(third, fourth))
