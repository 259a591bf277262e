"""docs/istio-support.md says what the classes say."""

import unittest
from pathlib import Path

from meshd_plugins.istio.catalog import KINDS
from meshd_plugins.istio.support import make_page

PAGE = Path(__file__).parents[2] / "docs" / "istio-support.md"
AGAIN = "run: python -m meshd_plugins.istio.support > docs/istio-support.md"


class TestSupport(unittest.TestCase):
    def test_the_page_is_up_to_date(self):
        self.assertTrue(make_page() == PAGE.read_text(encoding="utf-8"), AGAIN)

    def test_every_kind_has_a_section(self):
        page = make_page()
        for kind in KINDS:
            with self.subTest(kind=kind.name):
                self.assertIn(f"## {kind.name} ({kind.group or 'core'})", page)

    def test_a_field_says_its_type_and_whether_it_works(self):
        page = make_page()
        self.assertIn("| `spec.hosts[]` | list of text | works | who is asked for |", page)
        self.assertIn("| `spec.http[].timeout` | time | works |", page)
        self.assertIn("| `spec.tcp[]` | list of TCPRoute | works | rules for TCP |", page)
        self.assertIn("| works | ISTIO_MUTUAL needs node.identity ", page)

    def test_what_stands_in_a_field_that_does_nothing_does_nothing(self):
        rows = [line for line in make_page().splitlines() if line.startswith("| `spec.configPatches[].match.context`")]
        self.assertEqual([row.split(" | ")[2] for row in rows], ["warned"])

    def test_what_cannot_be_enforced_is_refused(self):
        row = next(line for line in make_page().splitlines() if line.startswith("| `spec.jwtRules[].issuer`"))
        self.assertIn("| refused | where it selects this proxy", row)


if __name__ == "__main__":
    unittest.main()
