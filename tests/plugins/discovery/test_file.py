"""Endpoints of a watched file; and the fixed list."""

import os
import tempfile
import unittest

import yaml
from meshd.api import EndpointSpec
from meshd.testing.site import FakeSite
from meshd_plugins.discovery.file import FileOptions, build, references
from meshd_plugins.discovery.relabel import RelabelConfig
from meshd_plugins.discovery.shape import parse
from meshd_plugins.discovery.static import Static
from meshd_plugins.discovery.target import endpoint


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
    (b"- {targets: [a:1], lables: {}}\n", r"\[0\].lables: unknown key: expected one of targets, labels"),
    (b"- {targets: [a:1], labels: {a-b: x}}\n", "a label's name"),
    (b'[{"targets": ["a:1"]}] x', "Expecting"),
    (b'[{"targets": ["a:1"]},]', "Expecting"),
    (b"[null]", "address or a mapping"),
    (b"- [a]\n", "address or a mapping"),
    (b"text\n", "list of endpoints"),
    (b'["a:1",', "Expecting"),
    (b"[" * 100_000, "nested too deeply"),
    (b"\xff", "unacceptable|invalid"),
)


class FileCase(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = os.path.join(self.folder.name, "endpoints.yaml")
        self.site = FakeSite("users")
        self.reports = []

    def watch(self, files=(), **options):
        paths = {"files": tuple(os.path.join(self.folder.name, one) for one in files)} if files else {"path": self.path}
        found = build(FileOptions(**paths, **options), self.site)
        self.addCleanup(found.stop)
        found.watch(lambda specs: self.reports.append([spec.address for spec in specs]))
        return found

    def write(self, text):
        """Replace the file as careful writers do: another file, renamed."""
        self.put("endpoints.yaml", text)

    def put(self, name, text):
        path = os.path.join(self.folder.name, name)
        with open(path + ".new", "w") as file:
            file.write(text)
        os.replace(path + ".new", path)

    def pass_time(self, seconds=2):
        """In steps, as timers that arm themselves anew fire once a step."""
        for _ in range(seconds * 10):
            self.site.advance(0.11)

    def value(self, name):
        return self.site.metrics.value(f"meshd_discovery_{name}", "users", "file")


class Watching(FileCase):
    def test_reports_at_once_and_on_each_change(self):
        self.write("- 10.0.0.1:80\n")
        self.watch()
        self.assertEqual(self.reports, [["10.0.0.1:80"]])
        self.pass_time()
        self.assertEqual(len(self.reports), 1)
        self.write("- 10.0.0.2:80\n")
        self.pass_time()
        self.assertEqual(self.reports[1:], [["10.0.0.2:80"]])

    def test_looks_as_often_as_told(self):
        self.write("- a:1\n")
        self.watch(interval_s=5.0)
        self.write("- b:1\n")
        self.pass_time(4)
        self.assertEqual(len(self.reports), 1)
        self.pass_time(2)
        self.assertEqual(self.reports[1], ["b:1"])

    def test_same_endpoints_are_not_reported_again(self):
        self.write("- a:1\n")
        self.watch()
        self.write("# touched\n- a:1\n")
        self.pass_time()
        self.assertEqual(len(self.reports), 1)

    def test_bad_content_keeps_the_last_and_is_said_once(self):
        self.write("- a:1\n")
        self.watch()
        self.write("- [oops\n")
        self.pass_time()
        self.pass_time()
        self.assertEqual((len(self.reports), self.value("stale")), (1, 1))
        self.assertGreater(self.value("failures_total"), 0)
        self.assertEqual(len([one for one in self.site.logged if "not taken" in one["log_format"]]), 1)
        self.write("- b:1\n")
        self.pass_time()
        self.assertEqual((self.reports[-1], self.value("stale")), (["b:1"], 0))

    def test_a_file_that_comes_later_is_read(self):
        self.watch()
        self.assertEqual((self.reports, self.value("failures_total")), ([], 1))
        self.write("- a:1\n")
        self.pass_time()
        self.assertEqual(self.reports, [["a:1"]])

    def test_a_file_that_goes_keeps_the_last(self):
        self.write("- a:1\n")
        found = self.watch()
        os.unlink(self.path)
        self.pass_time(100)
        self.assertEqual(self.reports, [["a:1"]])
        self.assertIn("endpoints.yaml: no such file", found.fact()["last_look"]["error"])

    def test_empty_after_full_is_held_back(self):
        self.write("- a:1\n")
        self.watch()
        self.write("[]\n")
        self.pass_time(20)
        self.assertEqual((self.reports, self.value("held_total")), ([["a:1"]], 1))
        self.pass_time(20)
        self.assertEqual(self.reports, [["a:1"], []])

    def test_too_long_a_file_is_refused(self):
        self.write("- a:1\n" + "#" * 100)
        found = self.watch(max_bytes=64)
        self.assertEqual(self.reports, [])
        self.assertIn("file too long: expected at most 64 bytes", found.fact()["last_look"]["error"])

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
        self.pass_time()
        self.assertEqual(self.reports, [["one:1"], ["two:1"]])


class SeveralFiles(FileCase):
    def test_globs_find_files_that_come_and_let_go_of_those_that_go(self):
        self.put("a.json", '[{"targets": ["a:1"]}]')
        self.watch(files=("*.json", "extra.yml"))
        self.put("b.json", '[{"targets": ["b:1"], "labels": {"job": "x"}}]')
        self.pass_time()
        os.unlink(os.path.join(self.folder.name, "a.json"))
        self.pass_time()
        self.assertEqual(self.reports, [["a:1"], ["a:1", "b:1"], ["b:1"]])

    def test_a_broken_file_keeps_its_own_last_targets_and_others_go_on(self):
        self.put("a.json", '[{"targets": ["a:1"]}]')
        self.put("b.json", '[{"targets": ["b:1"]}]')
        found = self.watch(files=("*.json",))
        self.put("a.json", "[{")
        self.put("b.json", '[{"targets": ["b:2"]}]')
        self.pass_time()
        self.assertEqual(self.reports[-1], ["a:1", "b:2"])
        self.assertIn("a.json: Expecting", found.fact()["last_look"]["error"])

    def test_a_broken_file_keeps_its_targets_over_a_reload(self):
        self.put("a.json", '[{"targets": ["a:1"]}]')
        self.watch(files=("*.json",))
        self.put("a.json", "[{")
        self.put("b.json", '[{"targets": ["b:1"]}]')
        self.site = FakeSite("users", table=self.site.table, world=self.site.world)
        self.watch(files=("*.json",))
        self.pass_time()
        self.assertEqual(self.reports[-1], ["a:1", "b:1"])

    def test_endpoints_say_their_file_and_rules_can_ask_for_it(self):
        self.put("a.json", '[{"targets": ["a:1"]}]')
        rule = RelabelConfig(source_labels=("__meta_filepath",), target_label="file")
        spec = self.watch(files=("a.json",), relabel_configs=(rule,)).endpoints()[0]
        path = os.path.join(self.folder.name, "a.json")
        self.assertEqual((spec.source, spec.labels), (f"file {path}", (("file", path),)))

    def test_options_that_prometheus_would_refuse_are_faults(self):
        for options, words in (
            (dict(), "either path or files"), (dict(path="/x", files=("/y.json",)), "either path or files"),
            (dict(files=("/x/y.txt",)), "ends in one of"), (dict(files=("/*/y.json",)), "last part"),
        ):
            self.assertIn(words, " ".join(text for _, text in FileOptions(**options).check()))
        self.assertEqual(list(FileOptions(files=("/x/*.json", "/y.yml")).check()), [])


class Formats(unittest.TestCase):
    def parse(self, text):
        return [endpoint(labels) for labels in parse(text)]

    def test_mappings_with_every_key(self):
        text = b"- {address: 'a:1', weight: 3, labels: {zone: 1a, on: yes}, locality: r/z, priority: 1}\n"
        self.assertEqual(self.parse(text), [EndpointSpec(
            address="a:1", weight=3, labels=(("on", "yes"), ("zone", "1a")), locality="r/z", priority=1)])

    def test_json_and_the_key_endpoints(self):
        self.assertEqual(self.parse(b'{"endpoints": [{"address": "a:1", "weight": 2}]}')[0].weight, 2)
        self.assertEqual([spec.address for spec in self.parse(b"endpoints:\n- a:1\n- '[::1]:80'\n- unix:/run/x\n")],
                         ["a:1", "[::1]:80", "unix:/run/x"])

    def test_prometheus_file_sd(self):
        found = self.parse(b' [ {"targets": ["a:1", "b:2"], "labels": {"job": "x"}} , {"targets": ["c:3"]} ] ')
        self.assertEqual([(spec.address, spec.labels) for spec in found],
                         [("a:1", (("job", "x"),)), ("b:2", (("job", "x"),)), ("c:3", ())])
        self.assertEqual(self.parse(b"- targets: [a:1]\n  labels:\n    job: x\n")[0].labels, (("job", "x"),))

    def test_labels_of_ours_say_what_an_endpoint_has(self):
        found = self.parse(b'[{"targets": ["a:1"], "labels": {"__meshd_weight__": "3", "__meshd_locality__": "r/z"}}]')
        self.assertEqual((found[0].weight, found[0].locality), (3, "r/z"))

    def test_empty_files_are_empty(self):
        self.assertEqual([parse(text) for text in (b"", b"[]", b" [ ] ", b"endpoints: []\n")], [[]] * 4)

    def test_host_and_port_are_not_a_base_60_number(self):
        self.assertEqual(self.parse(b"- 10:30\n")[0].address, "10:30")

    def test_faults_name_the_place(self):
        for text, words in BAD_FILES:
            with self.assertRaisesRegex((ValueError, yaml.YAMLError), words, msg=text[:50]):
                parse(text)

    def test_names_its_file(self):
        self.assertEqual([(need.kind, need.name, need.path) for need in references(FileOptions(path="/x"))],
                         [("file", "/x", "path")])
        self.assertEqual(list(references(FileOptions(files=("/x.json",)))), [])


class FixedList(unittest.TestCase):
    def test_reports_once(self):
        specs = (EndpointSpec(address="a:1"),)
        reports = []
        FakeSite().make("discovery", "static", Static(endpoints=specs)).watch(reports.append)
        self.assertEqual(reports, [specs])
