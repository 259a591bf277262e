"""Objects that are not what their kind promises are refused when they are built."""

from unittest import TestCase

from meshd.api import KINDS, PluginError
from meshd.runtime.contract import check_object


class ContractTest(TestCase):
    def reason(self, kind, cls, is_terminal=False):
        with self.assertRaises(PluginError) as caught:
            check_object(kind, cls(), is_terminal)
        return str(caught.exception)

    def test_names_each_missing_method(self):
        class Empty:
            pass

        text = self.reason("load_balancer", Empty)
        self.assertIn("pick: missing: expected pick(exchange)", text)
        self.assertIn("update: missing: expected update(endpoints)", text)

    def test_names_a_method_with_other_arguments(self):
        class Wrong:
            def on_request(self):
                pass

        text = "on_request: too many positional arguments: expected on_request(exchange)"
        self.assertIn(text, self.reason("http_filter", Wrong))

    def test_names_a_missing_attribute(self):
        class Policy:
            def judge(self, exchange, outcome):
                pass

        self.assertIn("body_limit_bytes: missing", self.reason("retry_policy", Policy))

    def test_a_filter_may_have_any_one_of_its_methods(self):
        class Last:
            def on_complete(self, exchange):
                pass

        check_object("http_filter", Last())

    def test_a_filter_must_have_one_of_its_methods(self):
        self.assertIn("no method: expected one of on_request", self.reason("http_filter", object))

    def test_a_terminal_filter_must_match(self):
        class Filter:
            def on_request(self, exchange):
                pass

        self.assertIn("match: missing", self.reason("http_filter", Filter, True))

    def test_a_coroutine_function_will_do(self):
        class Asks:
            async def authenticate(self, exchange):
                pass

        check_object("authenticator", Asks())

    def test_an_empty_object_is_of_no_kind(self):
        for kind in KINDS:
            with self.subTest(kind):
                self.reason(kind, object)
