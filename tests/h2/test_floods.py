"""Floods (docs: reliability of HTTP/2; Envoy's limits and counters), against both engines, and the gate by itself."""

from unittest import TestCase

from meshd.http.h2.code import ENHANCE_YOUR_CALM, MAX_STREAM_ID
from meshd.http.h2.settings import Settings
from meshd.http.head import ResponseHead
from meshd.http.headers import Headers
from tests.h2.runner import MemoryTalk
from tests.h2.wire import (
    ACK, END_HEADERS, GET, PADDED, POST, START, block, continuation, data, frame, goaway, headers, literal, ping,
    priority, rst, settings, window_update,
)

ENGINES = ("fast", "pure")
SETTINGS = Settings()


def storm(engine, pieces, settings=SETTINGS, batch=1):
    """Send START and pieces, ``batch`` at once; return (talk, bytes sent until the connection ended, -1 if never)."""
    talk = MemoryTalk(engine, settings)
    talk.send(START)
    talk.read()
    sent = 0
    pieces = list(pieces)
    for at in range(0, len(pieces), batch):
        part = b"".join(pieces[at:at + batch])
        sent += len(part)
        talk.send(part)
        talk.read()
        if talk.session.is_closed:
            talk.read()
            return talk, sent
    return talk, -1


class FloodTest(TestCase):
    """Each ends with ENHANCE_YOUR_CALM and its counter."""

    def ends(self, name, pieces, most_bytes, **options):
        """Assert that a flood ends the connection."""
        for engine in ENGINES:
            with self.subTest(name, engine=engine):
                talk, sent = storm(engine, pieces, **options)
                self.assertGreater(sent, 0, "it never ended")
                self.assertLessEqual(sent, most_bytes)
                self.assertIn(name, talk.app.counts)
                self.assertEqual(talk.heard.goaway.code, ENHANCE_YOUR_CALM)

    def lives(self, pieces, **options):
        """Assert that what is not quite a flood is borne."""
        for engine in ENGINES:
            with self.subTest(engine=engine):
                talk, sent = storm(engine, pieces, **options)
                self.assertEqual((sent, talk.heard.goaway), (-1, None))

    def test_rapid_reset(self):
        pieces = [headers(1 + 2 * at, POST, False) + rst(1 + 2 * at) for at in range(10000)]
        piece = len(pieces[0])
        self.ends("downstream_rq_too_many_premature_resets", pieces, 251 * piece, batch=1)
        self.ends("downstream_rq_too_many_premature_resets", pieces, 10000 * piece, batch=10000)

    def test_resets_among_as_many_answers_are_borne(self):
        self.lives([headers(1 + 2 * at) if at % 5 < 3 else headers(1 + 2 * at, POST, False) + rst(1 + 2 * at)
                    for at in range(1500)])

    def test_resets_that_the_peer_provokes(self):
        self.ends("downstream_rq_too_many_premature_resets",
                  [headers(1 + 2 * at, (*GET, (b"connection", b"x"))) for at in range(1000)], 40000, batch=1)
        self.ends("downstream_rq_too_many_premature_resets",
                  [headers(1 + 2 * at, (*POST, (b"content-length", b"1")), False) + data(1 + 2 * at, b"xx")
                   for at in range(1000)], 60000, batch=10)

    def test_windows_that_overflow_on_stream_after_stream(self):
        pieces = [headers(1 + 2 * at, POST, False) + window_update(1 + 2 * at, MAX_STREAM_ID) for at in range(1000)]
        for engine in ENGINES:
            talk, sent = storm(engine, pieces)
            self.assertTrue(0 < sent < 40000, engine)

    def test_a_thousand_bad_requests_at_once_are_all_counted(self):
        for engine in ENGINES:
            talk, _ = storm(engine, [headers(1 + 2 * at, (*GET, (b"connection", b"x"))) for at in range(1000)],
                            batch=1000)
            talk.read()
            self.assertTrue(talk.session.is_closed, engine)
            self.assertIn("downstream_rq_too_many_premature_resets", talk.app.counts)

    def test_continuation(self):
        name = "inbound_continuation_frames_flood"
        first = headers(1, block(GET), flags=0)
        self.ends("inbound_empty_frames_flood", [first] + [continuation(1, b"", False)] * 100000, 1000)
        self.ends(name, [first] + [continuation(1, literal(b"a", b"b" * 100), False)] * 100000, 60 << 10)
        self.ends(name, [first] + [continuation(1, literal(b"a", b"b" * 16000), False)] * 100000, 160 << 10)

    def test_pings_and_settings_that_are_not_read(self):
        self.ends("outbound_control_flood", [ping()] * 100000, 17 * 100000, batch=100000)
        self.ends("outbound_control_flood", [settings()] * 100000, 9 * 100000, batch=100000)
        self.lives([ping()] * 3000, batch=1000)

    def test_priority(self):
        self.ends("inbound_priority_frames_flood", [priority(1)] * 100000, 14 * 101)
        self.lives([headers(1)] + [priority(1)] * 200)

    def test_empty_frames(self):
        name = "inbound_empty_frames_flood"
        self.ends(name, [headers(1, POST, False)] + [data(1, b"", False)] * 100000, 200)
        self.ends(name, [headers(1, POST, False)] + [frame(0, PADDED, 1, b"\3\0\0\0")] * 100000, 200)
        self.ends(name, [headers(1, POST, False)] + [headers(1, b"", False)] * 100000, 200)
        self.lives([headers(1, POST, False)] + [data(1, b"", False), data(1, b"x", False)] * 1000)

    def test_window_updates(self):
        self.ends("inbound_window_update_frames_flood", [window_update(0, 1)] * 100000, 13 * 6)
        self.lives([headers(1)] + [window_update(0, 1)] * 20)

    def test_a_section_that_expands(self):
        small = block(GET) + literal(b"foo", b"x" * 3000, 0x40)
        bomb = small + b"\xbe" * 1300  # 4 KiB that mean 4 MiB
        for engine in ENGINES:
            with self.subTest(engine=engine):
                talk, _ = storm(engine, [headers(1, bomb), headers(3)])
                self.assertFalse([one for one in talk.heard.of(1, 1) if one.status == 200])
                self.assertNotIn(1, talk.app.heads)
        mild = small + b"\xbe" * 40  # more than the limit, less than four times that
        for engine in ENGINES:
            with self.subTest(engine=engine):
                talk, sent = storm(engine, [headers(1, mild), headers(3)])
                self.assertEqual(sent, -1)
                self.assertEqual([(one.stream_id, one.status) for one in talk.heard.of(1)], [(1, 431), (3, 200)])
                self.assertIn("header_overflow", talk.app.counts)

    def test_many_small_fields(self):
        for engine in ENGINES:
            with self.subTest(engine=engine):
                talk, sent = storm(engine, [headers(1, (*GET, *[(b"a", b"")] * 200)), headers(3)])
                self.assertEqual([(one.stream_id, one.status) for one in talk.heard.of(1)], [(1, 431), (3, 200)])

    def test_names_of_no_bytes(self):
        self.ends("downstream_rq_too_many_premature_resets",
                  [headers(1 + 2 * at, (*GET, (b"", b"x"))) for at in range(1000)], 40000)

    def test_answers_that_nobody_takes(self):
        for engine in ENGINES:
            talk = MemoryTalk(engine, Settings(max_outbound_frames=50, max_concurrent_streams=1000))
            talk.send(START + b"".join(headers(1 + 2 * at) for at in range(200)))
            self.assertIn("outbound_flood", talk.app.counts, engine)
            self.assertTrue(talk.session.is_closed)

    def test_many_small_messages_that_wait_for_credit_are_no_flood(self):
        for engine in ENGINES:
            talk = MemoryTalk(engine, Settings(max_outbound_frames=50))
            talk.send(START + settings((4, 0)) + headers(1, POST, False))
            talk.session.respond(1, ResponseHead(200, Headers()), False)
            for _ in range(1000):
                talk.session.send(1, b"12345")
                talk.read()
            self.assertEqual((talk.app.counts, talk.session.queued(1)), ([], 5000), engine)

    def test_streams_that_were_refused_are_kept_in_a_bound(self):
        for engine in ENGINES:
            talk = MemoryTalk(engine, Settings(max_concurrent_streams=1))
            talk.send(START + window_update(0, 1 << 20))
            for at in range(1, 8 * 1500, 8):
                talk.send(headers(at, POST, False) + headers(at + 2) + data(at))
                talk.read()
                talk.send(headers(at + 4))
                talk.read()
                talk.send(headers(at + 6))
                talk.read()
            self.assertFalse(talk.session.is_closed)
            self.assertLessEqual(len(talk.session.gate.known), 1001, engine)

    def test_clients_that_say_goaway_with_the_greatest_number(self):
        whole = goaway(MAX_STREAM_ID)
        for engine in ENGINES:
            for cut in range(len(whole)):
                talk, sent = storm(engine, [headers(1, POST, False), whole[:cut], whole[cut:], data(1)])
                self.assertEqual((sent, talk.heard.goaway), (-1, None), (engine, cut))
                self.assertEqual([one.status for one in talk.heard.of(1)], [200])

    def test_acknowledgements_and_unknown_frames_cost_nothing(self):
        self.lives([ping(flags=ACK)] * 5000 + [frame(0x77, 0, 0)] * 5000, batch=1000)

    def test_what_is_counted_in_one_piece_is_counted_in_bytes(self):
        flood = b"".join([headers(1, POST, False, END_HEADERS), data(1, b"", False), data(1, b"", False)])
        for engine in ENGINES:
            talk, _ = storm(engine, [flood[at:at + 1] for at in range(len(flood))])
            self.assertIn("inbound_empty_frames_flood", talk.app.counts)
