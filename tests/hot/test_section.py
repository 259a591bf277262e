"""Field sections to blocks and back: both twins say the same."""

from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from tests.hot.twin import twins

TWINS = twins("section")
NAMES = st.sampled_from([b"a", b"te", b"host", b"connection", b"keep-alive", b"upgrade", b"http2-settings", b"x-y",
                         b"proxy-connection", b"transfer-encoding", b"cookie", b"hosts", b"", b":path", b":method"])
VALUES = st.binary(max_size=12)
SECTIONS = st.lists(st.tuples(NAMES, VALUES), max_size=6).map(tuple)


class SectionTest(TestCase):
    """``pseudo``, ``blocks`` and ``split``."""

    def test_a_section_becomes_a_block_and_comes_back(self):
        section = ((b":path", b"/"), (b"a", b"1"), (b"b", b""), (b"c", b"X y"), (b"cookie", b"d"))
        for twin in TWINS:
            raw, low, size, crumbs = twin.blocks(section, 1, None)
            self.assertEqual(raw, b"\r\na: 1\r\nb: \r\nc: X y\r\ncookie: d")
            self.assertEqual((low, crumbs), (raw.lower(), 1))
            self.assertEqual(twin.split(raw, low, [section[0]]), list(section))
            self.assertEqual(size, 5 + 1 + 1 + 1 + 1 + 0 + 1 + 3 + 6 + 1 + 5 * 32)
            self.assertEqual(twin.blocks(section[:2], 1, b"H")[:2], (b"\r\nhost: H\r\na: 1", b"\r\nhost: h\r\na: 1"))
            self.assertEqual((twin.blocks((), 0, None), twin.split(b"", b"", [])), ((b"", b"", 0, 0), []))
            self.assertIsNone(twin.blocks(section, 0, b"a\n")[0])

    def test_names_are_lowered_and_fields_of_a_connection_stay(self):
        raw = b"\r\nHost: a\r\nConnection: x\r\nTE: gzip, Trailers\r\nUpgrade: h2c\r\nX-A:  b \r\nKeep-Alive: 1"
        for twin in TWINS:
            self.assertEqual(twin.split(raw, raw.lower(), []), [(b"te", b"trailers"), (b"x-a", b"b")])
            self.assertEqual(twin.split(b"\r\nte: gzip", b"\r\nte: gzip", []), [])

    def test_pseudo_header_fields(self):
        section = ((b":path", b"/"), (b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a"), (b"b", b"c"))
        for twin in TWINS:
            self.assertEqual(twin.pseudo(section), (4, b"GET", b"http", b"a", b"/", None))
            self.assertEqual(twin.pseudo(section[:1]), (1, None, None, None, b"/", None))
            self.assertEqual(twin.pseudo((section[0], (b":foo", b"")))[0], -2)
            self.assertEqual(twin.pseudo((section[0], section[0]))[0], -2)
            self.assertEqual(twin.pseudo(())[0], 0)
            self.assertEqual(twin.pseudo(((b":protocol", b"x"), (b"", b"")))[5], b"x")

    @given(SECTIONS, st.integers(0, 7), st.one_of(st.none(), VALUES))
    def test_twins_agree(self, section, first, host):
        made = [twin.blocks(section, first, host) for twin in TWINS]
        self.assertTrue(all(one == made[0] for one in made))
        found = [twin.pseudo(section) for twin in TWINS]
        self.assertTrue(all(one == found[0] for one in found))

    @given(st.binary(max_size=60).map(lambda tail: b"\r\na: b" + tail), st.sampled_from([b"", b"\r\nte:,trailers ,"]))
    def test_twins_agree_on_any_block(self, raw, more):
        raw += more
        split = [twin.split(raw, raw.lower(), []) for twin in TWINS]
        self.assertTrue(all(one == split[0] for one in split))
