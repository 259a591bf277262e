"""Small writes made within a batch leave at its end, in order, whatever happens meanwhile."""

from meshd.wire.descriptor import PUT_OFF_BYTES
from tests.wire.test_descriptor import DescriptorCase
from tests.wire.world import take


class PutOff(DescriptorCase):
    def test_a_small_write_leaves_at_the_end_of_the_batch(self):
        descriptor, peer = self.describe()
        seen = []
        self.world.run(lambda: (descriptor.send(b"hello"), seen.append(take(peer))))
        self.assertEqual(seen, [b""])
        self.assertEqual(take(peer), b"hello")

    def test_outside_a_batch_it_leaves_at_once(self):
        descriptor, peer = self.describe()
        descriptor.send(b"hello")
        self.assertEqual(take(peer), b"hello")

    def test_a_large_write_leaves_at_once_behind_the_small_one_before_it(self):
        descriptor, peer = self.describe()
        large = b"x" * PUT_OFF_BYTES
        seen = []
        self.world.run(lambda: (descriptor.send(b"first "), descriptor.send(large), seen.append(take(peer, 6))))
        self.assertEqual(seen, [b"first "])
        self.assertEqual(self.drain(peer), large)

    def test_several_small_writes_keep_their_order(self):
        descriptor, peer = self.describe()
        self.world.run(lambda: [descriptor.send(b"%d " % number) for number in range(5)])
        self.assertEqual(self.drain(peer), b"0 1 2 3 4 ")

    def test_nothing_is_lost_by_a_close_or_half_close_in_the_batch(self):
        for end in ("close", "half_close"):
            descriptor, peer = self.describe()
            self.world.run(lambda: (descriptor.send(b"last words"), getattr(descriptor, end)()))
            self.assertEqual(take(peer), b"last words", end)

    def test_a_peer_that_is_gone_is_told_at_the_end_of_the_batch(self):
        descriptor, peer = self.describe()
        peer.close()
        self.world.run(lambda: descriptor.send(b"hello"))
        self.assertFalse(descriptor.is_open)
        self.assertEqual(descriptor.owner.said[1:], ["lost"])  # the reason, then that it was told, once

    def test_a_released_descriptor_writes_nothing(self):
        descriptor, peer = self.describe()
        self.world.run(lambda: (descriptor.send(b"hello"), descriptor.release()))
        self.assertEqual(take(peer), b"")
        self.assertEqual(self.world.poller.unsent, [])

    def test_what_the_end_of_the_batch_brings_about_is_written_too(self):
        answering, peer = self.describe()
        descriptor, gone = self.describe()
        gone.close()
        descriptor.owner.lost = lambda reason: answering.send(b"it is gone")
        self.world.run(lambda: descriptor.send(b"hello"))
        self.assertEqual(take(peer), b"it is gone")
