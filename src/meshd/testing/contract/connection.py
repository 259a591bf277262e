"""What plugins that see connections must keep to: listener filters, network filters, protocol codecs."""

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from meshd.api import (
    CONTINUE, MORE, NO_ROUTE, ONEWAY, REQUEST, RESPONSE, SESSION, STOP, TIMEOUT, UNAVAILABLE, ProtocolError,
)
from meshd.testing.contract.kind import KindContract

ODD_BYTES = (b"", b"\0", b"\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00", bytes(range(256)), b"x" * 65536)


class Arrival:
    """What a listener filter is shown (``IArrival``); ``sock`` stands for the client's socket."""

    depends_on_client = True

    def __init__(self, data: bytes = b"", sock: Any = None) -> None:
        self.data = data
        self.peer = self.direct_peer = "192.0.2.1:40000"
        self.local = "192.0.2.2:80"
        self.server_name = self.transport_protocol = ""
        self.application_protocols: tuple[str, ...] = ()
        self.metadata: dict[str, Any] = {}
        self._sock = sock

    def consume(self, count: int) -> None:
        """Take bytes off the front."""
        self.data = self.data[count:]

    def ask_socket(self, question: Callable[[Any], Any]) -> Any:
        """Ask what stands for the socket; a new one of TCP, if there is none."""
        if self._sock is not None:
            return question(self._sock)
        with socket.socket() as sock:
            return question(sock)


class ListenerFilterContract(KindContract):
    """For ``listener_filter``: it answers a verdict now or later, whatever the client says and however it is cut."""

    kind = "listener_filter"
    data: tuple = ()
    """What it knows, beside the odd bytes."""

    def walk(self, plugin, pieces):
        """Return (the arrival, the last verdict) after bytes that come in ``pieces``."""
        arrival = Arrival()
        verdict = plugin.on_accept(arrival)
        for piece in pieces:
            if verdict is not MORE:
                break
            arrival.data += piece
            verdict = plugin.on_data(arrival)
        return arrival, verdict

    def test_answers_a_verdict_now_or_later(self):
        for data in (*ODD_BYTES, *self.data):
            answer = self.walk(self.make(), [data])[1]
            self.assertTrue(answer in (CONTINUE, STOP, MORE) or isinstance(answer, Deferred), f"got {answer!r}")

    def test_it_does_not_matter_how_the_bytes_are_cut(self):
        for data in (*ODD_BYTES, *self.data):
            whole, verdict = self.walk(self.make(), [data])
            pieces = [data[place:place + 1] for place in range(min(len(data), 4096))] + [data[4096:]]
            cut, other = self.walk(self.make(), pieces)
            if not isinstance(verdict, Deferred):
                self.assertEqual(other, verdict)
            for name in ("server_name", "transport_protocol", "application_protocols", "peer", "local"):
                self.assertEqual(getattr(cut, name), getattr(whole, name))

    def test_one_object_serves_many_connections(self):
        plugin = self.make()
        for _ in range(10):
            self.walk(plugin, self.data[:1])


class Session:
    """What a network filter is shown (``ISession``). ``refused`` is (flag, detail) after ``refuse``, ``plan`` what
    ``forward`` was given; ``end`` ends it.
    """

    def __init__(self, client: str = "192.0.2.1", server_name: str = "") -> None:
        self.client, self.peer, self.local = client, f"{client}:40000", "192.0.2.2:443"
        self.server_name = server_name
        self.listener = "public"
        self.metadata: dict[str, Any] = {}
        self.detail = ""
        self.request_bytes = self.response_bytes = self.fresh_received = self.fresh_sent = 0
        self.refused: tuple[int, str] | None = None
        self.plan: Any = None
        self._released: list[Callable[[], Any]] = []

    def refuse(self, flag: int = 0, detail: str = "") -> None:
        """Note it."""
        self.refused = (flag, detail)

    def forward(self, plan: Any) -> None:
        """Note it."""
        self.plan = plan

    def at_end(self, callback: Callable[[], Any]) -> None:
        """Note it."""
        self._released.append(callback)

    def end(self) -> None:
        """The connection ends."""
        while self._released:
            self._released.pop()()


