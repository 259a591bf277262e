"""codec_proxy: what a side that does not keep up costs."""

from tests.plugins.codec.test_codec_proxy import ProxyCase
from tests.plugins.codec.test_dubbo import frame, request, response


class BackPressure(ProxyCase):
    def test_an_upstream_that_does_not_keep_up_pauses_who_asks(self):
        session = self.client(request(1))
        stream = self.open()
        stream.pending_bytes = 2**21
        session.server.received(request(2))
        self.assertTrue(session.link.is_paused)
        stream.pending_bytes = 0
        stream.receiver.drained()
        self.assertFalse(session.link.is_paused)

    def test_a_client_that_does_not_read_is_asked_for_no_more(self):
        session = self.client(request(1))
        stream = self.open()
        session.link.pending_bytes = 2**21
        stream.receiver.received(response(self.taken(stream)[0].id))
        self.assertTrue(session.link.is_paused)
        session.link.pending_bytes = 0
        session.server.drained()
        self.assertFalse(session.link.is_paused)

    def test_a_client_that_does_not_read_its_heartbeats_is_read_no_more(self):
        session = self.client()
        session.link.pending_bytes = 2**21
        session.server.received(frame(0xE2, 1, b"N"))
        self.assertTrue(session.link.is_paused)

    def test_an_upstream_that_does_not_read_its_heartbeats_is_read_no_more(self):
        self.client(request(1))
        stream = self.open()
        stream.pending_bytes = 2**21
        stream.receiver.received(frame(0xE2, 1, b"N"))
        self.assertTrue(stream.is_paused)
        stream.pending_bytes = 0
        stream.receiver.drained()
        self.assertFalse(stream.is_paused)

    def test_requests_for_an_endpoint_that_is_not_there_yet_wait_within_bounds(self):
        session = self.client()
        while not session.link.is_paused:
            session.server.received(frame(0x82, 1, request()[16:] + b"x" * 100_000))
        self.assertLess(sum(map(len, self.site.streams[0].receiver._queue)), 2**21)
        self.open()
        self.assertFalse(session.link.is_paused)

    def test_a_client_that_never_takes_its_responses_is_cut(self):
        session = self.client(request(1) + request(2))
        stream = self.open()
        first, _ = self.taken(stream)
        session.link.pending_bytes = 2**27
        stream.receiver.received(response(first.id))
        self.assertEqual((session.link.is_closed, session.detail), (True, "responses_not_taken"))
        self.check()

    def test_deadlines_of_requests_that_are_over_do_not_pile_up(self):
        session = self.client()
        for number in range(5000):
            session.server.received(request(number))
            stream = self.open() if not number else stream
            stream.receiver.received(response(self.taken(stream)[0].id))
        self.assertLess(len(stream.receiver._deadlines), 1100)
        session.server.received(request(9))
        session.link.frames()
        self.site.advance(2.1)
        self.assertEqual([found.status for found in session.link.frames()], ["server_timeout"])
        self.check()
