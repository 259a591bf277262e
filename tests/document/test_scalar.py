"""The table of unquoted words: decided, not inherited."""

import json
from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from meshd.document.scalar import AMBIGUOUS, BOOLEAN, INTEGER, NULL, NUMBER, TEXT, quoted, read

DECIDED = {
    NULL: ("", "~", "null", "Null", "NULL"),
    BOOLEAN: ("true", "false", "True", "FALSE"),
    INTEGER: ("0", "-0", "5", "-12", "123456789012345678901234567890"),
    NUMBER: ("2.9", "-0.5", "1e3", "1.5E-7", "0.0"),
    AMBIGUOUS: (
        "on", "On", "ON", "off", "yes", "No", "y", "N", "010", "007", "0x1F", "0o17", "0b11", "1_000", "+5",
        "+1.5", ".5", "5.", "1:30", "190:20:30", "1:30.5", "2024-01-01", "2024-1-1 10:00:00", ".nan", ".NaN", ".inf",
        "-.inf", "00",
    ),
    TEXT: (
        "nUll", "tRUE", "ON!", "yess", "1.2.3", "10s", "1-2", "-", "--", ".", "a:1", "8080:99", "5 apples", "=", "<<",
        "x",
    ),
}


class TestTable(TestCase):
    def test_every_listed_word_has_its_kind(self):
        for kind, words in DECIDED.items():
            for word in words:
                with self.subTest(word):
                    self.assertEqual(read(word)[0], kind)

    def test_an_ambiguous_word_says_why(self):
        for word in DECIDED[AMBIGUOUS]:
            self.assertTrue(read(word)[1], word)

    @given(st.text(max_size=30))
    def test_any_text_has_a_kind_and_whole_numbers_are_numbers(self, text):
        kind = read(text)[0]
        if kind == INTEGER:
            int(text)
        if kind == NUMBER:
            float(text)

    @given(st.text(max_size=50))
    def test_quoted_text_is_json(self, text):
        self.assertEqual(json.loads(quoted(text)), text)
