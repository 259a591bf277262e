"""The admin API's HTTP: methods, bounds and who may ask."""

import json

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from meshd.admin.page import Page, Reply, text
from meshd.admin.site import FRESH_S, MAX_BODY_BYTES, MAX_CONNECTIONS
from tests.admin.fake import FakeDaemon
from tests.admin.wire import Wire, dechunk


class Guarded(SynchronousTestCase):
    def setUp(self):
        self.daemon = FakeDaemon()
        self.wire = Wire(self.daemon)

    def test_what_changes_something_refuses_get(self):
        for path in ("/logging", "/reload", "/drain_listeners", "/healthcheck/fail", "/healthcheck/ok", "/quitquitquit",
                     "/reopen_logs"):
            status, fields, _ = self.wire.ask(path)
            self.assertEqual((status, fields["allow"]), (405, "POST"), path)
        self.assertEqual(self.daemon.told, [])

    def test_what_reads_refuses_post(self):
        self.assertEqual(self.wire.ask("/clusters", "POST")[0], 405)

    def test_unknown_page_is_404_and_says_where_the_list_is(self):
        status, _, body = self.wire.ask("/nowhere")
        self.assertEqual(status, 404)
        self.assertIn(b"expected one of those on /", body)

    def test_refuses_the_name_that_a_rebound_dns_entry_sends(self):
        answer = self.wire.say(b"GET /config_dump HTTP/1.1\r\nhost: evil.example:15000\r\n\r\n")
        self.assertIn(b" 403 ", answer.split(b"\r\n")[0])

    def test_refuses_a_post_from_a_foreign_page(self):
        for field in ("origin: https://evil.example", "sec-fetch-site: cross-site", "origin: null"):
            self.assertEqual(self.wire.ask("/quitquitquit", "POST", [field])[0], 403, field)
        self.assertEqual(self.daemon.told, [])

    def test_takes_loopback_names_and_literals(self):
        for host in ("localhost", "localhost:15000", "127.0.0.1:15000", "[::1]:15000", "127.9.9.9", "mesh.localhost"):
            answer = self.wire.say(f"GET /ready HTTP/1.1\r\nhost: {host}\r\n\r\n".encode())
            self.assertIn(b" 200 ", answer.split(b"\r\n")[0], host)

    def test_unix_socket_takes_any_host(self):
        answer = Wire(self.daemon, is_unix=True).say(b"GET /ready HTTP/1.1\r\nhost: meshd\r\n\r\n")
        self.assertIn(b" 200 ", answer.split(b"\r\n")[0])


class Bounds(SynchronousTestCase):
    def setUp(self):
        self.wire = Wire(FakeDaemon())

    def test_announced_body_beyond_the_bound_is_413_before_it_is_sent(self):
        answer = self.wire.say(
            b"POST /reload HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1))
        self.assertTrue(answer.startswith(b"HTTP/1.1 413 "), answer)
        self.assertTrue(self.wire.transport.disconnecting)

    def test_chunked_body_beyond_the_bound_is_413(self):
        self.wire.say(b"POST /reload HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n")
        answer = self.wire.say(b"%x\r\n" % (MAX_BODY_BYTES + 1) + b"x" * (MAX_BODY_BYTES + 1) + b"\r\n0\r\n\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 413 "), answer)
        self.assertEqual(self.wire.site.daemon.told, [])

    def test_connections_beyond_the_bound_are_closed_and_room_comes_back(self):
        channels = [self.wire.connect()[1] for _ in range(MAX_CONNECTIONS - 1)]
        self.assertIsNone(self.wire.connect()[1])
        channels[0].connectionLost(Failure(ConnectionLost()))
        self.assertIsNotNone(self.wire.connect()[1])

    def test_silent_connection_is_closed(self):
        self.wire.clock.advance(61)
        self.assertTrue(self.wire.transport.disconnecting)

    def test_client_that_does_not_read_is_cut(self):
        self.wire.channel.pauseProducing()
        self.wire.clock.advance(59)
        self.wire.channel.resumeProducing()
        self.wire.channel.pauseProducing()
        self.wire.clock.advance(59)
        self.assertFalse(self.wire.transport.disconnected)
        self.wire.clock.advance(2)
        self.assertTrue(self.wire.transport.disconnected)


