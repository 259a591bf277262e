"""Matching: each condition, and the index against a plain walk through the list."""

import unittest

from hypothesis import given, settings, strategies as st
from meshd.runtime.site import finish
from meshd.testing.exchange import request_head
from meshd_plugins.router import guard, regex_index
from meshd_plugins.router.match_config import HeaderMatch, Match, QueryMatch, Range
from meshd_plugins.router.matcher import compile_conditions, compile_path
from meshd_plugins.router.path_index import PrefixIndex
from meshd_plugins.router.regex_index import RegexIndex
from meshd_plugins.router.table import LargeTable, SmallTable, build_table
from tests.plugins.router_case import faults


def matches(match, target=b"/", headers=(), method=b"GET"):
    """Say whether ``match`` (configuration) holds for a request."""
    conditions = compile_conditions(match)
    request = request_head(method, target, headers)
    return compile_path(match)(request.path) and (conditions is None or conditions(request))


def header(value=None, **options):
    """Say whether a header condition holds for the field x with ``value`` (None: not there; a list: several lines)."""
    values = value if isinstance(value, list) else [] if value is None else [value]
    return matches(Match(prefix="/", headers=(HeaderMatch(name="X", **options),)), headers=[(b"x", v) for v in values])


def query(target, **options):
    """Say whether a condition on the parameter q holds."""
    return matches(Match(prefix="/", query=(QueryMatch(name="q", **options),)), target=target)


class Paths(unittest.TestCase):
    def test_exact_is_the_whole_path_without_the_query(self):
        self.assertTrue(matches(Match(path="/a"), b"/a?b"))
        self.assertFalse(matches(Match(path="/a"), b"/a/"))

    def test_prefix_is_plain_text(self):
        self.assertTrue(matches(Match(prefix="/foo"), b"/foobar"))
        self.assertFalse(matches(Match(prefix="/foo"), b"/fo"))

    def test_separated_prefix_is_segments(self):
        for target, expected in ((b"/foo", True), (b"/foo/", True), (b"/foo/a?b", True), (b"/foobar", False)):
            self.assertEqual(matches(Match(path_separated_prefix="/foo"), target), expected, target)

    def test_regex_matches_the_whole_path(self):
        self.assertTrue(matches(Match(regex="/a[0-9]+"), b"/a12?q"))
        self.assertFalse(matches(Match(regex="/a[0-9]+"), b"/a12/"))

    def test_ignore_case(self):
        for match in (Match(path="/Foo", ignore_case=True), Match(prefix="/fOO", ignore_case=True),
                      Match(path_separated_prefix="/foO", ignore_case=True)):
            self.assertTrue(matches(match, b"/FOO"))
        self.assertFalse(matches(Match(path="/Foo"), b"/foo"))

    def test_methods_are_case_sensitive(self):
        self.assertTrue(matches(Match(prefix="/", methods=("GET", "PUT")), method=b"PUT"))
        self.assertFalse(matches(Match(prefix="/", methods=("GET",)), method=b"get"))

    def test_faults(self):
        self.assertIn("got none", faults(Match())[0])
        self.assertIn("got path, prefix", faults(Match(path="/", prefix="/"))[0])
        self.assertTrue(faults(Match(regex="/", ignore_case=True)))
        self.assertTrue(faults(Match(path_separated_prefix="/a/")))
        self.assertEqual(faults(Match(prefix="/")), [])


