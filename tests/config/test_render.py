"""The looks of faults: the mock-ups word for word, and what machines read."""

import json
from unittest import TestCase

from meshd.config.render import Outcome, one_line, render_fault, render_github, render_json, render_text
from meshd.document.fault import Fault, Faults, Related
from meshd.document.mark import Mark, make_mark
from meshd.document.tree import parse

REVIEWS = """\
apiVersion: v1
kind: VirtualService
spec:
  http:
  - match: []
  - match: []
  - match: []
  - match: []
  subsets:
  - x

  - route:
    - destination: {host: reviews, subset: v2}
      timeouts: 3s





x: 1

    - destination: {host: reviews, subset: v3}
""".split("\n")

UNKNOWN = """\
error[MSH0104]: unknown field "timeouts" in VirtualService.spec.http[0]
  --> /etc/meshd/conf.d/reviews.yaml:14:7
   |
12 |   - route:
13 |     - destination: {host: reviews, subset: v2}
14 |       timeouts: 3s
   |       ^^^^^^^^ did you mean "timeout"?
   |
   = note: "timeout" belongs one level up, beside "route" (spec.http[0].timeout)
   = help: https://meshd.readthedocs.io/e/MSH0104
"""

TWO_PLACES = """\
error[IST0101]: referenced host+subset not found: "reviews" subset "v3"
  --> /etc/meshd/conf.d/reviews.yaml:22:44
   |
22 |     - destination: {host: reviews, subset: v3}
   |                                            ^^ no such subset
  ::: /etc/meshd/conf.d/reviews-dr.yaml:9:3
 9 |   subsets:
   |   ------- DestinationRule default/reviews defines: v1, v2
   = help: requests matching this route would get 503 (flag NC)
"""

TAB = """\
error[MSH0001]: YAML: found a tab where indentation is expected
  --> mesh.yaml:7:1
   |
 7 | →hosts: [web]
   | ^ replace the tab by spaces
"""

DUPLICATE = """\
error[MSH0003]: duplicate key "port" (YAML would keep the last one silently)
  --> mesh.yaml:4:5 (first at 1:5)
"""


def mark(file: str, line: int, column: int, length: int) -> Mark:
    return make_mark(f"/etc/meshd/conf.d/{file}", REVIEWS, line, column, line, column + length)


def unknown() -> Fault:
    note = '"timeout" belongs one level up, beside "route" (spec.http[0].timeout)'
    place = mark("reviews.yaml", 14, 7, 8)
    return Fault("MSH0104", "error", 'unknown field "timeouts"', place, 'did you mean "timeout"?', (note,), (),
                 "VirtualService.spec.http[0]")


def outcome(*faults: Fault) -> Outcome:
    return Outcome(faults=faults, files=6, duration_s=0.0421)


