"""What workers tell one another."""

import unittest

from meshd.wire.bus import Bus, Peers


class Telling(unittest.TestCase):
    def setUp(self):
        self.ours, self.theirs = Bus(), Bus()
        self.ours.send, self.theirs.send = self.theirs.heard, self.ours.heard
        self.found = []

    def test_what_one_tells_the_others_hear_under_the_same_topic(self):
        mine, other, stranger = Peers(self.ours, "a"), Peers(self.theirs, "a"), Peers(self.theirs, "b")
        for peers, name in ((mine, "mine"), (other, "other"), (stranger, "stranger")):
            peers.begin(lambda message, name=name: self.found.append((name, message["x"])))
        mine.tell({"x": 1})
        other.tell({"x": 2})
        self.assertEqual(self.found, [("other", 1), ("mine", 2)])

    def test_after_its_end_one_hears_nothing(self):
        peers = Peers(self.theirs, "a")
        peers.begin(self.found.append)
        peers.end()
        peers.end()
        Peers(self.ours, "a").tell({"x": 1})
        self.assertEqual((self.found, self.theirs._listeners), ([], {}))

    def test_alone_there_is_nobody_to_tell(self):
        alone = Peers(Bus(), "a")
        alone.begin(self.found.append)
        alone.tell({"x": 1})
        self.assertEqual((alone.are_there, self.found), (False, []))