class Owing(SynchronousTestCase):
    """What a drain waits for."""

    def setUp(self):
        self.later = Deferred()
        page = Page(path="/x", render=lambda daemon, query: self.later, help="")
        self.wire = Wire(FakeDaemon(), pages=[page])

    def ask(self):
        self.wire.say(b"GET /x HTTP/1.1\r\nhost: localhost\r\n\r\n")

    def test_who_has_just_connected_will_ask(self):
        self.assertTrue(self.wire.site.is_owing)
        self.wire.clock.advance(FRESH_S)
        self.assertFalse(self.wire.site.is_owing)

    def test_who_has_asked_is_owed_the_answer_to_its_last_byte(self):
        self.ask()
        self.wire.clock.advance(10 * FRESH_S)
        self.assertTrue(self.wire.site.is_owing)
        self.later.callback(text("x"))
        self.wire.clock.writers = [self.wire.transport]
        self.assertTrue(self.wire.site.is_owing)
        self.wire.clock.writers = []
        self.assertFalse(self.wire.site.is_owing)

    def test_who_has_gone_is_owed_nothing(self):
        self.ask()
        self.wire.channel.connectionLost(Failure(ConnectionLost()))
        self.assertFalse(self.wire.site.is_owing)


class Pages(SynchronousTestCase):
    def test_head_has_the_fields_and_no_body(self):
        status, fields, body = Wire(FakeDaemon()).ask("/server_info", "HEAD")
        self.assertEqual((status, body), (200, b""))
        self.assertGreater(int(fields["content-length"]), 0)

    def test_page_that_fails_is_500_without_a_traceback_and_is_logged(self):
        def broken(daemon, query):
            raise RuntimeError("boom")

        status, _, body = Wire(FakeDaemon(), pages=[Page(path="/x", render=broken, help="")]).ask("/x")
        self.assertEqual(status, 500)
        self.assertNotIn(b"Traceback", body)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_page_may_answer_later(self):
        later = Deferred()
        wire = Wire(FakeDaemon(), pages=[Page(path="/x", render=lambda daemon, query: later, help="")])
        self.assertEqual(wire.say(b"GET /x HTTP/1.1\r\nhost: localhost\r\n\r\n"), b"")
        later.callback(text("done\n"))
        self.assertIn(b"done", wire.transport.value())

    def test_client_that_left_before_the_answer_does_no_harm(self):
        later = Deferred()
        wire = Wire(FakeDaemon(), pages=[Page(path="/x", render=lambda daemon, query: later, help="")])
        wire.say(b"GET /x HTTP/1.1\r\nhost: localhost\r\n\r\n")
        wire.channel.connectionLost(Failure(ConnectionLost()))
        later.callback(text("done\n"))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_pieces_are_made_only_as_they_leave(self):
        made = []

        def pieces():
            for number in range(3):
                made.append(number)
                yield b"%d\n" % number

        wire = Wire(FakeDaemon(), pages=[Page(path="/x", render=lambda daemon, query: Reply(pieces()), help="")])
        wire.channel.dataReceived(b"GET /x HTTP/1.1\r\nhost: localhost\r\n\r\n")
        self.assertEqual(made, [])
        wire.turn(1)
        self.assertEqual(made, [0])
        wire.channel.pauseProducing()
        wire.turn()
        self.assertLess(len(made), 3)
        wire.channel.resumeProducing()
        wire.turn()
        self.assertEqual(dechunk(wire.transport.value().partition(b"\r\n\r\n")[2]), b"0\n1\n2\n")

    def test_client_that_leaves_ends_the_pieces(self):
        ended = []

        def pieces():
            try:
                while True:
                    yield b"x"
            finally:
                ended.append(True)

        wire = Wire(FakeDaemon(), pages=[Page(path="/x", render=lambda daemon, query: Reply(pieces()), help="")])
        wire.say(b"GET /x HTTP/1.1\r\nhost: localhost\r\n\r\n")
        wire.channel.stopProducing()
        wire.channel.connectionLost(Failure(ConnectionLost()))
        wire.turn()
        self.assertEqual(ended, [True])

    def test_arguments_come_from_the_target_or_a_form(self):
        seen = []
        page = Page(path="/x", methods=("POST",), help="",
                    render=lambda daemon, query: seen.append(query.values) or text(""))
        wire = Wire(FakeDaemon(), pages=[page])
        wire.ask("/x?a=1", "POST")
        wire.ask("/x", "POST", ["content-type: application/x-www-form-urlencoded"], b"b=2")
        self.assertEqual(seen, [{"a": ["1"]}, {"b": ["2"]}])

    def test_every_json_page_names_its_api_version(self):
        wire = Wire(FakeDaemon())
        for path in ("/server_info", "/config_dump", "/plugins", "/clusters?format=json", "/listeners?format=json",
                     "/stats?format=json"):
            self.assertEqual(json.loads(wire.ask(path)[2])["apiVersion"], "admin.meshd.io/v1", path)
