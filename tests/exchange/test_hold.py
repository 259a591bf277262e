"""A response waits for a filter: nothing overtakes its head, nothing is lost, and connections can be used again."""

from twisted.internet.defer import Deferred

from meshd.api.exchange import STOP
from meshd.model.plugin import FAIL_OPEN
from tests.exchange.chain_case import ChainCase
from tests.exchange.mesh import GET, OK, status_of

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
TAIL = b"3\r\nabc\r\n0\r\n\r\n"


class Back:
    """Returns what ``answer(exchange)`` gives from ``on_response``."""

    def __init__(self, answer):
        self.on_response = answer


class HoldTest(ChainCase):
    def setUp(self):
        super().setUp()
        self.asked = []

    def wait(self, exchange):
        """Wait, for one more Deferred of ``asked``."""
        self.asked.append(Deferred(lambda _: self.notes.append("cancelled")))
        return self.asked[-1]

    def waiting(self, *others, on_error=FAIL_OPEN, **options):
        return self.mesh(*others, (Back(self.wait), on_error), **options)

    def test_the_answer_leaves_whole_when_the_filter_is_done(self):
        mesh = self.waiting(self.filter("b"))
        client = mesh.client(GET)
        mesh.upstream.serve()
        self.assertEqual((client.read(), self.notes), (b"", ["b.request"]))
        self.asked[0].callback(None)
        self.assertEqual(client.read(), OK)
        self.assertEqual(self.notes, ["b.request", "b.response", "b.complete"])

    def test_what_the_filter_changes_meanwhile_is_sent(self):
        mesh = self.waiting()
        client = mesh.client(GET)
        mesh.upstream.serve()
        mesh.connection().exchange.response.headers.set(b"x-a", b"1")
        self.asked[0].callback(None)
        self.assertIn(b"\r\nx-a: 1\r\n", client.read())

    def test_the_upstream_connection_serves_the_next_request(self):
        mesh = self.waiting()
        client = mesh.client(GET)
        peer, _ = mesh.upstream.serve()
        for _ in range(3):
            self.asked.pop().callback(None)
            self.assertEqual(client.read(), OK)
            client.send(GET)
            self.assertTrue(peer.read())
            peer.send(OK)
        self.asked.pop().callback(None)
        self.assertEqual(client.read(), OK)

    def test_a_body_that_comes_late_follows(self):
        mesh = self.waiting()
        client = mesh.client(GET)
        peer = mesh.upstream.accept()
        peer.read()
        peer.send(CHUNKED + b"2\r\nxy\r\n")
        self.asked[0].callback(None)
        self.assertEqual(client.read(), CHUNKED + b"2\r\nxy\r\n")
        peer.send(TAIL)
        self.assertEqual(client.read(), TAIL)

    def test_the_upstream_is_not_read_while_its_head_is_held(self):
        mesh = self.waiting()
        client = mesh.client(GET)
        peer = mesh.upstream.accept()
        peer.read()
        body = b"x" * 4_000_000
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4000000\r\n\r\n")
        sent = peer.send(body)
        self.assertLess(sent, len(body))
        held = sum(map(len, mesh.connection().exchange.held.pieces))
        self.assertLessEqual(held, 262144)
        self.asked[0].callback(None)
        count = len(client.read())
        while sent < len(body):
            sent += peer.send(body[sent:])
            count += len(client.read())
        self.assertGreater(count, len(body))

    def test_a_local_reply_waits_too(self):
        def refuse(exchange):
            exchange.reply(403, b"no\n")
            return STOP

        mesh = self.waiting(self.filter("a", request=refuse))
        client = mesh.client(GET)
        self.assertEqual(client.read(), b"")
        self.asked[0].callback(None)
        answer = client.read()
        self.assertEqual((status_of(answer), answer[-3:]), (403, b"no\n"))

    def test_a_failure_is_passed_by_fail_open_and_replaced_by_fail_closed(self):
        for on_error, status in ((FAIL_OPEN, 200), ("fail-closed", 500)):
            mesh = self.waiting(on_error=on_error)
            client = mesh.client(GET)
            mesh.upstream.serve()
            self.asked.pop().errback(RuntimeError("boom"))
            self.assertEqual(status_of(client.read()), status)
            self.assertEqual(mesh.uses[0].record.faults, {"on_response": 1})

    def test_deferreds_that_have_fired_and_coroutines_need_no_hold(self):
        async def think():
            return None

        for answer in (lambda exchange: think(), lambda exchange: "anything"):
            mesh = self.mesh(Back(answer))
            self.assertEqual(self.serve(mesh), OK)
        fired = Deferred()
        fired.errback(RuntimeError("boom"))
        mesh = self.mesh((Back(lambda exchange: fired), "fail-closed"))
        self.assertEqual(status_of(self.serve(mesh)), 500)

    def test_two_filters_wait_one_after_the_other(self):
        mesh = self.mesh(Back(self.wait), Back(self.wait))
        client = mesh.client(GET)
        mesh.upstream.serve()
        self.assertEqual(len(self.asked), 1)
        self.asked[0].callback(None)
        self.assertEqual((len(self.asked), client.read()), (2, b""))
        self.asked[1].callback(None)
        self.assertEqual(client.read(), OK)

    def test_a_client_that_leaves_ends_the_wait(self):
        mesh = self.waiting()
        client = mesh.client(GET)
        mesh.upstream.serve()
        client.close()
        self.assertEqual(self.notes, ["cancelled"])

    def test_an_upstream_that_breaks_off_cuts_the_answer(self):
        mesh = self.waiting()
        client = mesh.client(GET)
        peer = mesh.upstream.accept()
        peer.read()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")
        peer.close()
        self.asked[0].callback(None)
        self.assertNotIn(b"abc\r\n", client.read())
        self.assertNotEqual(client.end(), "open")
        self.assertEqual([exchange.is_ended for exchange in mesh.sink.ended], [True])
