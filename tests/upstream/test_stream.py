"""Streams of plugins: what the receiver hears, once, and that everything counted is given back."""

import os

from zope.interface.verify import verifyObject

from meshd.api import IStream
from meshd.upstream.stream import connect
from tests.exchange.mesh import MeshCase


class Receiver:
    """Records what it is told."""

    def __init__(self):
        self.said = []

    def opened(self):
        self.said.append("opened")

    def received(self, data):
        self.said.append(data)

    def drained(self):
        self.said.append("drained")

    def lost(self, reason):
        self.said.append(f"lost: {reason}")


class StreamTest(MeshCase):
    def open(self, mesh, address=""):
        """Return (stream, receiver), nothing worked off yet."""
        receiver = Receiver()
        return connect(mesh.world, mesh.cluster, receiver, address), receiver

    def check(self, mesh):
        for endpoint in mesh.upstreams:
            for peer in endpoint.peers:
                peer.close()
        super().check(mesh)

    def test_carries_bytes_both_ways_until_one_side_ends(self):
        mesh = self.mesh()
        stream, receiver = self.open(mesh)
        verifyObject(IStream, stream)
        self.assertEqual(receiver.said, [])
        peer = mesh.upstream.accept()
        self.assertEqual((receiver.said, stream.address), (["opened"], mesh.upstream.address))
        mesh.world.run(stream.send, b"ping")
        self.assertEqual(peer.read(), b"ping")
        peer.send(b"pong")
        self.assertEqual((mesh.breaker.ledger.connections, mesh.cluster.cells.active_connections.value), (1, 1))
        peer.close()
        self.assertEqual(receiver.said, ["opened", b"pong", "lost: connection closed by upstream"])
        stream.send(b"too late")
        stream.close()
        mesh.turn()
        self.assertEqual(len(receiver.said), 3)

    def test_who_closes_hears_no_more(self):
        mesh = self.mesh()
        stream, receiver = self.open(mesh)
        peer = mesh.upstream.accept()
        mesh.world.run(stream.close)
        self.assertEqual((peer.end(), receiver.said), ("fin", ["opened"]))

    def test_what_was_sent_last_leaves_before_the_close(self):
        mesh = self.mesh()
        stream, _ = self.open(mesh)
        peer = mesh.upstream.accept()

        def last_words():
            stream.send(b"QUIT")
            stream.close()

        mesh.world.run(last_words)
        self.assertEqual(peer.read(), b"QUIT")

    def test_a_close_while_connecting_is_silent(self):
        mesh = self.mesh()
        stream, receiver = self.open(mesh)
        stream.close()
        mesh.turn()
        self.assertEqual((receiver.said, mesh.breaker.ledger.connections), ([], 0))

    def test_a_refusal_is_told_later_and_counted(self):
        mesh = self.mesh()
        mesh.upstream.stop()
        _, receiver = self.open(mesh)
        self.assertEqual(receiver.said, [])
        mesh.advance(0.01)
        self.assertEqual(receiver.said, ["lost: no such file or directory"])
        self.assertEqual(mesh.cluster.cells.connect_failures.value, 1)
        mesh.upstream.listen()

    def test_the_circuit_breaker_admits(self):
        mesh = self.mesh(breaker={"max_connections": 1})
        first, _ = self.open(mesh)
        _, receiver = self.open(mesh)
        mesh.advance(0.01)
        self.assertEqual(receiver.said, ["lost: too many connections to the cluster"])
        self.assertEqual(mesh.cluster.cells.connection_overflow.value, 1)
        first.close()

    def test_an_endpoint_can_be_named(self):
        mesh = self.mesh(upstreams=2)
        second = mesh.upstreams[1]
        stream, receiver = self.open(mesh, second.address)
        second.accept()
        self.assertEqual((stream.address, receiver.said), (second.address, ["opened"]))
        stream.close()
        _, receiver = self.open(mesh, "unix:/none")
        mesh.advance(0.01)
        self.assertEqual(receiver.said, ["lost: the cluster has no endpoint unix:/none"])

    def test_a_reader_can_be_paused(self):
        mesh = self.mesh()
        stream, receiver = self.open(mesh)
        peer = mesh.upstream.accept()
        stream.pause()
        peer.send(b"a")
        self.assertEqual(receiver.said, ["opened"])
        stream.resume()
        mesh.turn()
        self.assertEqual(receiver.said, ["opened", b"a"])
        stream.close()

    def test_no_descriptor_is_left(self):
        mesh = self.mesh()
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            stream, _ = self.open(mesh)
            mesh.upstream.accept().close()
            stream.close()
        mesh.turn()
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
