"""The scan of a head's bytes: its promises, and that the compiled twin keeps them in the same way."""

import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.hot.twin import twins

TWINS = twins("field")
PURE, COMPILED = TWINS[0], TWINS[-1] if len(TWINS) > 1 else None

SPECIAL = (b"host", b"content-length", b"transfer-encoding", b"connection", b"expect", b"te", b"trailer", b"upgrade",
           b"keep-alive",
           b"proxy-connection")
LINES = st.lists(st.one_of(
    st.tuples(st.sampled_from(SPECIAL + (b"a", b"x_y", b"hosts", b"_")), st.sampled_from([b"", b" ", b"a", b" a\t",
                                                                                          b"a b", b"\xff", b"\t5"])),
).map(lambda line: b"\r\n" + line[0] + b":" + line[1]), max_size=8).map(b"".join)
PIECES = st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b":", b" ", b"a", b"host", b"\0", b"_", b"\xff", b"A",
                                   b"\r\nhost: a"])).map(b"".join)


class TestScan(unittest.TestCase):
    def test_finds_what_steers(self):
        for twin in TWINS:
            self.assertEqual(twin.scan_fields(b"", False), (0, -1, -1, -1, -1, -1, -1))
            self.assertEqual(twin.scan_fields(b"\r\nhost: a\t\r\nx: y", False), (twin.HOST, 8, 9, -1, -1, -1, -1))
            self.assertEqual(twin.scan_fields(b"\r\ncontent-length:5\r\nconnection: close ", False),
                             (twin.LENGTH | twin.CONNECTION, -1, -1, 17, 18, 31, 38))
            self.assertEqual(twin.scan_fields(b"\r\nte: a\r\nexpect: b", False)[0], twin.HOP | twin.EXPECT)
            self.assertEqual(twin.scan_fields(b"\r\nhost: a\r\nhost: bc", False)[:3], (twin.HOST | twin.HOST_TWICE, 17,
                                                                                       19))

    def test_finds_underscores_only_when_asked(self):
        for twin in TWINS:
            self.assertEqual(twin.scan_fields(b"\r\na_b: c", False)[0], 0)
            self.assertEqual(twin.scan_fields(b"\r\na_b: c", True)[0], twin.UNDERSCORE)
            self.assertEqual(twin.scan_fields(b"\r\na: _", True)[0], 0)

    def test_tells_where_a_block_goes_wrong(self):
        for twin in TWINS:
            for block, offset in ((b"a", 0), (b"\r", 1), (b"\r\n", 2), (b"\r\na", 3), (b"\r\n:", 2), (b"\r\na :", 3),
                                  (b"\r\na:\0", 4),
                                  (b"\r\na: b\nc: d", 6), (b"\r\na: b\r\n c: d", 8), (b"\r\na: b\rc: d", 7),
                                  (b"\r\nA: b", 2)):
                self.assertEqual(twin.scan_fields(block, False)[:2], (-1, offset), block)

    def test_splits_a_request_line(self):
        for twin in TWINS:
            for line, code in ((b"GET / HTTP/1.1", 7), (b"GET /a HTTP/1.0", 6), (b"a b HTTP/1.1", 3),
                               (b"GET  HTTP/1.1", -1), (b"", -1),
                               (b"GET / HTTP/1.2", -1), (b" / HTTP/1.1", -1), (b"GET /# HTTP/1.1", -1),
                               (b"GET HTTP/1.1", -1),
                               (b"G\0T / HTTP/1.1", -1), (b"GET /\xff HTTP/1.1", -1), (b"GET / / HTTP/1.1", -1)):
                self.assertEqual(twin.request_line(b"xx" + line + b"\r\n", 2, 2 + len(line)) - 4 * (code >= 0), code,
                                 line)


@unittest.skipIf(COMPILED is None, "the leaf is not compiled")
class TestTwins(unittest.TestCase):
    def test_have_the_same_names(self):
        names = {name for name in vars(PURE) if name[0] != "_"} - {"re"}
        self.assertLessEqual(names, set(vars(COMPILED)))
        self.assertEqual({name: vars(PURE)[name] for name in names if name.isupper()},
                         {name: vars(COMPILED)[name] for name in names if name.isupper()})

    @settings(max_examples=500, deadline=None)
    @given(st.one_of(LINES, PIECES, st.tuples(LINES, PIECES).map(b"".join), st.binary(max_size=60)), st.booleans())
    def test_scan_alike(self, block, wants):
        self.assertEqual(PURE.scan_fields(block, wants), COMPILED.scan_fields(block, wants))

    @settings(max_examples=300, deadline=None)
    @given(st.lists(st.sampled_from([b"GET", b" ", b"/", b"#", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.", b"\0", b"\xff",
                                     b"a"])).map(b"".join),
           st.integers(0, 5))
    def test_split_alike(self, line, start):
        start = min(start, len(line))
        self.assertEqual(PURE.request_line(line, start, len(line)), COMPILED.request_line(line, start, len(line)))