class HeaderConditions(unittest.TestCase):
    def test_values(self):
        for options, value in (({"exact": "ab"}, b"ab"), ({"prefix": "a"}, b"ab"), ({"suffix": "b"}, b"ab"),
                               ({"contains": "x"}, b"axb"), ({"regex": "a+"}, b"aaa"),
                               ({"range": Range(start=-1, end=5)}, b"-1")):
            self.assertTrue(header(value, **options), options)
            self.assertFalse(header(b"other-y", **options), options)
            self.assertTrue(header(b"other-y", invert=True, **options), options)

    def test_range_is_half_open_and_takes_only_whole_numbers(self):
        for value in (b"0", b"9", b"+5"):
            self.assertTrue(header(value, range=Range(start=0, end=10)), value)
        for value in (b"10", b"-1", b"1.5", b"", b"9" * 30):
            self.assertFalse(header(value, range=Range(start=0, end=10)), value)

    def test_missing_field_matches_no_value_even_inverted(self):
        self.assertFalse(header(None, exact="a"))
        self.assertFalse(header(None, exact="a", invert=True))

    def test_missing_field_as_empty(self):
        self.assertTrue(header(None, exact="a", invert=True, treat_missing_as_empty=True))
        self.assertTrue(header(None, exact="", treat_missing_as_empty=True))
        self.assertFalse(header(None, exact="a", treat_missing_as_empty=True))

    def test_presence(self):
        for options in ({}, {"present": True}, {"present": False, "invert": True}):
            self.assertEqual((header(b"", **options), header(None, **options)), (True, False), options)
        for options in ({"present": False}, {"invert": True}):
            self.assertEqual((header(b"", **options), header(None, **options)), (False, True), options)

    def test_several_lines_are_joined_by_commas(self):
        self.assertTrue(header([b"a", b"b"], exact="a,b"))
        self.assertFalse(header([b"a", b"b"], exact="a"))

    def test_ignore_case(self):
        self.assertTrue(header(b"AB", exact="aB", ignore_case=True))
        self.assertFalse(header(b"AB", exact="aB"))

    def test_pseudo_headers(self):
        for name, value in ((":method", "GET"), (":authority", "example.com"), (":path", "/a?b"), (":scheme", "http"),
                            ("host", "example.com")):
            self.assertTrue(matches(Match(prefix="/", headers=(HeaderMatch(name=name, exact=value),)), b"/a?b"), name)

    def test_the_host_is_compared_whatever_its_case(self):
        for name, options in ((":authority", {"exact": "Example.com"}), ("Host", {"prefix": "EXAMPLE."})):
            self.assertTrue(matches(Match(prefix="/", headers=(HeaderMatch(name=name, **options),)), b"/"), name)

    def test_all_must_hold(self):
        both = (HeaderMatch(name="a"), HeaderMatch(name="b"), HeaderMatch(name="c"))
        self.assertTrue(matches(Match(prefix="/", headers=both), headers=[(b"a", b""), (b"b", b""), (b"c", b"")]))
        self.assertFalse(matches(Match(prefix="/", headers=both), headers=[(b"a", b""), (b"b", b"")]))

    def test_two_conditions_are_a_fault(self):
        self.assertTrue(faults(HeaderMatch(name="a", exact="b", prefix="c")))
        self.assertTrue(faults(Range(start=3, end=3)))


class QueryConditions(unittest.TestCase):
    def test_values(self):
        for options, good in (({"exact": "ab"}, b"ab"), ({"prefix": "a"}, b"ab"), ({"suffix": "b"}, b"ab"),
                              ({"contains": "x"}, b"axb"), ({"regex": "a+"}, b"aaa")):
            self.assertTrue(query(b"/?z=1&q=" + good, **options), options)
            self.assertFalse(query(b"/?q=other", **options), options)
            self.assertFalse(query(b"/", **options), options)

    def test_key_alone_is_the_empty_value(self):
        self.assertTrue(query(b"/?q", exact=""))
        self.assertTrue(query(b"/?q="))
        self.assertFalse(query(b"/?qq"))
        self.assertTrue(query(b"/?qq", present=False))

    def test_first_value_counts_and_nothing_is_decoded(self):
        self.assertTrue(query(b"/?q=1&q=2", exact="1"))
        self.assertFalse(query(b"/?q=%41", exact="A"))
        self.assertTrue(query(b"/?q&q=2", exact=""))
        self.assertTrue(query(b"/?aq=1&q=2&q", exact="2"))

    def test_parameters_follow_a_changed_target(self):
        test = compile_conditions(Match(prefix="/", query=(QueryMatch(name="q", exact="1"),)))
        request = request_head(target=b"/?q=1")
        self.assertTrue(test(request))
        request.set_target(b"/?q=2")
        self.assertFalse(test(request))


class Sizes(unittest.TestCase):
    def test_small_and_large_tables(self):
        few = [Match(prefix="/a")] * 8
        self.assertIsInstance(finish(build_table(few, few)), SmallTable)
        self.assertIsInstance(finish(build_table(few * 2, few * 2)), LargeTable)


SEGMENTS = st.sampled_from(["a", "b", "A", "ab", "a/b", "", "é"])
TEXTS = st.lists(SEGMENTS, min_size=0, max_size=3).map(lambda parts: "/" + "/".join(parts))
CONDITIONS = st.sampled_from([{}, {}, {"methods": ("PUT",)}, {"headers": (HeaderMatch(name="x", exact="1"),)},
                              {"headers": (HeaderMatch(name="x", exact="2"),)}, {"query": (QueryMatch(name="q"),)}])
