"""YAML text to trees: every fault of the text has its code and place, and nothing takes long."""

import time
from unittest import TestCase

from meshd.document import tree
from meshd.document.fault import Faults
from meshd.document.node import Mapping, Scalar, Sequence
from meshd.document.tree import parse

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)
)

FAULTY = {
    "a tab": ("a:\n\tb: 1\n", "MSH0001", 2, 1),
    "a tab behind spaces": ("a:\n  b: 1\n \tc: 1\n", "MSH0001", 3, 2),
    "an open bracket": ("a: [1,\nb: 2\n", "MSH0002", 3, 1),
    "a mapping in a word": ("a: b: c\n", "MSH0002", 1, 5),
    "an open quote": ('a: "x\n', "MSH0002", 2, 1),
    "an unknown escape": ('a: "\\q"\n', "MSH0002", 1, 5),
    "a duplicate key": ("a: 1\nb: 2\na: 3\n", "MSH0003", 3, 1),
    "a duplicate key, quoted": ("on: 1\n'on': 3\n", "MSH0003", 2, 1),
    "nothing": ("", "MSH0005", 0, 0),
    "comments alone": ("# one\n# two\n", "MSH0005", 0, 0),
    "a null": ("--- ~\n", "MSH0005", 0, 0),
    "a control character": ("a: 1\nb: \x07\n", "MSH0007", 2, 4),
    "a NUL": ("a: \0", "MSH0007", 1, 4),
    "two documents": ("a: 1\n---\nb: 2\n", "MSH0008", 2, 1),
    "an alias without anchor": ("a: *x\n", "MSH0009", 1, 4),
    "an alias in its own anchor": ("a: &x [*x]\n", "MSH0009", 1, 8),
    "a merge key": ("a: &x {b: 1}\nc:\n  <<: *x\n", "MSH0009", 3, 3),
    "a billion laughs": (LAUGHS, "MSH0009", 6, 10),
    "deep nesting": ("[" * 900, "MSH0010", 1, 65),
    "deep block nesting": ("".join(f"{' ' * i}a:\n" for i in range(80)), "MSH0010", 65, 65),
    "a list as a key": ("? [a]\n: b\n", "MSH0011", 1, 3),
    "a null key": ("~: b\n", "MSH0011", 1, 1),
    "a tag": ("a: !!int 5\n", "MSH0012", 1, 4),
    "a python tag": ("a: !!python/object/apply:os.system [id]\n", "MSH0012", 1, 4),
}


def read(text: str | bytes):
    faults = Faults()
    root = parse("f.yaml", text if isinstance(text, bytes) else text.encode(), faults)
    return root, faults.sorted()


class TestFaults(TestCase):
    def test_names_the_depth_of_what_libyaml_itself_refuses(self):
        _, faults = read("[" * 100_000)
        self.assertEqual([fault.code for fault in faults], ["MSH0010"])

    def test_names_code_and_place_of_every_fault_of_the_text(self):
        for what, (text, code, line, column) in FAULTY.items():
            with self.subTest(what):
                _, faults = read(text)
                self.assertEqual(len(faults), 1, [str(fault) for fault in faults])
                mark = faults[0].mark
                self.assertEqual((faults[0].code, mark.line, mark.column), (code, line, column), str(faults[0]))

    def test_goes_on_after_a_duplicate_key_and_a_tag(self):
        _, faults = read("a: 1\na: 2\nb: !x 1\nb: 3\n<<: {}\n")
        self.assertEqual([fault.code for fault in faults], ["MSH0003", "MSH0012", "MSH0003", "MSH0009"])

    def test_keeps_the_first_of_two_values_and_names_its_place(self):
        root, faults = read("a: 1\na: 2\n")
        self.assertEqual(root.get("a").text, "1")
        self.assertEqual(str(faults[0].related[0].mark), "f.yaml:1:1")

    def test_refuses_bytes_that_are_not_utf8_and_says_where(self):
        _, faults = read(b"a: 1\nb: \xc3\xa9\xff\n")
        self.assertEqual((faults[0].code, str(faults[0].mark)), ("MSH0007", "f.yaml:2:5"))

    def test_refuses_utf16(self):
        self.assertEqual(read("a: 1".encode("utf-16"))[1][0].code, "MSH0007")

    def test_refuses_a_file_beyond_the_bound_without_parsing_it(self):
        _, faults = read(b"[" * (tree.MAX_BYTES + 1))
        self.assertEqual(faults[0].code, "MSH0006")

    def test_hostile_text_is_refused_at_once(self):
        for text in ("[" * 1_000_000, "{a: " * 200_000, "- " * 200_000, LAUGHS, "a: &a [" + "*b," * 100_000):
            began = time.process_time()
            self.assertTrue(read(text)[1])
            self.assertLess(time.process_time() - began, 1.0, text[:10])


class TestTree(TestCase):
    def test_knows_the_place_of_every_value(self):
        root, faults = read("a:\n  - b\n  - {c: 'd e'}\n")
        self.assertEqual(faults, ())
        self.assertIsInstance(root, Mapping)
        self.assertIsInstance(root.get("a"), Sequence)
        word = root.get("a").items[1].get("c")
        self.assertIsInstance(word, Scalar)
        mark = word.mark()
        self.assertEqual((word.text, word.plain), ("d e", False))
        self.assertEqual((mark.line, mark.column, mark.end_column, mark.text), (3, 9, 14, "  - {c: 'd e'}"))
        self.assertEqual(word.where(), "f.yaml:3:9")

    def test_accepts_a_byte_order_mark_windows_lines_and_json(self):
        root, faults = read(b'\xef\xbb\xbf{"a": 1,\r\n "b": [2]}\r\n')
        self.assertEqual((faults, list(root.entries)), ((), ["a", "b"]))
        self.assertEqual(root.get("b").items[0].where(), "f.yaml:2:8")

    def test_an_alias_stands_for_its_anchor(self):
        root, faults = read("a: &x {b: 1}\nc: *x\n")
        self.assertEqual(faults, ())
        self.assertIs(root.get("c"), root.get("a"))

    def test_a_mark_of_an_endless_line_keeps_a_window(self):
        root, _ = read("[" + "a, " * 100_000 + "zz]")
        mark = root.items[-1].mark()
        self.assertLess(len(mark.text), 500)
        self.assertEqual(mark.text[mark.column - mark.text_column :][:2], "zz")

    def test_reads_the_same_without_libyaml(self):
        text = "a: &x [1, 'b', {c: ~}]\nd: *x\n"
        fast, kept = read(text)[0], tree.CParser
        try:
            tree.CParser = None
            slow, faults = read(text)
        finally:
            tree.CParser = kept
        self.assertEqual(faults, ())
        self.assertEqual([one.where() for one in fast.get("a").items], [one.where() for one in slow.get("a").items])

    def test_reads_thirty_thousand_lines_in_little_time(self):
        text = "a:\n" + "".join(f"- name: r{i}\n  b: 1\n  c: {{d: e, f: g}}\n" for i in range(10_000))
        began = time.process_time()
        self.assertEqual(read(text)[1], ())
        self.assertLess(time.process_time() - began, 4.0)
