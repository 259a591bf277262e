"""Field sections to blocks and back: both twins say the same."""

from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from tests.hot.twin import twins

TWINS = twins("section")
NAMES = st.sampled_from([b"a", b"te", b"host", b"connection", b"keep-alive", b"upgrade", b"http2-settings", b"x-y",
                         b"proxy-connection", b"transfer-encoding", b"cookie", b"hosts", b""])
VALUES = st.binary(max_size=12)
SECTIONS = st.lists(st.tuples(NAMES, VALUES), max_size=6).map(tuple)


class SectionTest(TestCase):
    """``join``, ``split`` and ``size_of``."""

    def test_a_section_becomes_a_block_and_comes_back(self):
        section = ((b":path", b"/"), (b"a", b"1"), (b"b", b""), (b"c", b"x y"))
        for twin in TWINS:
            block = twin.join(section, 1)
            self.assertEqual(block, b"\r\na: 1\r\nb: \r\nc: x y")
            self.assertEqual(twin.split(block, block, [section[0]]), list(section))
            self.assertEqual(twin.size_of(section), 5 + 1 + 1 + 1 + 1 + 0 + 1 + 3 + 4 * 32)
            self.assertEqual((twin.join((), 0), twin.split(b"", b"", [])), (b"", []))

    def test_names_are_lowered_and_fields_of_a_connection_stay(self):
        raw = b"\r\nHost: a\r\nConnection: x\r\nTE: trailers\r\nUpgrade: h2c\r\nX-A:  b \r\nKeep-Alive: 1"
        for twin in TWINS:
            self.assertEqual(twin.split(raw, raw.lower(), []), [(b"x-a", b"b")])

    def test_an_index_below_the_start_is_refused_or_empty(self):
        for twin in TWINS:
            self.assertEqual(twin.join(((b"a", b"b"),), 5), b"")

    @given(SECTIONS, st.integers(0, 7))
    def test_twins_agree(self, section, first):
        blocks = [twin.join(section, first) for twin in TWINS]
        self.assertEqual(len(set(blocks)), 1)
        self.assertEqual(len({twin.size_of(section) for twin in TWINS}), 1)
        split = [twin.split(blocks[0], blocks[0].lower(), []) for twin in TWINS]
        self.assertTrue(all(one == split[0] for one in split))

    @given(st.binary(max_size=60).map(lambda tail: b"\r\na: b" + tail))
    def test_twins_agree_on_any_block(self, raw):
        split = [twin.split(raw, raw.lower(), []) for twin in TWINS]
        self.assertTrue(all(one == split[0] for one in split))
