"""The reader's process: what it keeps is bounded, and what it cannot answer it leaves to a new one."""

import io
import os
from unittest.mock import patch

from meshd.config import child as module
from meshd.config.child import Child, Stale
from meshd.config.transfer import Reader
from meshd.config.wire import FAULTS, KEY_BYTES, LOADED, OUTLINE, BadFrame, Ending, pack
from meshd.errors import ConfigurationError
from tests.config.sample import GOOD, ConfigTestCase

REGISTRY = "tests.config.sample:make_registry"
KEYS = [bytes([number]) * KEY_BYTES for number in range(4)]


class ChildTest(ConfigTestCase):
    def setUp(self):
        super().setUp()
        for name, value in (("LARGE", 1), ("IDLE_S", 0.0)):
            patched = patch.object(module, name, value)
            patched.start()
            self.addCleanup(patched.stop)
        self.output = io.BytesIO()
        self.child = Child(self.output)
        self.path = self.file(GOOD)

    def asked(self, number, **more):
        return {"key": KEYS[number].hex(), "paths": [self.path], "settings": {"load": None, "watchdog": {}},
                "registry": REGISTRY, "stays": True, "base": "", **more}

    def answer(self, number, base=(), **more):
        self.output.seek(0)
        self.output.truncate()
        with patch("tests.config.sample.Registry.is_current", lambda registry: True):
            self.child.answer(self.asked(number, **more))
        reader = Reader(KEYS[number], base=base)
        reader.feed(self.output.getvalue())
        reader.end()
        slices = reader.slices()
        while True:
            try:
                next(slices)
            except StopIteration as end:
                return end.value

    def test_answers_again(self):
        first = self.answer(0)
        with open(self.path, "w") as file:
            file.write(GOOD.replace("id: one", "id: two"))
        second = self.answer(1)
        self.assertTrue(self.child.stays)
        self.assertEqual(first.snapshot.clusters, second.snapshot.clusters)

    def test_stays_after_faults(self):
        self.answer(0)
        with open(self.path, "w") as file:
            file.write("nodee: {}\n")
        with self.assertRaises(ConfigurationError) as caught:
            self.answer(1)
        self.assertEqual([one.code for one in caught.exception.faults], ["MSH0104"])
        self.assertTrue(self.child.stays)

    def test_does_not_stay_where_nobody_likes_that(self):
        self.answer(0, stays=False)
        self.assertFalse(self.child.stays)

    def test_does_not_answer_for_other_files_or_settings_or_another_registry(self):
        for other in ({"paths": ["/nowhere"]}, {"settings": {"load": [], "watchdog": {}}}, {"registry": "x:y"}):
            self.answer(0)
            with self.assertRaises(Stale):
                self.answer(1, **other)

    def test_does_not_answer_where_other_code_is_installed(self):
        self.answer(0)
        with patch("tests.config.sample.Registry.is_current", lambda registry: False), self.assertRaises(Stale):
            self.child.answer(self.asked(1))

    def test_does_not_answer_where_another_python_is_installed(self):
        self.answer(0)
        with patch.object(module, "program", lambda: (0, 0, 0)), self.assertRaises(Stale):
            self.answer(1)

    def test_what_is_unexpected_is_left_to_a_new_one(self):
        self.answer(0)
        with patch.object(module, "load_documents", side_effect=ValueError("a bug")), self.assertRaises(Stale):
            self.answer(1)

    def test_ends_when_its_memory_has_grown(self):
        # the first answer's memory is the measure
        sizes = iter((100, 150, 201))
        with patch.object(module, "resident_bytes", lambda: next(sizes)), \
                patch.object(module.select, "select", lambda *arguments: ([1], [], [])), patch.object(module, "gc"):
            for number, stays in ((0, True), (1, True), (2, False)):
                self.answer(number)
                self.child.rest()
                self.assertEqual(self.child.stays, stays, number)

    def test_ends_when_it_is_idle_for_long(self):
        reading, writing = os.pipe()
        self.addCleanup(os.close, writing)
        with os.fdopen(reading) as quiet, patch.object(module.sys, "stdin", quiet), patch.object(module, "gc"):
            self.answer(0)
            self.child.rest()
        self.assertFalse(self.child.stays)


class EndingTest(ConfigTestCase):
    def test_finds_the_last_frame_whatever_the_pieces(self):
        for last in (LOADED, FAULTS):
            data = pack(KEYS[0], 0, OUTLINE, b"x" * 50) + pack(KEYS[0], 1, last, b"y" * 9)
            for size in (1, 7, len(data)):
                ending = Ending()
                pieces = [data[start : start + size] for start in range(0, len(data), size)]
                found = [ending.feed(piece) for piece in pieces]
                self.assertEqual(found, [False] * (len(pieces) - 1) + [True])

    def test_refuses_what_comes_after_it(self):
        ending = Ending()
        with self.assertRaises(BadFrame):
            ending.feed(pack(KEYS[0], 0, LOADED, b"") + b"x")
