"""The decoder on classes of its own: every fault is found, and what was meant is said."""

from unittest import TestCase

from meshd.document.context import Context
from meshd.document.decode import decode
from meshd.document.encode import encode_class
from meshd.document.fault import Faults
from meshd.document.locate import locate
from meshd.document.merge import canonical
from meshd.document.option import Choice, Duration, Integer, ListOf, MapOf, Nested, Size, Text, config, option, place
from meshd.document.plan import plan_of
from meshd.document.tree import parse


@config
class Inner:
    "Inside."
    limit_bytes: int = option(Size(maximum=1024), default=64, doc="bytes")
    level: str = option(Choice(("off", "on")), default="off", doc="a choice that YAML 1.1 misreads")


@config
class Outer:
    "Outside."
    name: str = option(Text(pattern="[a-z]+"), doc="a name")
    wait_s: float = option(Duration(minimum=1), default=1.0, doc="a time")
    inner: Inner = option(Nested(Inner), default=Inner(), doc="inside")
    numbers: tuple = option(ListOf(item=Integer(), maximum=3), default=(), doc="numbers")
    table: tuple = option(MapOf(value=Integer()), default=(), doc="a table")
    maybe: str | None = option(Text(), default=None, doc="perhaps")

    def check(self):
        if self.numbers and self.maybe == "b":
            yield "maybe", "expected no numbers beside it"


def run(text: str):
    context = Context()
    found = decode(Outer, parse("f", text.encode(), context.faults), context)
    return found, [f"{one.mark.line}:{one.mark.column} {one}".partition(" ")[0] + f" {one.path}: {one.message}"
                   for one in context.faults.sorted()]


class TestDecode(TestCase):
    def test_defaults_fill_what_is_not_given(self):
        found, faults = run("name: a\n")
        self.assertEqual((found, faults), (Outer(name="a"), []))

    def test_units_are_left_out_of_keys_and_put_into_values(self):
        found, _ = run("{name: a, wait: 90s, inner: {limit: 1KiB}}")
        self.assertEqual((found.wait_s, found.inner.limit_bytes), (90.0, 1024))

    def test_a_choice_takes_its_words_as_they_are_written(self):
        for word in ("on", "'on'"):
            self.assertEqual(run(f"{{name: a, inner: {{level: {word}}}}}")[0].inner.level, "on")

    def test_nothing_is_accepted_only_where_the_default_is_nothing(self):
        self.assertIsNone(run("{name: a, maybe: ~}")[0].maybe)
        self.assertEqual(run("{name: a, wait: ~}")[1], [
            "1:17 wait: expected a time with a unit such as 250ms, 5s, 1m30s, got nothing",
        ])

    def test_goes_on_after_each_fault(self):
        found, faults = run("{name: A, wait: 5, inner: {limit: 2KiB, level: of}, numbers: [1, x, 2.9], table: {a: b}}")
        self.assertIsNone(found)
        self.assertEqual(faults, [
            "1:8 name: expected text of the form [a-z]+, got 'A'",
            "1:17 wait: expected a time with a unit such as 250ms, 5s, 1m30s, got 5",
            "1:35 inner.limit: expected a size from 0 to 1KiB, got 2KiB",
            "1:48 inner.level: expected one of off, on, got 'of'",
            "1:66 numbers[1]: expected a whole number, got 'x'",
            "1:69 numbers[2]: expected a whole number, got 2.9",
            "1:86 table.a: expected a whole number, got 'b'",
        ])

    def test_a_rule_between_fields_points_at_its_field(self):
        self.assertEqual(run("{name: a, numbers: [1], maybe: b}")[1], ["1:32 maybe: expected no numbers beside it"])

    def test_a_word_in_place_of_a_list_is_told_how_to_write_it(self):
        context = Context()
        decode(Outer, parse("f", b"{name: a, numbers: 5}", context.faults), context)
        self.assertEqual(context.faults.sorted()[0].hint, "write [5]")

    def test_encodes_what_it_decodes(self):
        text = "{name: a, wait: 90s, inner: {limit: 1KiB, level: on}, numbers: [1, 2], table: {x: 1}, maybe: c}"
        found = run(text)[0]
        self.assertEqual(encode_class(found), {
            "name": "a", "wait": "90s", "inner": {"limit": "1KiB", "level": "on"}, "numbers": [1, 2], "table": {"x": 1},
            "maybe": "c",
        })

    def test_a_class_is_looked_at_once(self):
        self.assertIs(plan_of(Outer), plan_of(Outer))
        self.assertEqual(plan_of(Outer).required, ("name",))


