"""Every document of the corpora gets istiod's verdict under strict: no error, or exactly those that it names."""

import unittest

from tests.istio.corpus import NOT_IN_FORCE, all_cases

CASES = all_cases()
VALID = [case for case in CASES if case.is_valid]
INVALID = [case for case in CASES if not case.is_valid]
OWN_VERDICTS = frozenset(("MSH0311", "MSH0312"))
"""What is only a warning without ``--strict``."""


class TestDocuments(unittest.TestCase):
    def test_valid_ones_have_no_error(self):
        for case in VALID:
            with self.subTest(kind=case.kind, title=case.title):
                self.assertEqual(case.errors(), [])

    def test_invalid_ones_have_the_errors_that_they_name(self):
        for case in INVALID:
            with self.subTest(kind=case.kind, title=case.title):
                self.assertTrue(case.expected, "expected a line '# CODE LINE PATH: WHAT'")
                self.assertEqual(case.errors(), case.expected)

    def test_without_strict_only_the_two_deviations_pass(self):
        for case in INVALID:
            codes = {code for code, _, _ in case.expected}
            errors = [one for one in case.read(is_strict=False) if one.severity == "error"]
            with self.subTest(kind=case.kind, title=case.title):
                self.assertEqual(not [one for one in errors if one.code not in NOT_IN_FORCE], codes <= OWN_VERDICTS)

    def test_titles_are_unique_within_a_kind(self):
        titles = [(case.kind, case.is_valid, case.title) for case in CASES]
        self.assertEqual(sorted({one for one in titles if titles.count(one) > 1}), [])


if __name__ == "__main__":
    unittest.main()