CASES = st.booleans()
REGEXES = st.sampled_from(["/a.*", "/[ab]+", "/.*b", ".*", "/a/(a|b)?", "/(?i)AB"])
MATCHES = st.one_of(
    st.builds(lambda text, case, more: Match(path=text, ignore_case=case, **more), TEXTS, CASES, CONDITIONS),
    st.builds(lambda text, case, more: Match(prefix=text, ignore_case=case, **more), TEXTS, CASES, CONDITIONS),
    st.builds(lambda text, case, more: Match(path_separated_prefix=text.rstrip("/") or "/x", ignore_case=case, **more),
              TEXTS, CASES, CONDITIONS),
    st.builds(lambda text, more: Match(regex=text, **more), REGEXES, CONDITIONS),
)
REQUESTS = st.builds(
    lambda text, ending, value, method: request_head(method, text.encode() + ending, [(b"x", value)]),
    TEXTS, st.sampled_from([b"", b"/", b"?q", b"\xff"]), st.sampled_from([b"1", b"2", b"3"]),
    st.sampled_from([b"GET", b"PUT"]),
)


def nothing(path):
    """Find what a set finds that ran out of memory: not even what always matches."""
    return None


class AgainstPlainWalk(unittest.TestCase):
    def check(self, configured, requests):
        numbers = list(range(len(configured)))
        plain = SmallTable(configured, numbers)
        table = LargeTable()
        for match, number in zip(configured, numbers):
            table.add(match, number)
        finish(table.build())
        for request in requests:
            self.assertEqual(table.find(request), plain.find(request), (request.target, configured))

    @settings(max_examples=150, deadline=None)
    @given(st.lists(MATCHES, min_size=1, max_size=30), st.lists(REQUESTS, min_size=1, max_size=10))
    def test_index_finds_what_a_walk_finds(self, configured, requests):
        self.check(configured, requests)

    @settings(max_examples=30, deadline=None)
    @given(st.lists(MATCHES, min_size=1, max_size=30), st.lists(REQUESTS, min_size=1, max_size=10))
    def test_with_lists_grouped_by_a_header(self, configured, requests):
        limit, guard.GROUPED_FROM = guard.GROUPED_FROM, 1
        try:
            self.check(configured, requests)
        finally:
            guard.GROUPED_FROM = limit

    @settings(max_examples=30, deadline=None)
    @given(st.lists(MATCHES, min_size=1, max_size=30), st.lists(REQUESTS, min_size=1, max_size=10))
    def test_with_regex_sets_that_cannot_be_compiled(self, configured, requests):
        compile_set, regex_index._compile_set = regex_index._compile_set, lambda patterns: nothing
        try:
            self.check(configured, requests)
        finally:
            regex_index._compile_set = compile_set


class Indexes(unittest.TestCase):
    def test_a_set_that_ran_out_of_memory_is_noticed(self):
        index = RegexIndex()
        for number, text in enumerate((b"/a", b"/.")):
            index.add(regex_index.re2.compile(text), number)
        index.close()
        index.sets[0]._match = nothing
        self.assertEqual(list(index.find(b"/a", 99)), [0, 1])

    def test_regexes_behind_the_best_match_are_not_tried(self):
        index = RegexIndex()
        index.add(regex_index.re2.compile(b"/a"), 7)
        index.close()
        self.assertEqual(list(index.find(b"/a", 7)), [])

    def test_build_yields_between_slices(self):
        index = PrefixIndex()
        for number in range(2000):
            index.add(b"/%d" % number, number)
        steps = sum(1 for _ in index.build([None] * 2000, [None] * 2000))
        self.assertGreaterEqual(steps, 8)
        self.assertEqual(index.find(b"/1999/x").stop, 1)

    def test_many_routes_that_differ_in_a_header_are_a_look_up(self):
        matches = [Match(prefix="/", headers=(HeaderMatch(name="X", exact=str(number)),)) for number in range(100)]
        table = finish(build_table(matches + [Match(prefix="/")], list(range(101))))
        self.assertIsInstance(table._prefix.find(b"/").numbers, guard.Grouped)
        self.assertEqual(table.find(request_head(headers=[(b"x", b"77")])), 77)
        self.assertEqual(table.find(request_head(headers=[(b"x", b"100")])), 100)