class NetworkFilterContract(KindContract):
    """For ``network_filter``: a verdict on each connection; bytes in, bytes out, whatever they are."""

    kind = "network_filter"

    def pass_on(self, plugin, hook, session, data):
        """Return what a hook makes of bytes; themselves where there is no such hook."""
        call = getattr(plugin, hook, None)
        return data if call is None else call(session, data)

    def test_answers_a_verdict_now_or_later(self):
        plugin = self.make()
        for _ in range(3):
            session = Session()
            answer = plugin.on_open(session) if hasattr(plugin, "on_open") else CONTINUE
            self.assertTrue(answer in (CONTINUE, STOP) or isinstance(answer, Deferred), f"got {answer!r}")
            if answer is STOP:
                self.assertTrue(session.refused is not None or session.plan is not None, "it did nothing")
            session.end()

    def test_returns_bytes(self):
        for hook in ("on_data", "on_write"):
            for data in ODD_BYTES:
                self.assertIsInstance(self.pass_on(self.make(), hook, Session(), data), bytes)

    def test_connections_do_not_mix(self):
        alone, mixed, other = self.make(), self.make(), Session()
        first, second = Session(), Session()
        for data in ODD_BYTES:
            expected = self.pass_on(alone, "on_data", first, data)
            self.pass_on(mixed, "on_data", other, b"other")
            self.assertEqual(self.pass_on(mixed, "on_data", second, data), expected)


class ProtocolCodecContract(KindContract):
    """For ``protocol_codec``: ``frames`` are the bytes of some of its frames, a request or session first."""

    kind = "protocol_codec"
    frames: tuple = ()

    def decode(self, pieces):
        """Return (frames, rest) of bytes that come in ``pieces``."""
        codec, found, rest = self.make(), [], b""
        for piece in pieces:
            frames, rest = codec.decode(rest + piece)
            found += frames
        return found, rest

    def first(self):
        """Return (codec, its first frame)."""
        codec = self.make()
        (frame,), _ = codec.decode(self.frames[0])
        return codec, frame

    def test_what_is_decoded_is_encoded(self):
        codec = self.make()
        found, rest = codec.decode(b"".join(self.frames))
        self.assertEqual([codec.encode(frame) for frame in found], list(self.frames))
        self.assertEqual(rest, b"")

    def test_it_does_not_matter_how_the_bytes_are_cut(self):
        data = b"".join(self.frames)
        found, rest = self.decode([data[place : place + 1] for place in range(len(data))])
        self.assertEqual(([frame.data for frame in found], rest), (list(self.frames), b""))

    def test_an_unfinished_frame_is_kept(self):
        for data in self.frames:
            self.assertEqual(self.decode([data[:-1]]), ([], data[:-1]))

    def test_says_how_long_a_frame_is_as_soon_as_it_can(self):
        codec = self.make()
        for data in self.frames:
            found = [codec.frame_bytes(data[:end]) for end in range(len(data))]
            self.assertLessEqual(set(found), {0, len(data)})
            self.assertEqual(found, sorted(found), "it must not forget what it knew")
            self.assertEqual(codec.frame_bytes(data + b"more"), len(data))

    def test_frames_are_bounded(self):
        codec = self.make()
        self.assertGreaterEqual(codec.max_frame_bytes, max(map(len, self.frames)))
        self.assertGreater(codec.max_frame_bytes, 0)

    def test_the_first_frame_opens_something_and_says_by_what_it_is_routed(self):
        codec, frame = self.first()
        self.assertIn(frame.kind, (REQUEST, ONEWAY) if codec.is_multiplexed else (SESSION,))
        for name, value in codec.fields(frame):
            self.assertIsInstance(value, bytes)
            self.assertEqual(name, name.lower())

    def test_another_id_changes_nothing_else(self):
        codec, frame = self.first()
        if not codec.is_multiplexed:
            return
        before, frame.id = frame.id, frame.id ^ 0x5A
        (again,), _ = codec.decode(codec.encode(frame))
        self.assertEqual((again.id, list(codec.fields(again))), (frame.id, list(codec.fields(frame))))
        again.id = before
        self.assertEqual(codec.encode(again), self.frames[0])

    def test_a_refusal_is_a_frame_that_fits_the_request(self):
        codec, frame = self.first()
        for reason in (NO_ROUTE, UNAVAILABLE, TIMEOUT):
            data = codec.refusal(frame, reason)
            self.assertIsInstance(data, bytes)
            if data and codec.is_multiplexed:
                (answer,), rest = codec.decode(data)
                self.assertEqual((answer.kind, answer.id, answer.is_error, rest), (RESPONSE, frame.id, True, b""))

    def test_other_protocols_are_told_apart(self):
        codec = self.make()
        hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32)
        for data in (b"GET / HTTP/1.1\r\n\r\n", hello, b"\xff" * 64):
            with self.assertRaises(ProtocolError):
                codec.decode(data)
            self.assertIsInstance(codec.malformed(data), bytes)
