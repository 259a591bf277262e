"""Plain Python to nodes that stand where their document stands."""

from unittest import TestCase

from meshd.document.fault import Faults
from meshd.document.tree import parse
from meshd_plugins.istio.emit import DEFAULT, At, default, seconds, tree

ROOT = parse("a.yaml", b"first:\n  second: 3\n", Faults())
INNER = ROOT.get("first")


class Trees(TestCase):
    def test_what_is_none_is_left_out(self):
        self.assertEqual(list(tree(ROOT, {"a": 1, "b": None}).entries), ["a"])

    def test_a_value_stands_where_its_node_stands(self):
        found = tree(ROOT, {"a": At(INNER.get("second"), "x"), "b": {"c": [True]}})
        self.assertEqual((found.get("a").line, found.get("a").text), (INNER.get("second").line, "x"))
        self.assertEqual(found.get("b").get("c").items[0].text, "true")
        self.assertEqual(found.get("b").line, ROOT.line)

    def test_a_key_stands_with_its_value(self):
        key, value = tree(ROOT, {"a": At(INNER.get("second"), "x")}).entries["a"]
        self.assertEqual((key.line, key.column), (value.line, value.column))

    def test_without_a_node_the_place_is_that_around(self):
        self.assertEqual(tree(INNER, At(None, "x")).line, INNER.line)

    def test_text_is_as_good_as_quoted_and_numbers_are_not(self):
        self.assertFalse(tree(ROOT, "80").plain)
        self.assertTrue(tree(ROOT, 80).plain)

    def test_nodes_stay_as_they_are(self):
        self.assertIs(tree(ROOT, INNER), INNER)

    def test_a_default_says_so(self):
        self.assertEqual(tree(ROOT, default("1s")).source.file, DEFAULT.source.file)

    def test_durations_have_no_more_digits_than_they_need(self):
        self.assertEqual([seconds(one) for one in (10.0, 0.25, 0.0, None)], ["10s", "0.25s", "0s", None])
