"""The fast engine against the pure one: the same talk is heard the same way, however it is cut, whatever is broken."""

import os
import random
from unittest import TestCase

import attrs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshd.http.h2.session import start
from meshd.http.h2.settings import Settings
from meshd.http.head import RequestHead, ResponseHead
from meshd.http.headers import Headers
from tests.h2.cases import SERVER
from tests.h2.pair import Log, Pair
from tests.h2.runner import SETTINGS_OF_MEMORY, App
from tests.h2.wire import GET, START, data, frame, headers, ping, rst, settings_ack, window_update

NAMES = st.sampled_from([b"x-a", b"accept", b"cookie", b"te", b"connection", b"content-type", b"x_y", b"grpc-status"])
VALUES = st.sampled_from([b"", b"1", b"a b", b"trailers", b"x" * 300, b"\xe2\x82\xac"])
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=5)
BODY = st.sampled_from([b"", b"x", b"y" * 5000, b"z" * 70000])
STEPS = st.lists(st.one_of(
    st.tuples(st.just("request"), FIELDS, st.booleans()),
    st.tuples(st.just("body"), st.integers(0, 5), BODY, st.booleans()),
    st.tuples(st.just("trailers"), st.integers(0, 5), FIELDS),
    st.tuples(st.just("respond"), st.integers(0, 5), st.sampled_from([100, 103, 200, 204, 404]), FIELDS, st.booleans()),
    st.tuples(st.just("answer"), st.integers(0, 5), BODY, st.booleans()),
    st.tuples(st.just("end"), st.integers(0, 5), FIELDS),
    st.tuples(st.just("reset"), st.integers(0, 5), st.booleans()),
    st.tuples(st.just("ping")), st.tuples(st.just("shut_down")), st.tuples(st.just("finish")),
), max_size=14)
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
NARROW = Settings(initial_stream_window_size=65535, initial_connection_window_size=65535, write_high_bytes=20000,
                  write_low_bytes=5000)


MANY = attrs.evolve(SETTINGS_OF_MEMORY, max_concurrent_streams=1000)
"""The fast engine counts a stream until its answer is out, the pure one until it is answered."""
SEED = int(os.environ.get("MESHD_FUZZ_SEED", "20261128"))


class Talk:
    """Plays steps on a pair; what makes no sense any more is left out, by what both sides know."""

    def __init__(self, engines, piece):
        self.pair = Pair(*engines, client=NARROW, server=NARROW)
        self.piece = piece
        self.begun = []  # streams, in the order of requests
        self.asked = set()  # whose requests are whole
        self.headed = set()  # that have a final head
        self.answered = set()
        self.gone = set()

    def play(self, steps):
        """Do all of it; return what both sides were told, by stream."""
        for name, *arguments in steps:
            if self.pair.client.is_done:
                break  # libnghttp2 hears nothing any more, h2 does
            getattr(self, "_" + name)(*arguments)
            self.pair.pump(self.piece)
            self.gone |= {event[1] for log in (self.pair.here, self.pair.there) for event in log.events
                          if event[0] in ("reset", "closed")}
        return [self._told(log) for log in (self.pair.there, self.pair.here)]

    def _told(self, log):
        heads = {stream_id: list(head.headers) for stream_id, head in log.heads.items()}
        events = sorted((event for event in log.events if event[0] not in ("writable", "settings")),
                        key=lambda event: event[1] if isinstance(event[1], int) else 0)
        return events, heads, log.bodies, sorted(log.session.streams), log.session.is_closed

    def _stream(self, index):
        return self.begun[index] if index < len(self.begun) else 0

    def _request(self, fields, is_last):
        head = RequestHead(b"POST", b"/p", b"a.example", 11, Headers.of((b"host", b"a.example"), *fields))
        stream_id = self.pair.client.request(head, is_last)
        if stream_id:
            self.begun.append(stream_id)
            self.asked |= {stream_id} if is_last else set()

    def _body(self, index, body, is_last):
        stream_id = self._stream(index)
        if stream_id and stream_id not in self.asked | self.gone:
            self.pair.client.send(stream_id, body, is_last)
            self.asked |= {stream_id} if is_last else set()

    def _trailers(self, index, fields):
        stream_id = self._stream(index)
        if stream_id and stream_id not in self.asked | self.gone:
            self.pair.client.trailers(stream_id, Headers.of((b"x-t", b"1"), *fields))
            self.asked.add(stream_id)

    def _respond(self, index, status, fields, is_last):
        stream_id = self._stream(index)
        if stream_id and stream_id not in self.headed | self.gone:
            is_last = (is_last or status == 204) and status >= 200
            self.pair.server.respond(stream_id, ResponseHead(status, Headers.of(*fields)), is_last)
            self.headed |= {stream_id} if status >= 200 else set()
            self.answered |= {stream_id} if is_last else set()

    def _answer(self, index, body, is_last):
        stream_id = self._stream(index)
        if stream_id in self.headed and stream_id not in self.answered | self.gone:
            self.pair.server.send(stream_id, body, is_last)
            self.answered |= {stream_id} if is_last else set()

    def _end(self, index, fields):
        stream_id = self._stream(index)
        if stream_id in self.headed and stream_id not in self.answered | self.gone:
            self.pair.server.trailers(stream_id, Headers.of((b"grpc-status", b"0"), *fields))
            self.answered.add(stream_id)

    def _reset(self, index, is_client):
        stream_id = self._stream(index)
        if stream_id and stream_id not in self.gone:
            (self.pair.client if is_client else self.pair.server).reset(stream_id)
            self.gone.add(stream_id)

    def _ping(self):
        self.pair.client.ping()

    def _shut_down(self):
        self.pair.server.shut_down()

    def _finish(self):
        self.pair.server.finish()


