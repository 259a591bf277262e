"""What plugins that see connections must keep to: listener filters, network filters, protocol codecs."""

from twisted.internet.defer import Deferred

from meshd.api import CONTINUE, STOP
from meshd.testing.contract.kind import KindContract

ODD_BYTES = (b"", b"\0", b"\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00", bytes(range(256)), b"x" * 65536)


class ListenerFilterContract(KindContract):
    """For ``listener_filter``: ``connection()`` returns what it is shown; it answers a verdict, now or later."""

    kind = "listener_filter"

    def connection(self):
        """Return a new connection."""
        raise NotImplementedError("connection: expected a connection as the listener hands it over")

    def test_answers_a_verdict_now_or_later(self):
        answer = self.make().on_accept(self.connection())
        self.assertTrue(answer in (CONTINUE, STOP) or isinstance(answer, Deferred), f"got {answer!r}")

    def test_one_object_serves_many_connections(self):
        plugin = self.make()
        for _ in range(10):
            plugin.on_accept(self.connection())


class NetworkFilterContract(KindContract):
    """For ``network_filter``: bytes in, bytes out, whatever they are and however they are cut."""

    kind = "network_filter"

    def connection(self):
        """Return a new connection."""
        raise NotImplementedError("connection: expected a connection as the relay hands it over")

    def test_returns_bytes(self):
        for data in ODD_BYTES:
            self.assertIsInstance(self.make().on_data(self.connection(), data), bytes)

    def test_connections_do_not_mix(self):
        alone, mixed, other = self.make(), self.make(), self.connection()
        first, second = self.connection(), self.connection()
        for data in ODD_BYTES:
            expected = alone.on_data(first, data)
            mixed.on_data(other, b"other")
            self.assertEqual(mixed.on_data(second, data), expected)


class ProtocolCodecContract(KindContract):
    """For ``protocol_codec``: ``frames`` are some of its frames, ready for ``encode``."""

    kind = "protocol_codec"
    frames: tuple = ()

    def decode(self, pieces):
        """Return (frames, rest) of bytes that come in ``pieces``."""
        codec, found, rest = self.make(), [], b""
        for piece in pieces:
            frames, rest = codec.decode(rest + piece)
            found += frames
        return found, rest

    def test_what_is_encoded_is_decoded(self):
        codec = self.make()
        data = b"".join(codec.encode(frame) for frame in self.frames)
        found, rest = self.decode([data])
        self.assertEqual([codec.encode(frame) for frame in found], [codec.encode(frame) for frame in self.frames])
        self.assertEqual(rest, b"")

    def test_it_does_not_matter_how_the_bytes_are_cut(self):
        codec = self.make()
        data = b"".join(codec.encode(frame) for frame in self.frames)
        found, rest = self.decode([data[place : place + 1] for place in range(len(data))])
        self.assertEqual((len(found), rest), (len(self.frames), b""))

    def test_an_unfinished_frame_is_kept(self):
        codec = self.make()
        for frame in self.frames:
            data = codec.encode(frame)
            self.assertEqual(self.decode([data[:-1]]), ([], data[:-1]))
