"""What is done to every request's head: client address, trusted hops, request id, path; Envoy's rules."""

import re
import unittest
from types import SimpleNamespace
from random import Random

from meshd.downstream.edge import INTERNAL, Edge
from meshd.errors import ProtocolError
from meshd.exchange.exchange import Exchange
from meshd.http.path import Redirect
from meshd.model.listener import HttpOptions
from meshd.testing.exchange import request_head
from tests.exchange.mesh import GET, MeshCase, head_of
from tests.wire.world import StillWorld

UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class Downstream:
    """The connection of a client at 192.0.2.9."""

    world = StillWorld()
    poller = world.poller
    host = "192.0.2.9"
    host_bytes = b"192.0.2.9"
    local = "192.0.2.254:80"
    listener = SimpleNamespace(name="public")
    forwarded = b"\r\nx-forwarded-for: 192.0.2.9\r\nx-forwarded-proto: http"


def prepared(*headers, target=b"/", host=b"example.com", **options):
    """Return an exchange whose head went through an edge with ``options``."""
    exchange = Exchange(Downstream(), None, request_head(b"GET", target, headers, host), 0.0)
    Edge(HttpOptions(**options), Random(1)).prepare(exchange)
    return exchange


def field(exchange, name):
    """Return the values of a field."""
    return exchange.request.headers.get_all(name)


class Clients(unittest.TestCase):
    def test_the_peer_is_the_client(self):
        exchange = prepared()
        self.assertEqual(exchange.client, "192.0.2.9")
        self.assertEqual(field(exchange, b"x-forwarded-for"), [b"192.0.2.9"])
        self.assertEqual(field(exchange, b"x-forwarded-proto"), [b"http"])

    def test_what_came_is_not_trusted_but_kept(self):
        exchange = prepared((b"X-Forwarded-For", b"1.1.1.1"), (b"X-Forwarded-For", b"2.2.2.2"))
        self.assertEqual(exchange.client, "192.0.2.9")
        self.assertEqual(field(exchange, b"x-forwarded-for"), [b"1.1.1.1, 2.2.2.2, 192.0.2.9"])

    def test_trusted_hops_are_counted_from_the_right(self):
        forwarded = (b"x-forwarded-for", b"1.1.1.1, 2.2.2.2, 3.3.3.3")
        for hops, client in ((0, "192.0.2.9"), (1, "3.3.3.3"), (2, "2.2.2.2"), (3, "1.1.1.1"), (4, "192.0.2.9")):
            self.assertEqual(prepared(forwarded, xff_num_trusted_hops=hops).client, client, hops)

    def test_behind_another_proxy_of_the_mesh(self):
        forwarded = (b"x-forwarded-for", b"1.1.1.1, 2.2.2.2, 3.3.3.3")
        for hops, client in ((0, "3.3.3.3"), (1, "2.2.2.2"), (2, "1.1.1.1"), (3, "192.0.2.9")):
            exchange = prepared(forwarded, xff_num_trusted_hops=hops, use_remote_address=False)
            self.assertEqual(exchange.client, client, hops)
            self.assertEqual(field(exchange, b"x-forwarded-for"), [forwarded[1]])

    def test_without_a_remote_address_nothing_is_appended(self):
        self.assertEqual(field(prepared(use_remote_address=False), b"x-forwarded-for"), [])

    def test_the_scheme_is_ours_unless_a_trusted_hop_says_it(self):
        said = (b"x-forwarded-proto", b"https"), (b"x-forwarded-for", b"1.1.1.1")
        self.assertEqual(field(prepared(*said), b"x-forwarded-proto"), [b"http"])
        self.assertEqual(field(prepared(*said, xff_num_trusted_hops=1), b"x-forwarded-proto"), [b"https"])
        self.assertEqual(field(prepared(said[0], xff_num_trusted_hops=1), b"x-forwarded-proto"), [b"http"])
        odd = (b"x-forwarded-proto", b"javascript"), said[1]
        self.assertEqual(field(prepared(*odd, xff_num_trusted_hops=1), b"x-forwarded-proto"), [b"http"])

    def test_behind_another_proxy_of_the_mesh_the_scheme_is_kept_and_never_missing(self):
        kept = prepared((b"x-forwarded-proto", b"https"), use_remote_address=False)
        self.assertEqual(field(kept, b"x-forwarded-proto"), [b"https"])
        for headers in ((), ((b"x-other", b"1"),)):
            made = prepared(*headers, use_remote_address=False)
            self.assertEqual(field(made, b"x-forwarded-proto"), [b"http"])