class ConversationsTest(TestCase):
    """Two sides that keep the rules."""

    @QUICK
    @given(STEPS)
    def test_engines_tell_the_same(self, steps):
        told = [Talk(engines, 0).play(steps) for engines in (("fast", "fast"), ("pure", "pure"), ("fast", "pure"))]
        self.assertEqual(told[0], told[1])
        self.assertEqual(told[0], told[2])

    @QUICK
    @given(STEPS, st.sampled_from([1, 7, 1000]))
    def test_it_does_not_matter_how_bytes_are_cut(self, steps, piece):
        self.assertEqual(Talk(("fast", "fast"), 0).play(steps), Talk(("fast", "fast"), piece).play(steps))

    def test_a_talk_split_at_every_byte(self):
        talk = (START + settings_ack() + headers(1, (*GET, (b"cookie", b"a=1"), (b"cookie", b"b=2")), False)
                + data(1, b"hello", False) + ping() + window_update(1, 10) + headers(1, ((b"x-t", b"1"),))
                + headers(3) + rst(3) + frame(0xfa, 0, 0, b"x") + headers(5))
        for engine in ("fast", "pure"):
            whole = self.told(engine, [talk])
            self.assertEqual([event[:2] for event in whole[0]], [
                ("request", 1), ("end", 1), ("request", 3), ("reset", 3), ("request", 5)])
            for cut in range(1, len(talk)):
                self.assertEqual(self.told(engine, [talk[:cut], talk[cut:]]), whole, (engine, cut))
            self.assertEqual(self.told(engine, [talk[at:at + 1] for at in range(len(talk))]), whole)

    def told(self, engine, pieces):
        """Return what a server is told."""
        log = Log()
        log.session = start("server", Settings(), log, engine)
        for piece in pieces:
            log.session.receive(piece)
        return [event for event in log.take() if event[0] != "settings"], log.bodies, {
            stream_id: list(head.headers) for stream_id, head in log.heads.items()}


class Told(App):
    """Answers like App; ``requests`` is what became of each, by stream: [head, its body's end, was it reset]."""

    def __init__(self):
        super().__init__()
        self.requests = {}
        self.bodies = {}

    def on_request(self, stream_id, head, is_last):
        self.requests[stream_id] = [(head.method, head.target, head.host, head.headers.raw, is_last), None, False]
        super().on_request(stream_id, head, is_last)

    def on_body(self, stream_id, data):
        self.bodies[stream_id] = self.bodies.get(stream_id, b"") + data
        super().on_body(stream_id, data)

    def on_end(self, stream_id, trailers):
        self.requests[stream_id][1] = (None if trailers is None else trailers.raw, self.bodies.get(stream_id))
        super().on_end(stream_id, trailers)

    def on_reset(self, stream_id, code, is_local):
        self.requests[stream_id][2] = True


def shifted(talk, by):
    """Return a talk with its streams' numbers greater by ``by``."""
    made = b""
    while len(talk) >= 9:
        end = 9 + int.from_bytes(talk[:3], "big")
        stream_id = int.from_bytes(talk[5:9], "big")
        if stream_id & 1 and stream_id < 100000:
            stream_id += by
        made += talk[:5] + stream_id.to_bytes(4, "big") + talk[9:end]
        talk = talk[end:]
    return made + talk


