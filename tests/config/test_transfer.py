"""The reload's child and its parent: the same configuration arrives, in short slices, and nothing else is let in."""

import os
import pickle
import subprocess
import time

import attrs

from meshd.config.child import settings_of
from meshd.config.transfer import Reader, Writer, command, request
from meshd.config.wire import CHUNK, KEY_BYTES, LOADED, MAX_FRAME_BYTES, HEAD, BadFrame, Unpacker, pack
from meshd.errors import ConfigurationError
from meshd.model.plugin import PluginSettings, Watchdog
from tests.config.sample import GOOD, ConfigTestCase

KEY = bytes(range(KEY_BYTES))
REGISTRY = "tests.config.sample:make_registry"


def drive(reader):
    """Run all slices; return (result, number of slices)."""
    count, slices = 0, reader.slices()
    while True:
        try:
            next(slices)
        except StopIteration as end:
            return end.value, count
        count += 1


def many(count: int) -> str:
    rules = "".join(f"            - match: {{prefix: /{i}}}\n              cluster: users\n" for i in range(count))
    head, tail = GOOD.split("            - match: {prefix: /}\n              cluster: users\n")
    return head + rules + tail


class Evil:
    def __reduce__(self):
        return os.system, ("true",)


class TestTransfer(ConfigTestCase):
    def sent(self, loaded) -> list[bytes]:
        frames = []
        Writer(KEY, frames.append).loaded(loaded)
        return frames

    def test_arrives_as_it_was_sent_whatever_the_pieces(self):
        loaded = self.good(many(1000))
        data = b"".join(self.sent(loaded))
        for size in (7, 4096, len(data)):
            reader = Reader(KEY)
            for start in range(0, len(data), size):
                reader.feed(data[start : start + size])
            reader.end()
            found, _ = drive(reader)
            self.assertEqual((found.snapshot, found.digest), (loaded.snapshot, loaded.digest))

    def test_large_tuples_come_in_many_short_slices(self):
        frames = self.sent(self.good(many(5000)))
        self.assertGreater(len(frames), 20)
        self.assertLess(max(map(len, frames)), 32 * 1024)

    def test_waits_for_bytes_that_have_not_come(self):
        data = b"".join(self.sent(self.good(GOOD)))
        reader = Reader(KEY)
        slices = reader.slices()
        self.assertIsNone(next(slices))
        reader.feed(data[:10])
        self.assertIsNone(next(slices))
        reader.feed(data[10:])
        self.assertIsNone(next(slices))  # the outline
        with self.assertRaises(StopIteration) as end:
            next(slices)
        self.assertEqual(end.exception.value.snapshot, self.good(GOOD).snapshot)

    def test_an_answer_cut_short_is_an_error(self):
        data = b"".join(self.sent(self.good(many(1000))))
        for cut in (0, 5, 1000, len(data) - 1):
            reader = Reader(KEY)
            reader.feed(data[:cut])
            reader.end()
            with self.assertRaisesRegex(ConfigurationError, "ended before"):
                drive(reader)

    def test_unpickles_nothing_that_was_framed_with_another_key(self):
        reader = Reader(KEY)
        reader.feed(pack(b"x" * KEY_BYTES, 0, LOADED, pickle.dumps(Evil())))
        with self.assertRaisesRegex(ConfigurationError, "wrong digest"):
            drive(reader)

    def test_frames_cannot_be_left_out_swapped_or_changed(self):
        frames = self.sent(self.good(many(1000)))
        flipped = frames[0][:-1] + bytes([frames[0][-1] ^ 1])
        for bad in (frames[1:], [frames[1], frames[0], *frames[2:]], [flipped, *frames[1:]]):
            reader = Reader(KEY)
            reader.feed(b"".join(bad))
            with self.assertRaisesRegex(ConfigurationError, "wrong digest"):
                drive(reader)

    def test_makes_nothing_but_configuration_objects(self):
        for kind, payload in ((LOADED, pickle.dumps(Evil())), (CHUNK, b"\0\0\0\1" + pickle.dumps([Evil()]))):
            reader = Reader(KEY)
            reader.feed(pack(KEY, 0, kind, payload))
            with self.assertRaisesRegex(ConfigurationError, "not a configuration class"):
                drive(reader)

    def test_a_monstrous_frame_is_refused_before_it_is_kept(self):
        unpacker = Unpacker(KEY, limit_bytes=1000)
        unpacker.feed(HEAD.pack(MAX_FRAME_BYTES + 1, LOADED, b""))
        with self.assertRaises(BadFrame):
            unpacker.next()
        with self.assertRaises(BadFrame):
            unpacker.feed(b"x" * 1000)

    def test_plugin_settings_survive_the_request(self):
        import json

        settings = PluginSettings(load=("native", "x"), strict=True, watchdog=Watchdog(late_s=0.1))
        self.assertEqual(settings_of(json.loads(request(KEY, ["a"], settings))["settings"]), settings)


