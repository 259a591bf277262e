"""The parent's end: frames of one batch leave together, garbage ends the child, who prints too much waits."""

import os
from unittest import TestCase

from meshd.isolation.channel import LINE_BYTES, PRINT_BYTES_PER_S, Channel, Output
from meshd.isolation.message import (
    LENGTH, MAX_FRAME_BYTES, Answer, BadMessage, Drop, Frames, Ping, Pong, decode_downward, encode, frame,
)
from tests.wire.world import StillWorld, end_of, pair, take


class FramesTest(TestCase):
    def test_frames_come_in_any_pieces(self):
        data = b"".join(frame(text) for text in (b"", b"abc", b"x" * 70_000))
        for size in (1, 3, 7, 65_536, len(data)):
            frames, found = Frames(), []
            for at in range(0, len(data), size):
                found += frames.feed(data[at:at + size])
            self.assertEqual(found, [b"", b"abc", b"x" * 70_000])

    def test_a_length_beyond_the_limit_is_refused_before_its_bytes(self):
        with self.assertRaises(BadMessage):
            Frames().feed(LENGTH.pack(MAX_FRAME_BYTES + 1))


class ChannelTest(TestCase):
    def setUp(self):
        self.world = StillWorld()
        self.addCleanup(self.world.close)
        ours, self.theirs = pair()
        self.addCleanup(self.theirs.close)
        self.messages, self.ends = [], []
        self.channel = Channel(ours, self.world.poller, self.messages.append, self.ends.append)

    def write(self, data):
        self.theirs.sendall(data)
        self.world.turn()

    def test_messages_of_one_batch_leave_in_one_write(self):
        writes = []
        descriptor = self.channel.descriptor

        def send_three():
            for number in range(3):
                self.channel.send(encode(Drop(number)))
            writes.append(take(self.theirs))

        self.world.run(send_three)
        self.assertEqual(writes, [b""])
        found = [decode_downward(one) for one in Frames().feed(take(self.theirs))]
        self.assertEqual(found, [Drop(0), Drop(1), Drop(2)])
        self.assertTrue(descriptor.is_open)

    def test_outside_a_batch_a_message_leaves_at_once(self):
        self.channel.send(encode(Ping()))
        self.assertTrue(take(self.theirs))

    def test_a_child_that_does_not_read_is_noticed(self):
        piece = b"x" * 1_000_000
        answers = [self.channel.send(piece) for _ in range(40)]
        self.assertIn(False, answers)
        self.assertLess(self.channel.descriptor.pending_bytes, 20_000_000)

    def test_messages_come_in_order(self):
        self.write(frame(encode(Pong())) + frame(encode(Answer(1, False, None))))
        self.assertEqual(self.messages, [Pong(), Answer(1, False, None)])

    def test_garbage_of_any_kind_ends_it(self):
        answer = encode(Answer(1, False, None))
        for data in (b"\xff" * 64, frame(b""), frame(b"\x00"), frame(encode([99])), frame(encode({"a": 1})),
                     frame(answer[:-1]), frame(answer.replace(b"\x01", b"\xa1x")), frame(encode(Ping()))):
            self.setUp()
            self.write(data)
            self.assertEqual((self.messages, len(self.ends)), ([], 1), data)
            self.assertTrue(self.ends[0].startswith("it wrote what is no message: "), self.ends)
            self.assertFalse(self.channel.descriptor.is_open)
        self.assertEqual(self.world.bugs, [])

    def test_random_bytes_never_raise(self):
        for _ in range(300):
            self.setUp()
            self.write(frame(os.urandom(20)))
        self.assertEqual(self.world.bugs, [])

    def test_the_end_of_the_child_is_told_once(self):
        self.theirs.close()
        self.world.turn()
        self.assertEqual(self.ends, [""])
        self.channel.close()
        self.assertEqual(self.ends, [""])

    def test_finish_tells_the_child_that_nothing_more_comes(self):
        self.channel.send(encode(Ping()))
        self.channel.finish()
        self.assertTrue(take(self.theirs))
        self.assertEqual(end_of(self.theirs), "fin")


class OutputTest(TestCase):
    def setUp(self):
        self.world = StillWorld()
        self.addCleanup(self.world.close)
        ours, self.theirs = pair()
        self.addCleanup(self.theirs.close)
        self.lines = []
        self.output = Output(ours, self.world, self.lines.append)

    def write(self, data):
        sent = 0
        while sent < len(data):
            try:
                sent += self.theirs.send(data[sent:])
            except BlockingIOError:
                if not self.world.turn():
                    break
        self.world.turn()
        return sent

    def test_lines_are_put_together_and_long_ones_cut(self):
        self.write(b"on")
        self.write(b"e\n\ntwo\n" + b"x" * 5000 + b"\nlast")
        self.assertEqual([line[:6] for line in self.lines], ["one", "two", "xxxxxx"])
        self.assertEqual(len(self.lines[-1]), LINE_BYTES)
        self.theirs.close()
        self.world.turn()
        self.assertEqual(self.lines[-1], "last")

    def test_bytes_that_are_no_text_are_shown(self):
        self.write(b"\xff\xfe\n")
        self.assertEqual(self.lines, ["\\xff\\xfe"])

    def test_one_that_prints_without_end_must_wait(self):
        flood = (b"x" * 99 + b"\n") * 100_000
        first = self.write(flood)
        self.assertLess(first, 30 * PRINT_BYTES_PER_S)
        self.world.advance(2.0)
        self.assertGreater(self.write(flood), 0)