def completed(talk):
    """Return a talk that ends with a whole frame."""
    at = 0
    while len(talk) - at >= 9:
        at += 9 + int.from_bytes(talk[at:at + 3], "big")
    return talk[:at] + bytes(min(max(0, at - len(talk)), 20000))


class FuzzTest(TestCase):
    """Frames that are broken at random: nothing escapes, and what is kept stays small."""

    ROUNDS = int(os.environ.get("MESHD_FUZZ_ROUNDS", "1500"))

    def test_mutated_conversations(self):
        chance = random.Random(SEED)
        talks = [b"".join(step for step in case.steps({}) or () if isinstance(step, bytes))
                 for case in SERVER if not case.is_held]
        for number in range(self.ROUNDS):
            talk = bytearray(b"".join(chance.choices(talks, k=3)))
            for _ in range(chance.randrange(1, 8)):
                self.mutate(talk, chance)
            for engine in ("fast", "pure") if number % 5 == 0 else ("fast",):
                self.play(engine, bytes(talk), chance)

    def mutate(self, talk, chance):
        """Break something."""
        if not talk:
            return
        at = chance.randrange(len(talk))
        kind = chance.randrange(4)
        if kind == 0:
            talk[at] = chance.randrange(256)
        elif kind == 1:
            del talk[at:at + chance.randrange(1, 20)]
        elif kind == 2:
            talk[at:at] = chance.randbytes(chance.randrange(1, 20))
        else:
            talk[at:at] = talk[at:at + chance.randrange(1, 200)]

    def play(self, engine, talk, chance):
        """Let a session have it."""
        app = App()
        session = app.session = start("server", SETTINGS_OF_MEMORY, app, engine)
        sent = START + settings_ack() + talk
        at = 0
        while at < len(sent):
            step = chance.choice([1, 9, 100, 10000])
            session.receive(sent[at:at + step])
            session.take()
            at += step
        self.assertLessEqual(session.open_streams, SETTINGS_OF_MEMORY.max_concurrent_streams + 5)
        if engine == "pure":
            self.assertLess(len(session._data), 16384 + 9)

    def test_both_engines_take_the_same_of_what_is_broken(self):
        """Where one ends the connection the other may end the stream (5.4.1); what both take is the same."""
        chance = random.Random(SEED)
        talks = [b"".join(step for step in case.steps({}) or () if isinstance(step, bytes))
                 for case in SERVER if not case.is_held and "GOAWAY" not in case.name]
        for _ in range(self.ROUNDS):
            parts = chance.choices(talks, k=chance.randrange(1, 4))
            talk = bytearray(b"".join(shifted(part, 3000 * at) for at, part in enumerate(parts)))
            for _ in range(chance.choice([0, 0, 1, 1, 2])):
                self.mutate(talk, chance)
            talk = completed(bytes(talk))
            cuts = [chance.choice([1, 9, 100, 10000]) for _ in range(5)]
            self.compare(talk, [self.told(engine, talk, cuts) for engine in ("fast", "pure")])

    def told(self, engine, talk, cuts):
        """Return what a server's sink is told."""
        app = Told()
        session = app.session = start("server", MANY, app, engine)
        sent = START + settings_ack() + talk
        for size in (*cuts, len(sent)):
            session.receive(sent[:size])
            session.take()
            sent = sent[size:]
        return app

    def compare(self, talk, both):
        """Fail where one has taken what the other has not, or otherwise."""
        is_over = any(app.session.is_closed for app in both)
        fast, pure = [app.requests for app in both]
        for stream_id in {**fast, **pure}:
            if is_over and not (stream_id in fast and stream_id in pure):
                continue
            one, other = fast.get(stream_id), pure.get(stream_id)
            self.assertTrue(one and other, (stream_id, talk))
            self.assertEqual(one[0], other[0], talk)
            if not is_over:
                self.assertEqual(one[2], other[2], talk)
            if not one[2] and not other[2] and (not is_over or one[1] and other[1]):
                self.assertEqual(one[1], other[1], talk)

    def test_random_bytes_to_both_sides(self):
        chance = random.Random(7)
        for number in range(300):
            noise = chance.randbytes(chance.randrange(300))
            for engine in ("fast", "pure"):
                for role, first in (("server", START), ("client", START[24:]), ("server", b"")):
                    log = Log()
                    log.session = start(role, Settings(), log, engine)
                    log.session.receive(first + noise)
                    log.session.take()
                    log.session.take()
