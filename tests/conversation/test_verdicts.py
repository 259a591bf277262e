"""docs/conformance.md: the recorded verdicts of the peers, and meshd's own."""

from unittest import TestCase

from tests.conversation.cases import CASES
from tests.conversation.outcome import ROWS
from tests.conversation.reasons import REASONS
from tests.conversation.verdicts import PAGE, PEERS, expected, expected_answer, page, read


class TestPage(TestCase):
    def setUp(self):
        self.text = PAGE.read_text()
        self.rows = read(self.text)

    def test_has_every_case_once(self):
        self.assertEqual(list(self.rows), [case.name for case in [*CASES, *ROWS]])
        self.assertEqual(len(self.rows), self.text.count("\n| `"))

    def test_says_of_meshd_what_the_suite_holds_it_to(self):
        told = {name: row["meshd"] for name, row in self.rows.items()}
        wanted = {case.name: expected(case) for case in CASES}
        self.assertEqual(told, wanted | {row.name: expected_answer(row) for row in ROWS})

    def test_knows_every_peer_in_every_row(self):
        for row in self.rows.values():
            self.assertEqual(list(row), list(PEERS))
            self.assertTrue(all(row.values()))

    def test_explains_each_group_by_an_rfc(self):
        for title, reason in REASONS.values():
            self.assertIn(f"## {title}\n\n{reason}\n", self.text)
            self.assertIn("RFC ", reason)

    def test_reads_what_it_writes(self):
        found = {peer: {name: row[peer] for name, row in self.rows.items()} for peer in PEERS}
        again = page(dict.fromkeys(PEERS, "1.2.3"), found)
        self.assertEqual(read(again), self.rows)