class TestTrees(TestCase):
    def root(self, text: str):
        return parse("f", text.encode(), Faults())

    def test_a_path_leads_to_its_node_or_as_far_as_it_goes(self):
        root = self.root("{a: [{b: c}]}")
        self.assertEqual(locate(root, "a[0].b").where(), "f:1:10")
        self.assertEqual(locate(root, "a[7].b").where(), "f:1:5")
        self.assertIs(locate(root, ""), root)

    def test_canonical_bytes_know_content_from_layout(self):
        self.assertEqual(canonical(self.root("{a: [1, b]}")), canonical(self.root("# x\na:\n- 1\n- b\n")))
        for other in ("{a: ['1', b]}", "{a: [1b]}", "{a: [b, 1]}", "{b: [1, b]}", "[a, [1, b]]", "{a: {1: b}}"):
            self.assertNotEqual(canonical(self.root("{a: [1, b]}")), canonical(self.root(other)), other)


@config
class Placed:
    "Knows its place."
    name: str = option(Text(), doc="a name")
    where: str = place()


@config
class Places:
    "Holds some."
    placed: tuple = option(ListOf(item=Nested(Placed)), doc="some")


class Place(TestCase):
    def test_each_object_knows_where_it_stands(self):
        context = Context()
        text = "placed:\n  - name: a\n  - {name: b}\n"
        found = decode(Places, parse("f.yaml", text.encode(), context.faults), context)
        self.assertEqual([one.where for one in found.placed], ["f.yaml:2:5", "f.yaml:3:5"])

    def test_the_place_is_no_option_and_does_not_count(self):
        context = Context()
        self.assertIsNone(decode(Placed, parse("f", b"{name: a, where: b}", context.faults), context))
        self.assertEqual(Placed(name="a", where="f:1:1"), Placed(name="a", where="f:2:1"))
        self.assertEqual(encode_class(Placed(name="a", where="f:1:1")), {"name": "a"})


@config
class Part:
    "A part."
    name: str = option(Text(), doc="a name")


@config
class Whole:
    "A class whose check looks into what is below it."
    part_list: tuple = option(ListOf(item=Nested(Part)), default=(), doc="parts")
    table: tuple = option(MapOf(value=Text()), default=(), doc="a table")
    time_s: float | None = option(Duration(step=0.001, is_go=True), default=None, doc="whole milliseconds")

    def check(self):
        for number, part in enumerate(self.part_list):
            if part.name == "bad":
                yield ("part_list", number, "name"), "expected good"
        for key, _ in self.table:
            if key == "a.b":
                yield ("table", key), "expected another key"
        if not self.part_list and not self.table and self.time_s is None:
            yield None, "expected something"


class TestChecks(TestCase):
    def faults(self, text):
        context = Context()
        decode(Whole, parse("f", text.encode(), context.faults), context)
        return [(one.mark.line, one.path, one.message) for one in context.faults.sorted()]

    def test_a_fault_may_be_deeper_than_the_class(self):
        self.assertEqual(self.faults("part_list:\n- {name: a}\n- {name: bad}\n"),
                         [(3, "part_list[1].name", "expected good")])
        self.assertEqual(self.faults("table:\n  x: v\n  a.b: c\n"), [(3, "table.a.b", "expected another key")])

    def test_a_fault_may_be_the_whole_section_s(self):
        self.assertEqual(self.faults("{}\n"), [(1, "", "expected something")])

    def test_a_time_has_steps(self):
        self.assertEqual(self.faults("{time: 1.5s}"), [])
        self.assertEqual(self.faults("{time: 1500us}"), [(1, "time", "expected a multiple of 1ms, got 1500us")])
        self.assertEqual(self.faults("{time: 1d}")[0][1], "time")
