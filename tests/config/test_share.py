"""``isolation``, ``percent`` and ``canary_of``: what they mean, where they may stand, and how they are printed."""

from meshd.config.printing import print_config
from meshd.document.beside import Isolation
from tests.config.sample import ConfigTestCase

START = """\
clusters: [{name: users, endpoints: [{address: "10.0.0.1:80"}]}]
listeners:
  - name: public
    address: 127.0.0.1:8080
    filters:
"""
GATE = "gate: {rules: [{match: {prefix: /}, cluster: users}]}"
END = f"      - {GATE}\n"


class ShareTest(ConfigTestCase):
    def one(self, *lines, end=END):
        """Return a configuration with these filters."""
        return START + "".join(f"      - {line}\n" for line in lines) + end

    def filters(self, *lines):
        """Return the plugins of a good configuration."""
        return self.good(self.one(*lines)).snapshot.listeners[0].filters

    def test_a_word_is_short_for_the_section(self):
        for text in ("process", "{mode: process}", "{}"):
            self.assertEqual(self.filters(f"{{tag: {{}}, isolation: {text}}}")[0].isolation, Isolation())
        self.assertFalse(self.filters("{tag: {}, isolation: none}")[0].is_isolated)
        found = self.filters("{tag: {}, isolation: {timeout: 250ms, memory: 64MiB, max_pending: 7}}")[0]
        self.assertTrue(found.is_isolated)
        limits = found.isolation
        self.assertEqual((limits.timeout_s, limits.memory_bytes, limits.max_pending), (0.25, 64 << 20, 7))

    def test_without_them_nothing_is_isolated_or_shared(self):
        (plain, _) = self.filters("tag")
        self.assertEqual((plain.isolation, plain.percent, plain.canary_of), (None, 100.0, ""))

    def test_a_share_and_a_canary(self):
        one, two, _ = self.filters("tag", "{tag: {}, name: new, canary_of: tag, percent: 0.01}")
        self.assertEqual((one.percent, two.percent, two.canary_of), (100.0, 0.01, "tag"))

    def test_what_is_printed_loads_again(self):
        before = self.good(self.one("{tag: {}, isolation: {timeout: 2s}, percent: 5}"), with_origins=True)
        text = print_config(before)
        self.assertEqual(self.good(text.replace("********", "abcd")).snapshot, before.snapshot)
        self.assertEqual(text.count("canary_of"), 0)

    def test_faults_have_their_place(self):
        cases = {
            "{tag: {}, isolation: proces}": "MSH0105 6:30 listeners[0].filters[0].isolation.mode",
            "{tag: {}, isolation: {timeout: 0s}}": "MSH0102 6:40 listeners[0].filters[0].isolation.timeout",
            "{tag: {}, percent: 101}": "MSH0102 6:28 listeners[0].filters[0].percent",
            "{tag: {}, canary_of: other}": "MSH0220 6:30 listeners[0].filters[0].canary_of",
            "{tag: {}, canary_of: tag}": "MSH0220 6:30 listeners[0].filters[0].canary_of",
        }
        for line, expected in cases.items():
            with self.subTest(line=line):
                self.assertEqual(self.seen(self.one(line)), [expected])

    def test_the_filter_at_the_end_and_other_kinds_have_none(self):
        end = f"      - {GATE}\n        isolation: process\n        percent: 5\n"
        self.assertEqual(self.seen(self.one(end=end)), [
            "MSH0220 7:20 listeners[0].filters[0].isolation", "MSH0220 8:18 listeners[0].filters[0].percent"])
        retry = "      - gate: {rules: [{match: {prefix: /}, cluster: users, retry: {again: {}, percent: 5}}]}\n"
        (fault,) = self.faults(self.one(end=retry))
        self.assertEqual((fault.code, fault.path), ("MSH0220", "listeners[0].filters[0].gate.rules[0].retry.percent"))
        self.assertIn("this is of kind retry_policy", fault.message)
        (fault,) = self.faults(self.one("{tag: {}, name: a, percent: 5}", "{tag: {}, name: b, canary_of: a}"))
        self.assertIn('"a" has a percent of its own', fault.message)

    def test_shares_add_up(self):
        lines = ["tag", *(f"{{tag: {{}}, name: {name}, canary_of: tag, percent: 40}}" for name in "abc")]
        (fault,) = self.faults(self.one(*lines))
        self.assertEqual((fault.code, fault.path), ("MSH0220", "listeners[0].filters[3].canary_of"))
        self.assertIn('canaries of "tag" take 120 percent, expected at most 100', fault.message)

    def test_a_canary_has_no_canary(self):
        lines = ("tag", "{tag: {}, name: a, canary_of: tag, percent: 5}", "{tag: {}, name: b, canary_of: a}")
        (fault,) = self.faults(self.one(*lines))
        self.assertIn('"a" is a canary itself: expected a filter that is none, "tag"', fault.message)
