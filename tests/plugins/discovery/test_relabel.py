"""Prometheus' relabelling, rule by rule."""

import unittest

from meshd_plugins.discovery.relabel import RelabelConfig, compile_rules


def relabel(labels, *rules):
    return compile_rules(tuple(RelabelConfig(**rule) for rule in rules))(dict(labels))


class Actions(unittest.TestCase):
    def test_replace_writes_groups_of_the_joined_values(self):
        self.assertEqual(
            relabel({"a": "foo", "b": "bar"}, dict(
                source_labels=("a", "b"), separator="-", regex="f(.*)-(?P<rest>b.*)", target_label="d",
                replacement="$1:${rest}$$")),
            {"a": "foo", "b": "bar", "d": "oo:bar$"})

    def test_replace_without_a_match_changes_nothing(self):
        self.assertEqual(relabel({"a": "foo"}, dict(source_labels=("a",), regex="o", target_label="d")), {"a": "foo"})

    def test_replace_with_nothing_removes_the_label(self):
        self.assertEqual(relabel({"a": "x"}, dict(target_label="a", replacement="")), {})

    def test_replace_may_name_its_label_by_a_group_where_that_is_a_name(self):
        rule = dict(source_labels=("a",), target_label="${1}_b", replacement="v")
        self.assertEqual(relabel({"a": "x"}, rule), {"a": "x", "x_b": "v"})
        self.assertEqual(relabel({"a": "x-y"}, rule), {"a": "x-y"})

    def test_groups_that_are_not_there_are_empty(self):
        rule = dict(source_labels=("a",), target_label="b", replacement="[$2${zz}$1x]")
        self.assertEqual(relabel({"a": "v"}, rule)["b"], "[]")

    def test_keep_and_drop(self):
        rule = dict(source_labels=("a",), regex="x.*")
        self.assertEqual(relabel({"a": "xy"}, {**rule, "action": "keep"}), {"a": "xy"})
        self.assertIsNone(relabel({"a": "yx"}, {**rule, "action": "keep"}))
        self.assertIsNone(relabel({"a": "xy"}, {**rule, "action": "drop"}))
        self.assertEqual(relabel({"b": "xy"}, {**rule, "action": "drop"}), {"b": "xy"})

    def test_keepequal_and_dropequal(self):
        rule = dict(source_labels=("a",), target_label="b")
        self.assertIsNone(relabel({"a": "1", "b": "2"}, {**rule, "action": "keepequal"}))
        self.assertIsNotNone(relabel({"a": "1", "b": "1"}, {**rule, "action": "keepequal"}))
        self.assertIsNone(relabel({"a": "1", "b": "1"}, {**rule, "action": "dropequal"}))

    def test_hashmod_is_that_of_prometheus(self):
        # relabel_test.go of Prometheus: hashmod 1000 of "baz" is 976
        self.assertEqual(relabel({"c": "baz"}, dict(
            action="hashmod", source_labels=("c",), target_label="d", modulus=1000))["d"], "976")

    def test_labelmap_labeldrop_and_labelkeep(self):
        self.assertEqual(relabel({"__meta_x": "1", "b": "2"}, dict(action="labelmap", regex="__meta_(.+)")),
                         {"__meta_x": "1", "b": "2", "x": "1"})
        self.assertEqual(relabel({"ab": "1", "b": "2"}, dict(action="labeldrop", regex="a.*")), {"b": "2"})
        self.assertEqual(relabel({"ab": "1", "b": "2"}, dict(action="labelkeep", regex="a.*")), {"ab": "1"})

    def test_lowercase_and_uppercase(self):
        self.assertEqual(relabel({"a": "xY"}, dict(action="lowercase", source_labels=("a",), target_label="l"),
                                 dict(action="uppercase", source_labels=("a",), target_label="u")),
                         {"a": "xY", "l": "xy", "u": "XY"})

    def test_rules_follow_each_other_and_a_drop_ends_them(self):
        self.assertIsNone(relabel({"a": "x"}, dict(action="drop", source_labels=("a",), regex="x"),
                                  dict(target_label="b", replacement="y")))

    def test_no_rules_change_nothing(self):
        self.assertEqual(relabel({"a": "x"}), {"a": "x"})


class Faults(unittest.TestCase):
    def test_what_an_action_lacks_is_named(self):
        for rule, name in ((dict(action="hashmod", target_label="a"), "modulus"), (dict(), "target_label"),
                           (dict(action="keepequal", target_label="a"), "source_labels")):
            self.assertEqual([attribute for attribute, _ in RelabelConfig(**rule).check()], [name])
