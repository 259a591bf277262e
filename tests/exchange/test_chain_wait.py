"""Filters that wait, for whatever or for the whole body."""

from twisted.internet.defer import Deferred

from meshd.api.exchange import CONTINUE, STOP
from meshd.http import flag
from meshd.model.plugin import FAIL_OPEN
from tests.exchange.chain_case import POST, ChainCase
from tests.exchange.mesh import GET, OK, status_of


class Waiting(ChainCase):
    def waiting(self, *others, **options):
        """Return (mesh, deferred): its first filter waits for ``deferred``."""
        deferred = Deferred(lambda _: self.notes.append("cancelled"))
        mesh = self.mesh(self.filter("wait", request=lambda exchange: deferred), *others, **options)
        return mesh, deferred

    def test_a_deferred_suspends_the_walk(self):
        mesh, deferred = self.waiting(self.filter("b"))
        client = mesh.client(GET)
        self.assertEqual(self.notes, ["wait.request"])
        deferred.callback(CONTINUE)
        mesh.upstream.serve()
        self.assertEqual(client.read(), OK)
        self.assertIn("b.request", self.notes)

    def test_a_deferred_that_has_fired(self):
        mesh, deferred = self.waiting(self.filter("b"))
        deferred.callback(CONTINUE)
        self.assertEqual(self.serve(mesh), OK)

    def test_a_coroutine_suspends_the_walk(self):
        deferred = Deferred()

        async def think():
            return await deferred

        mesh = self.mesh(self.filter("a", request=lambda exchange: think()), self.filter("b"))
        client = mesh.client(GET)
        self.assertNotIn("b.request", self.notes)
        deferred.callback(CONTINUE)
        mesh.upstream.serve()
        self.assertEqual(client.read(), OK)

    def test_stop_after_a_reply(self):
        deferred = Deferred()

        async def think(exchange):
            await deferred
            exchange.reply(401, b"who\n")
            return STOP

        mesh = self.mesh(self.filter("a", request=think), self.filter("b"))
        client = mesh.client(GET)
        deferred.callback(None)
        self.assertEqual(status_of(client.read()), 401)
        self.assertNotIn("b.request", self.notes)

    def test_a_failure_is_contained(self):
        for on_error, status in ((None, 500), (FAIL_OPEN, 200)):
            deferred = Deferred()
            wait = self.filter("wait", request=lambda exchange, deferred=deferred: deferred)
            mesh = self.mesh((wait, on_error) if on_error else wait)
            client = mesh.client(GET)
            deferred.errback(RuntimeError("boom"))
            if on_error:
                mesh.upstream.serve()
            self.assertEqual(status_of(client.read()), status)
            self.assertEqual(mesh.uses[0].record.errors, 1)

    def test_a_client_that_leaves_meanwhile_cancels_it(self):
        mesh, deferred = self.waiting(self.filter("b"))
        client = mesh.client(GET)
        client.close()
        self.assertEqual(self.notes, ["wait.request", "cancelled", "wait.complete", "b.complete"])
        self.assertEqual(mesh.last.flags, flag.DC)
        self.assertEqual(mesh.uses[0].record.errors, 0)

    def test_a_late_answer_is_dropped(self):
        deferred = Deferred(lambda _: None)
        deferred.cancel = lambda: None
        mesh = self.mesh(self.filter("wait", request=lambda exchange: deferred), self.filter("b"))
        mesh.client(GET).close()
        deferred.callback(CONTINUE)
        self.assertNotIn("b.request", self.notes)
        self.assertFalse(mesh.upstream.is_wanted())

    def test_one_that_never_answers_ends_with_the_stream(self):
        mesh, deferred = self.waiting(times={"stream_idle_s": 5.0})
        client = mesh.client(GET)
        mesh.advance(5.5)
        self.assertEqual(status_of(client.read()), 408)
        self.assertEqual(mesh.last.flags, flag.SI)
        self.assertIn("cancelled", self.notes)

    def test_the_body_is_held_meanwhile_and_sent_after(self):
        mesh, deferred = self.waiting()
        client = mesh.client(POST + b"bo")
        client.send(b"dy")
        deferred.callback(CONTINUE)
        _, data = mesh.upstream.serve()
        self.assertTrue(data.endswith(b"body"))
        self.assertEqual(client.read(), OK)

    def test_a_large_body_waits_in_the_kernel(self):
        mesh, deferred = self.waiting()
        size = 4_000_000
        client = mesh.client(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        sent = client.send(b"x" * size)
        self.assertLess(sent, 1_000_000)
        deferred.callback(CONTINUE)
        peer = mesh.upstream.accept()
        got = len(peer.read())
        while sent < size:
            sent += client.send(b"x" * (size - sent))
            got += len(peer.read())
        self.assertGreater(got, size)
        peer.send(OK)
        self.assertEqual(client.read(), OK)


class Bodies(ChainCase):
    def reading(self, limit, verdict=CONTINUE):
        """Return a filter that reads the whole body, and the list that it puts it into."""
        read = []

        async def gather(exchange):
            read.append(await exchange.read_body(limit))
            if read[-1] is None:
                exchange.reply(413, b"too long\n")
                return STOP
            return verdict

        return self.filter("reader", request=gather), read

    def test_the_whole_body_is_read_and_passed_on(self):
        one, read = self.reading(100)
        mesh = self.mesh(one)
        client = mesh.client(POST + b"bo")
        client.send(b"dy")
        _, data = mesh.upstream.serve()
        self.assertEqual(read, [b"body"])
        self.assertTrue(data.endswith(b"\r\n\r\nbody"))
        self.assertEqual(client.read(), OK)

    def test_two_filters_may_read_it(self):
        (one, first), (two, second) = self.reading(100), self.reading(100)
        mesh = self.mesh(one, two)
        client = mesh.client(POST + b"body")
        mesh.upstream.serve()
        self.assertEqual((first, second), ([b"body"], [b"body"]))
        self.assertEqual(client.read(), OK)

    def test_a_longer_one_is_none(self):
        one, read = self.reading(3)
        mesh = self.mesh(one)
        client = mesh.client(POST + b"body")
        self.assertEqual((read, status_of(client.read())), ([None], 413))

    def test_no_body_is_empty(self):
        one, read = self.reading(3)
        mesh = self.mesh(one)
        self.serve(mesh)
        self.assertEqual(read, [b""])

    def test_a_client_that_expects_100_is_told_to_go_on(self):
        one, read = self.reading(100)
        mesh = self.mesh(one)
        client = mesh.client(POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
        self.assertEqual(client.read(), b"HTTP/1.1 100 Continue\r\n\r\n")
        client.send(b"body")
        mesh.upstream.serve()
        self.assertEqual(client.read(), OK)

    def test_a_client_that_leaves_in_the_middle(self):
        one, read = self.reading(100)
        mesh = self.mesh(one)
        mesh.client(POST + b"bo").close()
        self.assertEqual(read, [])
        self.assertEqual(mesh.last.flags, flag.DC)
