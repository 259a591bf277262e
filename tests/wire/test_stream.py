"""A connection of a plugin's own."""

import socket
import unittest

from meshd.wire import address
from meshd.wire.stream import Stream
from tests.wire.world import StillWorld


class Owner:
    """``said`` is what it was told."""

    def __init__(self):
        self.said = []

    def opened(self):
        self.said.append("opened")

    def received(self, data):
        self.said.append(data)

    def lost(self, reason):
        self.said.append(("lost", reason))


class Streams(unittest.TestCase):
    def setUp(self):
        self.world = StillWorld()
        self.addCleanup(self.world.close)
        self.server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.server.close)
        self.owner = Owner()

    def open(self, timeout_s=1.0):
        """Open a stream to the server; return it and the server's side."""
        stream = Stream(self.world, address.render(self.server.getsockname()), self.owner, timeout_s)
        peer, _ = self.server.accept()
        self.addCleanup(peer.close)
        self.world.turn()
        return stream, peer

    def assert_clean(self):
        self.assertEqual((self.world.poller.owners, self.world.bugs), ({}, []))

    def test_bytes_go_both_ways_and_the_end_is_told_once(self):
        stream, peer = self.open()
        self.world.run(stream.send, b"ping")
        self.assertEqual(peer.recv(10), b"ping")
        peer.sendall(b"pong")
        self.world.turn()
        peer.close()
        self.world.turn()
        self.assertEqual(self.owner.said, ["opened", b"pong", ("lost", "closed by the peer")])
        stream.close()
        self.assert_clean()

    def test_what_cannot_be_opened_ends(self):
        self.server.close()
        Stream(self.world, "127.0.0.1:1", self.owner, 1.0)
        self.world.turn()
        self.assertEqual(self.owner.said, [("lost", "connection refused")])
        self.assert_clean()

    def test_after_close_nothing_is_told(self):
        for turns in (0, 1):
            self.owner.said.clear()
            stream = Stream(self.world, address.render(self.server.getsockname()), self.owner, 1.0)
            for _ in range(turns):
                self.world.turn()
            stream.close()
            stream.send(b"late")
            self.world.turn()
            self.assertEqual(self.owner.said, ["opened"] * turns)
            self.assert_clean()

    def test_the_receiver_may_be_replaced(self):
        stream, peer = self.open()
        stream.receiver = second = Owner()
        peer.sendall(b"for the second")
        self.world.turn()
        self.assertEqual((self.owner.said, second.said), (["opened"], [b"for the second"]))
        stream.close()