class Internal(unittest.TestCase):
    def test_fields_of_the_mesh_are_dropped_where_they_come_from_outside(self):
        for name in INTERNAL:
            for spelt in (name, name.title(), name.upper()):
                self.assertEqual(field(prepared((spelt, b"1")), name), [], spelt)

    def test_every_one_of_them_is_dropped_at_once(self):
        exchange = prepared(*((name, b"1") for name in INTERNAL), (b"x-envoy-internal", b"true"))
        self.assertEqual([name for name in INTERNAL if field(exchange, name)], [])

    def test_inside_of_the_mesh_they_are_kept(self):
        for name in INTERNAL:
            self.assertEqual(field(prepared((name, b"1"), use_remote_address=False), name), [b"1"])

    def test_others_are_kept(self):
        exchange = prepared((b"x-mine", b"1"), (b"X-Envoyish", b"2"))
        self.assertEqual((field(exchange, b"x-mine"), field(exchange, b"x-envoyish")), ([b"1"], [b"2"]))


class RequestIds(unittest.TestCase):
    def test_one_is_made(self):
        (made,) = field(prepared(), b"x-request-id")
        self.assertTrue(UUID.fullmatch(made), made)

    def test_they_differ(self):
        edge = Edge(HttpOptions(), Random(1))
        self.assertEqual(len({edge.request_id() for _ in range(10_000)}), 10_000)
        self.assertNotEqual(edge.request_id(), Edge(HttpOptions(), Random(2)).request_id())

    def test_one_from_outside_is_replaced(self):
        (made,) = field(prepared((b"x-request-id", b"mine")), b"x-request-id")
        self.assertTrue(UUID.fullmatch(made), made)

    def test_one_from_outside_is_kept_on_demand(self):
        exchange = prepared((b"x-request-id", b"mine"), preserve_external_request_id=True)
        self.assertEqual(field(exchange, b"x-request-id"), [b"mine"])

    def test_one_from_inside_is_kept(self):
        exchange = prepared((b"x-request-id", b"mine"), use_remote_address=False)
        self.assertEqual(field(exchange, b"x-request-id"), [b"mine"])

    def test_none_is_made_where_none_is_wanted(self):
        for headers in ((), ((b"x-other", b"1"),)):
            self.assertEqual(field(prepared(*headers, generate_request_id=False), b"x-request-id"), [])


class Upgrades(unittest.TestCase):
    def test_what_the_listener_does_not_pass_on_is_no_upgrade(self):
        upgrade = (b"upgrade", b"websocket")
        self.assertEqual(prepared(upgrade).request.upgrade, b"websocket")
        self.assertIsNone(prepared(upgrade, upgrades=()).request.upgrade)
        self.assertEqual(prepared(upgrade, upgrades=("WebSocket",)).request.upgrade, b"websocket")


class Answers(MeshCase):
    def answer(self, **http):
        """Return the fields of an upstream's answer that came through."""
        mesh = self.mesh(http=http)
        client = mesh.client(GET)
        mesh.upstream.serve(b"HTTP/1.1 200 OK\r\nserver: theirs\r\ncontent-length: 0\r\n\r\n")
        self.sent = mesh.last.request.headers.get(b"x-request-id")
        return head_of(client.read())[1]

    def test_as_they_came(self):
        fields = self.answer()
        self.assertEqual((fields[b"server"], fields.get(b"x-request-id")), (b"theirs", None))

    def test_with_our_name(self):
        self.assertEqual(self.answer(server_name="ours")[b"server"], b"ours")

    def test_with_the_request_id(self):
        self.assertEqual(self.answer(always_set_request_id_in_response=True)[b"x-request-id"], self.sent)

    def test_our_own_too(self):
        mesh = self.mesh(http={"server_name": "ours", "always_set_request_id_in_response": True})
        mesh.upstream.stop()
        fields = head_of(mesh.ask())[1]
        self.assertEqual(fields[b"server"], b"ours")
        self.assertTrue(UUID.fullmatch(fields[b"x-request-id"]))
        self.assertEqual(head_of(mesh.ask(b"GET /\r\n\r\n"))[1][b"server"], b"ours")


class Targets(unittest.TestCase):
    def test_paths_are_normalised(self):
        for target, made in (
            (b"/a/../b", b"/b"), (b"/a//b?c//d", b"/a/b?c//d"), (b"/%7eu", b"/~u"), (b"/a\\b", b"/a/b"),
            (b"/plain?x=1", b"/plain?x=1"), (b"*", b"*"),
        ):
            self.assertEqual(prepared(target=target).request.target, made)

    def test_or_left_alone(self):
        self.assertEqual(prepared(target=b"/a/../b", normalize_path=False).request.target, b"/a/../b")
        self.assertEqual(prepared(target=b"/a//b", merge_slashes=False).request.target, b"/a//b")

    def test_escaped_slashes(self):
        with self.assertRaises(ProtocolError):
            prepared(target=b"/a%2Fb")
        with self.assertRaises(Redirect):
            prepared(target=b"/a%2Fb", path_with_escaped_slashes_action="unescape_and_redirect")

    def test_a_request_without_a_host_is_given_one(self):
        exchange = prepared(host=b"")
        self.assertEqual((exchange.request.host, field(exchange, b"host")), (b"192.0.2.254:80", [b"192.0.2.254:80"]))
