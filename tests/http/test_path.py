"""Path normalisation."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from meshd.errors import ProtocolError
from meshd.http import path

UNTOUCHED = (
    b"/", b"*", b"/a", b"/a/", b"/a/b.c", b"/a.b/c..d/e.", b"/a?b", b"/?", b"/a?b=/../c//d%00", b"/a~b!$&'()*+,;=:@",
    b"/.well-known/x",
    b"/...", b"/a/..b/.c", b"/%20", b"/%C3%A9", b"/a%2Fb", b"/a%5Cb", b"/a%3Fb", b"/%23",
)
CHANGED = (
    (b"/.", b"/"), (b"/..", b"/"), (b"/./a", b"/a"), (b"/a/.", b"/a/"), (b"/a/./b", b"/a/b"), (b"/a/..", b"/"),
    (b"/a/../b", b"/b"), (b"/a/b/..", b"/a/"), (b"/a/b/../", b"/a/"), (b"/../../a", b"/a"), (b"/a/../../b?c", b"/b?c"),
    (b"/a/%2e%2e/b", b"/b"), (b"/a/%2E./b", b"/b"), (b"/a/.%2e/b", b"/b"), (b"/%2e", b"/"), (b"/a\\..\\b", b"/b"),
    (b"/a\\b", b"/a/b"), (b"/%41%7e", b"/A~"), (b"/%c3%a9", b"/%C3%A9"), (b"/a%2fb", b"/a%2Fb"), (b"/a%5cb", b"/a%5Cb"),
    (b"//", b"/"), (b"//a", b"/a"), (b"/a//b///c//", b"/a/b/c/"), (b"/a/.//b", b"/a/b"), (b"/a//../b", b"/a/b"),
    (b"/a//b?c//d", b"/a/b?c//d"), (b"/a\\\\b", b"/a/b"), (b"/%25%32e", b"/%252e"),
)
REFUSED = (b"/a%00", b"/%", b"/a%2", b"/%zz", b"/%u0041", b"/a#b", b"/a?b#c", b"a", b"", b"?a", b"/%2%66", b"/..%00/")


class TestNormalize(unittest.TestCase):
    def test_leaves_what_is_normal_and_makes_no_copy(self):
        for target in UNTOUCHED:
            with self.subTest(target):
                self.assertIs(path.normalize(target, merge_slashes=True, escaped_slashes=path.KEEP), target)

    def test_changes_what_is_not(self):
        for target, expected in CHANGED:
            with self.subTest(target):
                self.assertEqual(path.normalize(target, merge_slashes=True, escaped_slashes=path.KEEP), expected)

    def test_refuses_what_no_path_can_be(self):
        for target in REFUSED:
            with self.subTest(target), self.assertRaises(ProtocolError) as caught:
                path.normalize(target)
            self.assertEqual((caught.exception.status, caught.exception.detail), (400, "path_normalization_failed"))

    def test_keeps_double_slashes_when_told(self):
        self.assertEqual(path.normalize(b"/a//b/./c", merge_slashes=False), b"/a//b/c")
        self.assertEqual(path.normalize(b"/a//../c", merge_slashes=False), b"/a/c")

    @given(st.lists(st.sampled_from([b"/", b".", b"..", b"a", b"%2e", b"%2F", b"%5c", b"\\", b"%41", b"?", b"//",
                                     b"%"])).map(b"".join),
           st.booleans(), st.sampled_from([path.KEEP, path.UNESCAPE]))
    def test_is_stable_and_leaves_no_dots(self, rest, merge, slashes):
        try:
            once = path.normalize(b"/" + rest, merge_slashes=merge, escaped_slashes=slashes)
        except ProtocolError:
            return
        self.assertEqual(path.normalize(once, merge_slashes=merge, escaped_slashes=slashes), once)
        segments = once.partition(b"?")[0].split(b"/")
        self.assertNotIn(b"..", segments)
        self.assertNotIn(b".", segments)


class TestEscapedSlashes(unittest.TestCase):
    def test_are_refused_when_told(self):
        for target in (b"/a%2fb", b"/a%2Fb", b"/a%5cb", b"/a%5Cb"):
            with self.subTest(target), self.assertRaises(ProtocolError):
                path.normalize(target, escaped_slashes=path.REJECT)
        self.assertEqual(path.normalize(b"/a%20b?%2f", escaped_slashes=path.REJECT), b"/a%20b?%2f")

    def test_become_slashes_when_told(self):
        for target, expected in ((b"/a%2fb", b"/a/b"), (b"/a%2F..%2fb", b"/b"), (b"/a%5c..%5Cb?%2f", b"/b?%2f"),
                                 (b"/a%2f/b", b"/a/b")):
            self.assertEqual(path.normalize(target, escaped_slashes=path.UNESCAPE), expected)

    def test_send_the_client_elsewhere_when_told(self):
        with self.assertRaises(path.Redirect) as caught:
            path.normalize(b"/a%2f..%2Fb?c", escaped_slashes=path.UNESCAPE_AND_REDIRECT)
        self.assertEqual(caught.exception.target, b"/b?c")
        with self.assertRaises(path.Redirect) as caught:
            path.normalize(b"/%2Fevil.example/", merge_slashes=False, escaped_slashes=path.UNESCAPE_AND_REDIRECT)
        self.assertEqual(caught.exception.target, b"/evil.example/")
        self.assertEqual(path.normalize(b"/a/../b", escaped_slashes=path.UNESCAPE_AND_REDIRECT), b"/b")
