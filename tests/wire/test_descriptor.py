"""A connected stream socket: reading, writing, buffering and the ways to end it."""

import socket
import struct
import unittest

from meshd.wire.descriptor import Descriptor
from tests.wire.world import TURNS, Owner, StillWorld, describe, end_of, take

BIG = bytes(range(256)) * 8192  # 2 MiB, more than any buffer takes


class DescriptorCase(unittest.TestCase):
    """``describe`` returns (descriptor, peer)."""

    def setUp(self):
        self.world = StillWorld()
        self.addCleanup(self.world.close)

    def describe(self, owner=None, small=False):
        """Return a descriptor with a recording owner, and its peer."""
        descriptor, peer = describe(self.world, owner or Owner(), small)
        self.addCleanup(descriptor.release)
        self.addCleanup(peer.close)
        return descriptor, peer

    def drain(self, peer):
        """Read at the peer until nothing more comes; return the bytes."""
        parts = []
        while True:
            self.world.turn()
            data = take(peer)
            if not data:
                return b"".join(parts)
            parts.append(data)

    def tearDown(self):
        self.assertEqual(self.world.bugs, [])


class Reading(DescriptorCase):
    def test_bytes_come_in_order(self):
        descriptor, peer = self.describe()
        for piece in (b"one ", b"two ", b"three"):
            peer.send(piece)
            self.world.turn()
        self.assertEqual(descriptor.owner.data, b"one two three")

    def test_more_than_one_read_takes_is_all_received(self):
        descriptor, peer = self.describe()
        sent = 0
        while sent < len(BIG):
            try:
                sent += peer.send(BIG[sent:])
            except BlockingIOError:
                self.world.turn()
        self.world.turn()
        self.assertEqual(descriptor.owner.data, BIG)

    def test_paused_it_reads_nothing_and_resumed_it_reads_all(self):
        descriptor, peer = self.describe()
        descriptor.pause()
        peer.send(b"later")
        self.assertEqual(self.world.turn(), 0)
        descriptor.resume()
        self.world.turn()
        self.assertEqual(descriptor.owner.data, b"later")

    def test_the_last_byte_is_timed(self):
        descriptor, peer = self.describe()
        begin = descriptor.last
        self.world.advance(5)
        peer.send(b"x")
        self.world.turn()
        self.assertAlmostEqual(descriptor.last, begin + 5)

    def test_an_end_is_told_once_and_leaves_the_other_half_open(self):
        descriptor, peer = self.describe()
        peer.shutdown(socket.SHUT_WR)
        self.assertLess(self.world.turn(), TURNS)
        descriptor.resume()
        self.assertLess(self.world.turn(), TURNS)
        self.assertEqual(descriptor.owner.said, ["eof"])
        descriptor.send(b"answer")
        self.assertEqual(take(peer), b"answer")

    def test_what_was_sent_before_the_end_comes_first(self):
        descriptor, peer = self.describe()
        peer.send(b"last words")
        peer.close()
        self.world.turn()
        self.assertEqual((descriptor.owner.data, descriptor.owner.said[:2]), (b"last words", ["received", "eof"]))


class Writing(DescriptorCase):
    def test_what_fits_leaves_at_once(self):
        descriptor, peer = self.describe()
        descriptor.send(b"now")
        self.assertEqual((take(peer), descriptor.pending_bytes), (b"now", 0))

    def test_what_does_not_fit_is_kept_in_order(self):
        descriptor, peer = self.describe(small=True)
        pieces = [BIG, b"small ", b"smaller ", BIG[:70000], b"end"]
        for piece in pieces:
            descriptor.send(piece)
        total = len(b"".join(pieces))
        self.assertGreater(descriptor.pending_bytes, 1 << 20)
        data = self.drain(peer)
        self.assertEqual(len(data), total)
        self.assertEqual(data, b"".join(pieces))
        self.assertEqual((descriptor.pending_bytes, descriptor.pending), (0, None))
        self.assertEqual(descriptor.owner.said[-1], "drained")

    def test_ten_thousand_small_pieces_are_gathered(self):
        descriptor, peer = self.describe(small=True)
        descriptor.send(BIG)
        for number in range(10_000):
            descriptor.send(b"%05d" % number)
        data = self.drain(peer)
        self.assertEqual(data[len(BIG):], b"".join(b"%05d" % number for number in range(10_000)))

    def test_pending_bytes_fall_as_the_peer_reads(self):
        descriptor, peer = self.describe(small=True)
        descriptor.send(BIG)
        seen = [descriptor.pending_bytes]
        while descriptor.pending_bytes:
            take(peer, 50_000)
            self.world.turn()
            seen.append(descriptor.pending_bytes)
        self.assertEqual(seen, sorted(seen, reverse=True))
        self.assertGreater(descriptor.owner.said.count("drained"), 5)

    def test_without_a_reader_nothing_is_tried_again(self):
        descriptor, _ = self.describe(small=True)
        descriptor.send(BIG)
        self.assertLess(self.world.turn(), 3)

    def test_it_still_reads_while_it_writes(self):
        descriptor, peer = self.describe(small=True)
        descriptor.send(BIG)
        peer.send(b"meanwhile")
        self.world.turn()
        self.assertEqual(descriptor.owner.data, b"meanwhile")

    def test_nothing_is_written_to_a_number_that_was_given_up(self):
        descriptor, _ = self.describe()
        descriptor.release()
        stranger, reader = socket.socketpair()
        self.addCleanup(reader.close)
        self.addCleanup(stranger.close)
        reader.setblocking(False)
        self.assertEqual(stranger.fileno(), descriptor.fd)
        descriptor.send(b"not for you")
        descriptor.half_close()
        descriptor.abort()
        self.assertEqual(take(reader), b"")
        self.assertEqual(end_of(reader), "open")