class TestChild(ConfigTestCase):
    def ask(self, *paths: str, registry: str = REGISTRY):
        root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
        asked = request(KEY, list(paths), PluginSettings(), registry)
        run = subprocess.run(command(), input=asked, capture_output=True, timeout=60, env=environ)
        reader = Reader(KEY)
        reader.feed(run.stdout)
        reader.end()
        return reader

    def test_a_good_configuration_comes_back(self):
        path = self.file(many(500))
        found, slices = drive(self.ask(path))
        self.assertEqual(found.snapshot, self.good(many(500)).snapshot)
        self.assertEqual(found.files, (path,))
        self.assertGreater(slices, 1)

    def test_faults_come_back_with_their_source_lines(self):
        with self.assertRaises(ConfigurationError) as caught:
            drive(self.ask(self.file("node: {id: 5, rol: x}\n")))
        faults = caught.exception.faults
        self.assertEqual([(one.code, one.mark.column) for one in faults], [("MSH0101", 12), ("MSH0104", 15)])
        self.assertEqual(faults[0].mark.text, "node: {id: 5, rol: x}")

    def test_a_registry_that_cannot_be_made_is_an_error(self):
        with self.assertRaisesRegex(ConfigurationError, "configuration reader: "):
            drive(self.ask(self.file(GOOD), registry="meshd.nowhere:x"))

    def test_starts_quickly_and_without_twisted(self):
        code = "import sys, time; s = time.process_time(); import meshd.config.child\n" \
               "print(time.process_time() - s)\n" \
               "assert not [m for m in sys.modules if m.startswith('twisted')], 'twisted'"
        run = subprocess.run([command()[0], "-c", code], capture_output=True, check=True)
        self.assertLess(float(run.stdout), 1.5)

    def test_no_slice_works_long(self):
        frames = []
        Writer(KEY, frames.append).loaded(self.good(many(3000)))
        reader = Reader(KEY)
        reader.feed(b"".join(frames))
        slices, spent = reader.slices(), []
        while True:
            began = time.process_time()
            try:
                next(slices)
            except StopIteration:
                break
            spent.append(time.process_time() - began)
        spent.sort()
        self.assertLess(spent[len(spent) // 2], 0.002)


class TestBase(ConfigTestCase):
    """What the last answer had already is not sent again."""

    def sent(self, loaded, base=()):
        frames = []
        writer = Writer(KEY, frames.append, base)
        writer.loaded(loaded)
        return b"".join(frames), writer.items

    def taken(self, data, base=()):
        reader = Reader(KEY, base=base)
        reader.feed(data)
        reader.end()
        return drive(reader)[0], reader.items

    def test_the_same_objects_come_as_the_parents_own(self):
        loaded = self.good(many(1000))
        data, items = self.sent(loaded)
        found, known = self.taken(data)
        rules = loaded.snapshot.listeners[0].filters[-1].config.rules
        shorter, _ = self.sent(loaded, items)
        again, _ = self.taken(shorter, known)
        self.assertLess(len(shorter), len(data) // 4)
        self.assertEqual(again.snapshot, loaded.snapshot)
        self.assertEqual(len(rules), len(known))
        mine = [one.snapshot.listeners[0].filters[-1].config.rules for one in (found, again)]
        self.assertTrue(all(one is two for one, two in zip(*mine)))

    def test_both_sides_number_alike_when_items_are_left_out_added_and_moved(self):
        first = self.good(many(900))
        data, items = self.sent(first)
        _, known = self.taken(data)
        rules = first.snapshot.listeners[0].filters[-1].config.rules
        fresh = self.good(many(950)).snapshot.listeners[0].filters[-1].config.rules
        for order in (rules[::-1], rules[100:] + fresh[:20], fresh[:1] + rules[::2], fresh):
            loaded = self.with_rules(first, order)
            data, items = self.sent(loaded, items)
            found, known = self.taken(data, known)
            self.assertEqual(found.snapshot, loaded.snapshot)
            self.assertEqual(known, items)

    def with_rules(self, loaded, rules):
        listener = loaded.snapshot.listeners[0]
        gate = listener.filters[-1]
        gate = attrs.evolve(gate, config=attrs.evolve(gate.config, rules=tuple(rules)))
        listener = attrs.evolve(listener, filters=(*listener.filters[:-1], gate))
        return attrs.evolve(loaded, snapshot=attrs.evolve(loaded.snapshot, listeners=(listener,)))

    def test_an_answer_for_who_knows_other_items_is_refused(self):
        loaded = self.good(many(1000))
        _, items = self.sent(loaded)
        data, _ = self.sent(loaded, items)
        for base in ((), items[:-1]):
            with self.assertRaisesRegex(ConfigurationError, "knows other items"):
                self.taken(data, base)
