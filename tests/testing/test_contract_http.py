"""The contract suites of HTTP plugins find the faults that they are for."""

import unittest

from meshd.api import CONTINUE, STOP, Denied, Identity
from meshd.testing.contract.http import AuthenticatorContract, AuthorizerContract, HttpFilterContract
from meshd.testing.exchange import FakeExchange


def broken(contract, plugin, **extra):
    """Return the names of the tests of ``contract`` that the class ``plugin`` does not pass."""
    body = {"make": lambda self: plugin(), **extra}
    case = type("Case", (contract, unittest.TestCase), body)
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    found = {getattr(test, "test_case", test).id() for test, _ in result.failures + result.errors}
    return {name.rpartition(".")[2] for name in found}


class Filters(unittest.TestCase):
    def find(self, **methods):
        return broken(HttpFilterContract, type("Filter", (), methods))

    def test_a_good_one_passes(self):
        self.assertEqual(self.find(on_request=lambda self, exchange: CONTINUE), set())

    def test_no_phase_at_all_is_found(self):
        self.assertIn("test_has_a_phase_and_each_takes_the_exchange", self.find())

    def test_an_answer_that_is_no_verdict_is_found(self):
        self.assertIn("test_answers_a_verdict_to_every_request", self.find(on_request=lambda self, exchange: None))

    def test_a_reply_without_stop_is_found(self):
        def on_request(self, exchange):
            exchange.reply(403)
            return CONTINUE

        self.assertIn("test_stops_exactly_when_it_has_replied", self.find(on_request=on_request))

    def test_stop_without_a_reply_is_found(self):
        self.assertIn("test_stops_exactly_when_it_has_replied", self.find(on_request=lambda self, exchange: STOP))

    def test_a_fall_over_bytes_that_are_not_utf8_is_found(self):
        def on_request(self, exchange):
            exchange.request.target.decode()
            return CONTINUE

        self.assertIn("test_answers_a_verdict_to_every_request", self.find(on_request=on_request))

    def test_a_changed_body_under_an_old_length_is_found(self):
        def on_response(self, exchange):
            exchange.response.content_length = -1

        self.assertIn("test_leaves_every_response_sendable", self.find(on_response=on_response))

    def test_state_that_only_one_request_at_a_time_survives_is_found(self):
        def on_request(self, exchange):
            self.exchange = exchange
            return CONTINUE

        def on_response(self, exchange):
            assert self.exchange is exchange

        found = self.find(on_request=on_request, on_response=on_response)
        self.assertEqual(found, {"test_one_object_serves_interleaved_requests"})


class Authenticators(unittest.TestCase):
    def find(self, authenticate):
        exchanges = {
            "good": lambda self: FakeExchange(headers=[(b"x-key", b"good")]),
            "bad": lambda self: FakeExchange(headers=[(b"x-key", b"bad")]),
        }
        return broken(AuthenticatorContract, type("One", (), {"authenticate": authenticate}), **exchanges)

    def test_a_good_one_passes(self):
        def authenticate(self, exchange):
            key = exchange.request.headers.get(b"x-key")
            if key not in (None, b"good"):
                raise Denied("no")
            return None if key is None else Identity(name="ann", method="key")

        self.assertEqual(self.find(authenticate), set())

    def test_one_that_lets_everybody_in_is_found(self):
        found = self.find(lambda self, exchange: Identity(name="ann", method="key"))
        self.assertLessEqual({"test_wrong_credentials_are_denied", "test_no_credentials_are_none"}, found)


class Authorizers(unittest.TestCase):
    def find(self, authorize):
        exchanges = {
            "allowed": lambda self: FakeExchange(target=b"/open"),
            "refused": lambda self: FakeExchange(target=b"/shut"),
        }
        return broken(AuthorizerContract, type("One", (), {"authorize": authorize}), **exchanges)

    def test_a_good_one_passes(self):
        self.assertEqual(self.find(lambda self, exchange: exchange.request.path == b"/open"), set())

    def test_one_that_answers_something_truthy_is_found(self):
        found = self.find(lambda self, exchange: exchange.request.path)
        self.assertIn("test_says_false_to_what_is_not", found)
