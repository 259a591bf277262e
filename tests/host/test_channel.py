"""``meshd.host.channel``: messages arrive whole and in order, with their descriptors; a lost peer is told."""

import os
import socket
from unittest import TestCase

from meshd.host.channel import HEAD, MAX_HEAD_BYTES, Channel, ChannelEnded


class TestChannel(TestCase):
    def setUp(self):
        one, other = socket.socketpair()
        self.one, self.other = Channel(one), Channel(other)
        self.addCleanup(self.one.close)
        self.addCleanup(self.other.close)

    def carry(self):
        """Move everything from one to the other; return the messages."""
        found = []
        while True:
            self.one.flush()
            messages = self.other.receive()
            found += messages
            if not messages and not self.one.wants_write:
                return found

    def test_carries_messages_in_order(self):
        self.one.send({"do": "a"})
        self.one.send({"do": "b", "n": 1}, b"payload")
        self.assertEqual(self.carry(), [({"do": "a"}, b"", []), ({"do": "b", "n": 1}, b"payload", [])])

    def test_carries_what_is_larger_than_the_kernels_buffer(self):
        payload = os.urandom(3_000_000)
        self.one.send({"do": "big"}, payload)
        self.one.send({"do": "after"})
        self.assertTrue(self.one.wants_write)
        heads = self.carry()
        self.assertEqual([head["do"] for head, _, _ in heads], ["big", "after"])
        self.assertEqual(heads[0][1], payload)
        self.assertEqual(self.one.queued_bytes, 0)

    def test_descriptors_come_with_their_own_message(self):
        reads, writes = os.pipe()
        again, more = os.pipe()
        self.one.send({"do": "none"})
        self.one.send({"do": "one"}, b"x" * 300_000, (reads,))
        self.one.send({"do": "other"}, b"", (again, more))
        found = self.carry()
        self.assertEqual([len(fds) for _, _, fds in found], [0, 1, 2])
        os.write(writes, b"through")
        self.assertEqual(os.read(found[1][2][0], 10), b"through")
        for fd in (reads, writes, again, more, *found[1][2], *found[2][2]):
            os.close(fd)

    def test_tells_the_end_after_what_came_before_it(self):
        self.one.send({"do": "last"})
        self.one.close()
        self.assertEqual(self.other.receive(), [({"do": "last"}, b"", [])])
        self.assertRaises(ChannelEnded, self.other.receive)

    def test_a_peer_that_has_gone_ends_the_sender(self):
        self.other.close()
        with self.assertRaises(ChannelEnded):
            for _ in range(3):
                self.one.send({"do": "x"})

    def test_refuses_absurd_lengths(self):
        self.one.sock.send(HEAD.pack(MAX_HEAD_BYTES + 1, 0))
        self.assertRaises(ChannelEnded, self.other.receive)

    def test_closing_closes_descriptors_that_nobody_took(self):
        reads, writes = os.pipe()
        self.one.send({"do": "half"}, b"x" * 10, (reads,))
        self.other._keep(self.other.sock.recvmsg(4, 200)[1])
        os.close(reads)
        self.other.close()
        with self.assertRaises(BrokenPipeError):
            os.write(writes, b"x")
        os.close(writes)
