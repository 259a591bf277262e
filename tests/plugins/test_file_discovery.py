"""Endpoints of a watched file; and the fixed list."""

import os
import tempfile
import unittest

import yaml
from meshd.api import EndpointSpec
from meshd.testing.site import FakeSite
from meshd_plugins.file_discovery import FileOptions, parse, references
from meshd_plugins.static_discovery import Static


BAD_FILES = (
    (b"- a\n", r"\[0\]: expected HOST:PORT"),
    (b"- a:70000\n", "HOST:PORT"),
    (b"- {weight: 1}\n", r"\[0\].address"),
    (b"- a:1\n- a:1\n", "stands twice"),
    (b"- {address: 'a:1', wieght: 2}\n", "unknown key: expected one of address"),
    (b"- {address: 'a:1', weight: 0}\n", "expected 1 to 1000000, got 0"),
    (b"- {address: 'a:1', weight: x}\n", "whole number"),
    (b'[{"address": "a:1", "weight": true}]', "whole number"),
    (b"- {address: 'a:1', labels: [a]}\n", "labels"),
    (b"- {targets: 3}\n", r"\[0\].targets"),
    (b"- [a]\n", "address or a mapping"),
    (b"text\n", "list of endpoints"),
    (b"[1,", "Expecting"),
    (b"[" * 100_000, "nested too deeply"),
    (b"\xff", "unacceptable|invalid"),
)


class Watching(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = os.path.join(self.folder.name, "endpoints.yaml")
        self.site = FakeSite()
        self.reports = []

    def watch(self, **options):
        found = self.site.make("discovery", "file", FileOptions(path=self.path, **options))
        found.watch(lambda specs: self.reports.append([spec.address for spec in specs]))
        return found

    def write(self, text):
        """Replace the file as careful writers do: another file, renamed."""
        with open(self.path + ".new", "w") as file:
            file.write(text)
        os.replace(self.path + ".new", self.path)

    def failures(self):
        family = self.site.metrics.counter("meshd_discovery_failures_total", "", ("source",))
        return family.cell(self.path).value

    def test_reports_at_once_and_on_each_change(self):
        self.write("- 10.0.0.1:80\n")
        self.watch()
        self.assertEqual(self.reports, [["10.0.0.1:80"]])
        self.site.advance(1)
        self.assertEqual(len(self.reports), 1)
        self.write("- 10.0.0.2:80\n")
        self.site.advance(1)
        self.assertEqual(self.reports[1:], [["10.0.0.2:80"]])

    def test_looks_as_often_as_told(self):
        self.write("- a:1\n")
        self.watch(interval_s=5.0)
        self.write("- b:1\n")
        self.site.advance(4)
        self.assertEqual(len(self.reports), 1)
        self.site.advance(1)
        self.assertEqual(self.reports[1], ["b:1"])

    def test_same_endpoints_are_not_reported_again(self):
        self.write("- a:1\n")
        self.watch()
        self.write("# touched\n- a:1\n")
        self.site.advance(1)
        self.assertEqual(len(self.reports), 1)

    def test_bad_content_keeps_the_last_and_is_counted_once(self):
        self.write("- a:1\n")
        self.watch()
        self.write("- [oops\n")
        self.site.advance(1)
        self.site.advance(1)
        self.assertEqual(len(self.reports), 1)
        self.assertEqual(self.failures(), 1)
        self.assertIn("endpoints not taken", self.site.logged[-1]["log_format"])
        self.write("- b:1\n")
        self.site.advance(1)
        self.assertEqual(self.reports[-1], ["b:1"])

    def test_a_file_that_comes_later_is_read(self):
        self.watch()
        self.assertEqual((self.reports, self.failures()), ([], 1))
        self.site.advance(1)
        self.assertEqual(self.failures(), 1)
        self.write("- a:1\n")
        self.site.advance(1)
        self.assertEqual(self.reports, [["a:1"]])

    def test_a_file_that_goes_keeps_the_last(self):
        self.write("- a:1\n")
        self.watch()
        os.unlink(self.path)
        self.site.advance(1)
        self.assertEqual((self.reports, self.failures()), ([["a:1"]], 1))

    def test_empty_after_full_is_held_back(self):
        self.write("- a:1\n")
        self.watch()
        self.write("[]\n")
        self.site.advance(1)
        self.assertEqual((self.reports, self.failures()), ([["a:1"]], 1))

    def test_empty_after_full_where_allowed(self):
        self.write("- a:1\n")
        self.watch(hold_empty=False)
        self.write("")
        self.site.advance(1)
        self.assertEqual((self.reports[-1], self.failures()), ([], 0))

    def test_too_long_a_file_is_refused(self):
        self.write("- a:1\n" + "#" * 100)
        self.watch(max_bytes=64)
        self.assertEqual((self.reports, self.failures()), ([], 1))

    def test_stop_ends_the_looking(self):
        self.write("- a:1\n")
        self.watch().stop()
        self.assertEqual(self.site.world.reactor.getDelayedCalls(), [])

    def test_another_path_by_symlink_is_seen(self):
        for name in ("one", "two"):
            with open(os.path.join(self.folder.name, name), "w") as file:
                file.write(f"- {name}:1\n")
        os.symlink("one", self.path)
        self.watch()
        os.unlink(self.path)
        os.symlink("two", self.path)
        self.site.advance(1)
        self.assertEqual(self.reports, [["one:1"], ["two:1"]])


class Formats(unittest.TestCase):
    def test_mappings_with_every_key(self):
        text = b"- {address: 'a:1', weight: 3, labels: {zone: 1a, on: yes}, locality: r/z, priority: 1}\n"
        self.assertEqual(parse(text), (EndpointSpec(
            address="a:1", weight=3, labels=(("zone", "1a"), ("on", "yes")), locality="r/z", priority=1),))

    def test_json_and_the_key_endpoints(self):
        self.assertEqual(parse(b'{"endpoints": [{"address": "a:1", "weight": 2}]}')[0].weight, 2)
        self.assertEqual([spec.address for spec in parse(b"endpoints:\n- a:1\n- '[::1]:80'\n- unix:/run/x\n")],
                         ["a:1", "[::1]:80", "unix:/run/x"])

    def test_prometheus_file_sd(self):
        found = parse(b'[{"targets": ["a:1", "b:2"], "labels": {"job": "x"}}, {"targets": ["c:3"]}]')
        self.assertEqual([(spec.address, spec.labels) for spec in found],
                         [("a:1", (("job", "x"),)), ("b:2", (("job", "x"),)), ("c:3", ())])

    def test_host_and_port_are_not_a_base_60_number(self):
        self.assertEqual(parse(b"- 10:30\n")[0].address, "10:30")

    def test_faults_name_the_place(self):
        for text, words in BAD_FILES:
            with self.assertRaisesRegex((ValueError, yaml.YAMLError), words, msg=text[:50]):
                parse(text)

    def test_names_its_file(self):
        self.assertEqual([(need.kind, need.name, need.path) for need in references(FileOptions(path="/x"))],
                         [("file", "/x", "path")])


class FixedList(unittest.TestCase):
    def test_reports_once(self):
        specs = (EndpointSpec(address="a:1"),)
        reports = []
        FakeSite().make("discovery", "static", Static(endpoints=specs)).watch(reports.append)
        self.assertEqual(reports, [specs])