class TestText(TestCase):
    def test_an_unknown_field_looks_as_in_the_mock_up(self):
        self.assertEqual(render_fault(unknown()), UNKNOWN)

    def test_two_places_look_as_in_the_mock_up(self):
        there = Related(mark("reviews-dr.yaml", 9, 3, 7), "DestinationRule default/reviews defines: v1, v2")
        fault = Fault("IST0101", "error", 'referenced host+subset not found: "reviews" subset "v3"',
                      mark("reviews.yaml", 22, 44, 2), "no such subset", (), (there,), "",
                      "requests matching this route would get 503 (flag NC)")
        self.assertEqual(render_fault(fault), TWO_PLACES)

    def test_a_tab_and_a_duplicate_key_look_as_in_the_mock_up(self):
        for text, expected in (
            ("a:\n" + "  - b\n" * 5 + "\thosts: [web]\n", TAB), ("{   port: 1,\n\n\n    port: 2}", DUPLICATE),
        ):
            faults = Faults()
            parse("mesh.yaml", text.encode(), faults)
            self.assertEqual(render_fault(faults.sorted()[0]), expected)

    def test_the_summary_counts_and_judges(self):
        counts = "1 error, 0 warnings in 6 files (42 ms).  Configuration NOT valid.\n"
        self.assertEqual(render_text(outcome(unknown())), f"{UNKNOWN}\n{counts}")
        self.assertEqual(render_text(outcome()), "0 errors, 0 warnings in 6 files (42 ms).  Configuration valid.\n")

    def test_a_warning_does_not_make_it_invalid(self):
        fault = Fault("MSH0104", "warning", "w", Mark("a"))
        self.assertIn("0 errors, 1 warning in 6 files (42 ms).  Configuration valid.", render_text(outcome(fault)))

    def test_a_file_that_is_missing_has_no_source_line(self):
        message = "cannot read the file: no such file"
        fault = Fault("MSH0004", "error", message, Mark("a.yaml"), 'did you mean "b.yaml"?')
        self.assertEqual(render_fault(fault), "error[MSH0004]: cannot read the file: no such file\n  --> a.yaml\n"
                                              '   = help: did you mean "b.yaml"?\n')

    def test_colour_comes_only_when_told(self):
        self.assertNotIn("\x1b", render_text(outcome(unknown())))
        self.assertIn("\x1b[31;1merror[MSH0104]\x1b[0m", render_text(outcome(unknown()), colour=True))

    def test_an_endless_line_is_cut_around_the_caret(self):
        faults = Faults()
        parse("a", (b"[" + b"abc, " * 10_000 + b"!x y]"), faults)
        lines = render_fault(faults.sorted()[0]).split("\n")
        self.assertLess(max(map(len, lines)), 200)
        self.assertEqual(lines[3][lines[4].index("^") :][:2], "!x")

    def test_what_could_move_the_cursor_is_not_printed(self):
        at = make_mark("a", ["x: \x1b[31m\u202e y"], 1, 4, 1, 5)
        self.assertIn(" 1 | x: ·[31m· y\n", render_fault(Fault("MSH0101", "error", "m", at)))

    def test_a_log_gets_one_line(self):
        self.assertEqual(one_line(unknown()), '/etc/meshd/conf.d/reviews.yaml:14:7: VirtualService.spec.http[0]: '
                                              'unknown field "timeouts" (did you mean "timeout"?)')


class TestMachines(TestCase):
    def test_json_has_lsp_ranges(self):
        found = json.loads(render_json(outcome(unknown())))
        self.assertEqual((found["apiVersion"], found["valid"], found["errors"]), ("cli.meshd.io/v1", False, 1))
        one = found["diagnostics"][0]
        self.assertEqual(one["range"], {"start": {"line": 13, "character": 6}, "end": {"line": 13, "character": 14}})
        self.assertEqual((one["code"], one["severity"], one["file"]), ("MSH0104", 1, "/etc/meshd/conf.d/reviews.yaml"))

    def test_json_counts_columns_in_utf16_units(self):
        fault = Fault("MSH0101", "error", "m", make_mark("a", ["😀: x"], 1, 4, 1, 5))
        self.assertEqual(json.loads(render_json(outcome(fault)))["diagnostics"][0]["range"]["start"]["character"], 4)

    def test_github_gets_one_command_for_each_fault(self):
        place = "::error file=/etc/meshd/conf.d/reviews.yaml,line=14,col=7::"
        self.assertEqual(render_github([unknown()]), f"{place}MSH0104: "
                         'unknown field "timeouts" in VirtualService.spec.http[0] (did you mean "timeout"?)\n')

    def test_github_commands_cannot_be_smuggled_in(self):
        fault = Fault("MSH0101", "error", "a\n::error::b%", Mark("x,y:z.yaml", 1, 1, 1, 2))
        expected = "::error file=x%2Cy%3Az.yaml,line=1,col=1::MSH0101: a%0A::error::b%25\n"
        self.assertEqual(render_github([fault]), expected)

    def test_information_has_a_severity_of_its_own(self):
        fault = Fault("MSH0405", "info", "m", Mark("a", 1, 2, 1, 3), is_analysis=True, path="spec.http[0]")
        found = json.loads(render_json(outcome(fault)))
        self.assertEqual((found["infos"], found["diagnostics"][0]["severity"]), (1, 3))
        self.assertEqual(render_github([fault]), "::notice file=a,line=1,col=2::MSH0405: m\n")
        self.assertIn("0 errors, 0 warnings, 1 info in 6 files", render_text(outcome(fault)))

    def test_an_error_of_analysis_leaves_the_configuration_valid(self):
        fault = Fault("IST0101", "error", "m", Mark("a"), is_analysis=True)
        self.assertTrue(json.loads(render_json(outcome(fault)))["valid"])
        self.assertIn("Configuration valid, but analysis has found errors.", render_text(outcome(fault)))