class Ends(DescriptorCase):
    def test_half_close_comes_after_what_is_kept(self):
        descriptor, peer = self.describe(small=True)
        descriptor.send(BIG)
        descriptor.half_close()
        self.assertEqual(self.drain(peer), BIG)
        self.assertEqual(end_of(peer), "fin")
        self.assertTrue(descriptor.is_open)
        peer.send(b"still here")
        self.world.turn()
        self.assertEqual(descriptor.owner.data, b"still here")

    def test_half_close_without_anything_kept_is_at_once(self):
        descriptor, peer = self.describe()
        descriptor.half_close()
        self.assertEqual(end_of(peer), "fin")

    def test_close_comes_after_what_is_kept(self):
        descriptor, peer = self.describe(small=True)
        descriptor.send(BIG)
        descriptor.close()
        self.assertTrue(descriptor.is_open)
        self.assertEqual(self.drain(peer), BIG)
        self.assertFalse(descriptor.is_open)
        self.assertEqual((descriptor.owner.said[-1], "lost" in descriptor.owner.said), ("drained", False))
        self.assertEqual(end_of(peer), "fin")

    def test_close_without_anything_kept_is_at_once(self):
        descriptor, peer = self.describe()
        descriptor.close()
        self.assertEqual((descriptor.is_open, end_of(peer), descriptor.owner.said), (False, "fin", []))

    def test_nothing_is_read_while_it_closes(self):
        descriptor, peer = self.describe(small=True)
        descriptor.send(BIG)
        descriptor.close()
        peer.send(b"too late")
        self.assertLess(self.world.turn(), TURNS)
        self.assertEqual(descriptor.owner.data, b"")

    def test_abort_drops_what_is_kept_and_tells_nobody(self):
        descriptor, peer = self.describe(small=True)
        descriptor.send(BIG)
        descriptor.abort()
        self.assertEqual((descriptor.is_open, descriptor.pending_bytes, descriptor.owner.said), (False, 0, []))
        self.assertLess(len(self.drain(peer)), len(BIG))

    def test_abort_resets_a_tcp_connection(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            peer = socket.create_connection(server.getsockname())
            self.addCleanup(peer.close)
            ours = server.accept()[0]
        ours.setblocking(False)
        peer.setblocking(False)
        owner = Owner()
        descriptor = Descriptor(ours.detach(), self.world.poller, owner)
        descriptor.abort()
        self.assertEqual(end_of(peer), "reset")

    def test_every_end_may_come_twice(self):
        descriptor, _ = self.describe()
        for end in (descriptor.close, descriptor.abort, descriptor.release, descriptor.half_close, descriptor.on_bug):
            end()
        self.assertEqual(descriptor.owner.said, [])


class Failures(DescriptorCase):
    def test_a_peer_that_is_gone_is_told_once(self):
        owner = Owner()
        descriptor, peer = self.describe(owner, small=True)
        descriptor.send(BIG)
        peer.close()
        self.world.turn()
        descriptor.send(b"more")
        descriptor.fail("again")
        self.assertEqual(owner.said.count("lost"), 1)
        self.assertEqual(owner.said[-1], "lost")
        self.assertFalse(descriptor.is_open)

    def test_a_write_that_fails_tells_why(self):
        owner = Owner()
        descriptor, peer = self.describe(owner)
        peer.close()
        descriptor.send(b"x")
        self.assertEqual([word.lower() for word in owner.said], ["broken pipe", "lost"])

    def test_a_reset_tells_why(self):
        owner = Owner()
        with socket.create_server(("127.0.0.1", 0)) as server:
            peer = socket.create_connection(server.getsockname())
            ours = server.accept()[0]
        ours.setblocking(False)
        Descriptor(ours.detach(), self.world.poller, owner)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        self.world.turn()
        self.assertEqual([word.lower() for word in owner.said], ["connection reset by peer", "lost"])

    def test_an_owner_may_close_from_within_every_event(self):
        for word in ("received", "eof", "drained"):
            owner = Owner(**{word: lambda owner: owner.descriptor.close()})
            descriptor, peer = self.describe(owner, small=True)
            descriptor.send(BIG)
            peer.send(b"x")
            peer.shutdown(socket.SHUT_WR)
            self.drain(peer)
            self.assertFalse(descriptor.is_open and word == "drained", word)

    def test_hang_up_while_paused_is_no_busy_loop(self):
        descriptor, peer = self.describe()
        descriptor.pause()
        peer.close()
        self.assertLess(self.world.turn(), 3)
        self.assertEqual(descriptor.owner.said, [])
        descriptor.resume()
        self.world.turn()
        self.assertEqual(descriptor.owner.said, ["eof"])

    def test_hang_up_while_paused_with_bytes_kept_is_a_loss(self):
        descriptor, peer = self.describe(small=True)
        descriptor.send(BIG)
        descriptor.pause()
        peer.close()
        self.assertLess(self.world.turn(), 3)
        self.assertEqual(descriptor.owner.said.count("lost"), 1)

    def test_after_a_hang_up_it_can_be_closed(self):
        descriptor, peer = self.describe()
        descriptor.pause()
        peer.close()
        self.world.turn()
        descriptor.pause()
        descriptor.close()
        self.assertFalse(descriptor.is_open)
        self.assertNotIn(descriptor.fd, self.world.poller.owners)
