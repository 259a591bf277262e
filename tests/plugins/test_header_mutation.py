"""header_mutation: fields are set, added and removed; what frames or routes a message is out of reach."""

import unittest

from meshd.api import CONTINUE, ConfigurationError
from meshd.testing.contract.http import HttpFilterContract
from meshd.testing.exchange import FakeExchange
from meshd.testing.site import FakeSite
from meshd_plugins.header_mutation import REFUSED, HeaderMutation, HeaderMutationFilter
from tests.plugins.reading import read


def mutation(text):
    config, faults = read(HeaderMutation, text)
    assert not faults, faults
    return HeaderMutationFilter(config, FakeSite())


def changed(text, *headers, target=b"/"):
    exchange = FakeExchange(b"GET", target, headers)
    assert exchange.request_phase(mutation(text)) is CONTINUE
    return list(exchange.request.headers)[1:]


class Contract(HttpFilterContract, unittest.TestCase):
    def make(self):
        return mutation(
            "request: {set: {x-a: '%REQ(x-odd)%'}, remove: [cookie]}\nresponse: {add: {x-b: '%REQ(origin)%'}}"
        )


class Request(unittest.TestCase):
    def test_remove_drops_every_line(self):
        fields = (b"X-A", b"1"), (b"x-a", b"2"), (b"x-b", b"3")
        self.assertEqual(changed("request: {remove: [X-A]}", *fields), [(b"x-b", b"3")])

    def test_set_replaces_every_line_by_one(self):
        self.assertEqual(changed("request: {set: {x-a: new}}", (b"x-a", b"1"), (b"x-a", b"2")), [(b"x-a", b"new")])

    def test_add_keeps_what_is_there(self):
        self.assertEqual(changed("request: {add: {x-a: two}}", (b"x-a", b"one")), [(b"x-a", b"one"), (b"x-a", b"two")])

    def test_remove_comes_before_set_and_set_before_add(self):
        text = "request: {add: {x-a: '2'}, set: {x-a: '1'}, remove: [x-a]}"
        self.assertEqual(changed(text, (b"x-a", b"0")), [(b"x-a", b"1"), (b"x-a", b"2")])

    def test_each_append_action_does_what_envoy_says(self):
        rows = (
            ("APPEND_IF_EXISTS_OR_ADD", [b"old", b"new"], [b"new"]), ("ADD_IF_ABSENT", [b"old"], [b"new"]),
            ("OVERWRITE_IF_EXISTS_OR_ADD", [b"new"], [b"new"]), ("OVERWRITE_IF_EXISTS", [b"new"], []),
        )
        for action, present, absent in rows:
            text = f"request: {{mutations: [{{name: x-a, value: new, append_action: {action}}}]}}"
            with self.subTest(action):
                self.assertEqual([value for _, value in changed(text, (b"x-a", b"old"))], present)
                self.assertEqual([value for _, value in changed(text)], absent)

    def test_values_take_the_request_and_the_connection(self):
        value = "%REQ(:path)% %REQ(x-b)% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %PROTOCOL% 5%%"
        text = f"request: {{set: {{x-a: '{value}'}}}}"
        fields = changed(text, (b"x-b", b"\xff"), target=b"/p?q")
        self.assertEqual(fields[-1], (b"x-a", b"/p?q \xff 192.0.2.1 HTTP/1.1 5%"))

    def test_a_value_that_comes_out_empty_is_not_written(self):
        self.assertEqual(changed("request: {set: {x-a: '%REQ(x-none)%'}}"), [])

    def test_the_route_is_found_anew_only_where_asked(self):
        for text, count in (("request: {set: {x-a: b}}", 0), ("request: {set: {x-a: b}}\nclear_route: true", 1)):
            exchange = FakeExchange()
            exchange.request_phase(mutation(text))
            self.assertEqual(exchange.routes_cleared, count)


class Response(unittest.TestCase):
    def test_local_replies_are_changed_too(self):
        exchange = FakeExchange()
        exchange.reply(404, b"no")
        exchange.response_phase(mutation("response: {set: {server: meshd}, remove: [content-type]}"))
        self.assertEqual(list(exchange.response.headers), [(b"content-length", b"2"), (b"server", b"meshd")])

    def test_a_phase_without_changes_is_not_there(self):
        self.assertFalse(hasattr(mutation("request: {set: {x-a: b}}"), "on_response"))
        self.assertFalse(hasattr(mutation("response: {set: {x-a: b}}"), "on_request"))


class Configuration(unittest.TestCase):
    def test_framing_routing_and_hop_by_hop_fields_are_refused(self):
        for name in sorted(REFUSED):
            for text in (f"remove: [{name}]", f"set: {{{name}: a}}", f"mutations: [{{name: {name}, value: a}}]"):
                with self.subTest(text):
                    found, faults = read(HeaderMutation, f"request: {{{text}}}")
                    self.assertIsNone(found)
                    self.assertIn("hop-by-hop", faults[0])

    def test_pseudo_headers_are_refused(self):
        self.assertTrue(read(HeaderMutation, "request: {set: {':path': /}}")[1])

    def test_a_value_that_could_inject_a_line_is_refused(self):
        self.assertIn("without controls", str(read(HeaderMutation, 'request: {set: {x-a: "a\\r\\nb: c"}}')[1]))

    def test_a_lone_percent_sign_is_refused(self):
        self.assertIn("expected %OPERATOR%", str(read(HeaderMutation, "request: {set: {x-a: 50%}}")[1]))

    def test_an_unknown_operator_is_one_clear_error_at_build_time(self):
        with self.assertRaisesRegex(ConfigurationError, "NO_SUCH"):
            mutation("request: {set: {x-a: '%NO_SUCH%'}}")


class Explained(unittest.TestCase):
    def test_it_names_the_fields_and_changes_the_requests(self):
        exchange = FakeExchange()
        text = mutation("request: {set: {x-a: '1'}, remove: [x-b]}\nresponse: {add: {x-c: '2'}}").explain(exchange)
        self.assertEqual(text, "request: removes x-b, sets x-a; response: adds x-c")
        self.assertEqual(exchange.request.headers.get(b"x-a"), b"1")

    def test_one_that_changes_nothing(self):
        self.assertEqual(mutation("{}").explain(FakeExchange()), "changes nothing")
