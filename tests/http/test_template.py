"""Templates: text with operators becomes bytes."""

import unittest

from meshd.http.template import Call, compile_template, parse
from meshd.testing.exchange import FakeExchange


class Value:
    def __init__(self, value):
        self.value = value

    def compile(self, argument, length):
        if argument == "bad":
            raise ValueError("argument 'bad': expected another")
        return lambda exchange: self.value


def operator(name):
    values = {"NUMBER": 7, "UNSET": None, "EVIL": "a\r\nb: c\0", "TEXT": "ü"}
    if name not in values:
        raise ValueError(f"unknown operator {name!r}")
    return Value(values[name])


class Parsing(unittest.TestCase):
    def test_splits_text_and_operators(self):
        self.assertEqual(parse("a%%b%REQ(x-y?z):12%c"), (b"a%b", Call("REQ", "x-y?z", 12), b"c"))

    def test_an_argument_may_have_percent_signs(self):
        self.assertEqual(parse("%START_TIME(%Y-%m)%"), (Call("START_TIME", "%Y-%m", None),))

    def test_an_argument_may_have_parentheses_in_pairs(self):
        self.assertEqual(parse("%REQ(a(b)c):3%"), (Call("REQ", "a(b)c", 3),))

    def test_text_without_operators_is_one_literal(self):
        self.assertEqual(parse("100%% pure"), (b"100% pure",))
        self.assertEqual(parse(""), ())

    def test_refuses_a_percent_sign_that_opens_nothing(self):
        for text in ("50%", "%req%", "% REQ(a)%", "%REQ(a", "%REQ(a):x%"):
            with self.subTest(text), self.assertRaisesRegex(ValueError, "expected %OPERATOR%"):
                parse(text)


class Rendering(unittest.TestCase):
    def render(self, text, exchange=None, **options):
        return compile_template(text, operator, **options)(exchange or FakeExchange(headers=[(b"X-A", b"\xffvalue")]))

    def test_joins_values_and_text(self):
        self.assertEqual(self.render("n=%NUMBER%, t=%TEXT%"), b"n=7, t=\xc3\xbc")

    def test_request_fields_pass_as_they_came(self):
        self.assertEqual(self.render("%REQ(X-A)%"), b"\xffvalue")
        self.assertEqual(self.render("%REQ(X-A):3%"), b"\xffva")

    def test_the_second_name_stands_in_for_the_first(self):
        self.assertEqual(self.render("%REQ(x-missing?:path)%"), b"/")

    def test_pseudo_headers_can_be_read(self):
        exchange = FakeExchange(b"PUT", b"/p?q")
        self.assertEqual(self.render("%REQ(:method)% %REQ(:authority)%%REQ(:path)%", exchange), b"PUT example.com/p?q")

    def test_what_is_unset_gives_the_stand_in(self):
        self.assertEqual(self.render("<%UNSET%%REQ(x-missing)%>"), b"<>")
        self.assertEqual(self.render("%UNSET%", unset=b"-"), b"-")

    def test_no_operator_can_inject_a_line(self):
        self.assertEqual(self.render("%EVIL%"), b"ab: c")

    def test_empty_text_is_empty(self):
        self.assertEqual(self.render(""), b"")

    def test_faults_are_value_errors_at_build_time(self):
        for text in ("%NOBODY%", "%TEXT(bad)%", "%REQ%", "%REQ(a?b?c)%", "%REQ(:nothing)%"):
            with self.subTest(text), self.assertRaises(ValueError):
                compile_template(text, operator)
