"""Files to snapshots: bad ones name every fault with code, place and path; good ones mean what they say."""

import os
import time

from meshd.config.load import load, load_documents, plugin_settings
from meshd.config.source import read
from meshd.errors import ConfigurationError
from tests.config.sample import GOOD, ConfigTestCase

TOP = {
    "an unknown section": ("listner: []", "MSH0104 1:1 ", 'did you mean "listeners"?'),
    "a section of nothing": ("admin:", "MSH0101 1:7 admin", ""),
    "a list in place of a section": ("admin: []", "MSH0101 1:8 admin", ""),
    "a section in place of a list": ("clusters: {a: 1}", "MSH0101 1:11 clusters", ""),
    "a word in place of a section": ("node: abc", "MSH0101 1:7 node", ""),
    "on in place of text": ("node: {id: on}", "MSH0116 1:12 node.id", 'quote it: "on"'),
    "a number in place of text": ("node: {id: 5}", "MSH0101 1:12 node.id", 'quote it: "5"'),
    "a date in place of text": ("node: {id: 2024-01-01}", "MSH0116 1:12 node.id", 'quote it: "2024-01-01"'),
    "sixties in place of text": ("node: {id: 1:30}", "MSH0116 1:12 node.id", 'quote it: "1:30"'),
    "nothing in place of text": ("node: {id: ~}", "MSH0101 1:12 node.id", "write the value, or remove the key"),
    "empty text": ('node: {id: ""}', "MSH0112 1:12 node.id", ""),
    "too long text": (f"node: {{id: {'x' * 300}}}", "MSH0112 1:12 node.id", ""),
    "a label that is a number": (
        "node: {labels: {version: 1.10}}", "MSH0101 1:26 node.labels.version", 'quote it: "1.10"',
    ),
    "a word that is no choice": ("node: {role: sidecars}", "MSH0105 1:14 node.role", 'did you mean "sidecar"?'),
    "a time without a unit": ("drain: {deadline: 10}", "MSH0106 1:19 drain.deadline", "write 10s or 10ms"),
    "a time that is sixties": ("drain: {deadline: 1:30}", "MSH0106 1:19 drain.deadline", ""),
    "a time of a day too much": ("drain: {deadline: 366d}", "MSH0102 1:19 drain.deadline", ""),
    "yes in place of true": ("plugins: {strict: yes}", "MSH0116 1:19 plugins.strict", "write true"),
    "off in place of false": ("plugins: {strict: Off}", "MSH0116 1:19 plugins.strict", "write false"),
    "true in quotes": ("plugins: {strict: 'true'}", "MSH0101 1:19 plugins.strict", "remove the quotes: true"),
    "a fraction in place of a whole number": ("plugins: {max_errors: 2.9}", "MSH0101 1:23 plugins.max_errors", ""),
    "an octal number": ("plugins: {max_errors: 010}", "MSH0116 1:23 plugins.max_errors", "write it in plain decimal"),
    "a quoted number": ('plugins: {max_errors: "5"}', "MSH0101 1:23 plugins.max_errors", "remove the quotes: 5"),
    "a negative number": ("plugins: {max_errors: -1}", "MSH0102 1:23 plugins.max_errors", ""),
    "an endless number": (f"plugins: {{max_errors: {'9' * 5000}}}", "MSH0101 1:23 plugins.max_errors", ""),
    "a number too large": ("plugins: {sample_every: 1000001}", "MSH0102 1:25 plugins.sample_every", ""),
    "an admin API for everybody": ("admin: {address: 0.0.0.0:15000}", "MSH0113 1:18 admin.address", ""),
    "an address without a port": (
        "admin: {address: 127.0.0.1}", "MSH0107 1:18 admin.address", "add a port: 127.0.0.1:80",
    ),
    "a port of 0": ("admin: {address: 127.0.0.1:0}", "MSH0107 1:18 admin.address", ""),
    "an unknown telemetry": ("telemetry: [prometheus]", "MSH0114 1:13 telemetry[0]", ""),
    "documents that do not exist": ("documents: [nowhere]", "MSH0110 1:13 documents[0]", "no such file"),
    "a section that is a key of a key": ("deadline: 5s", "MSH0104 1:1 ", ""),
    "a list at the top": ("- a", "MSH0101 1:1 ", ""),
    "a word at the top": ("abc", "MSH0101 1:1 ", ""),
    "a Kubernetes document": ("apiVersion: v1\nkind: Service", "MSH0013 1:1 ", ""),
}

LISTENER = """\
clusters: [{name: users, endpoints: [{address: "10.0.0.1:80"}]}]
listeners:
  - name: public
    address: 127.0.0.1:8080
    filters:
"""

RULE = LISTENER + "      - gate:\n          rules:\n            - match: {prefix: /}\n"

CHAINS = {
    "an unknown filter": ("      - gat: {}\n", "MSH0114 6:9 listeners[0].filters[0]", 'did you mean "gate"?'),
    "an unknown filter as a word": ("      - gat\n", "MSH0114 6:9 listeners[0].filters[0]", 'did you mean "gate"?'),
    "a filter of no type": ("      - name: x\n", "MSH0115 6:9 listeners[0].filters[0]", ""),
    "a filter that is a list": ("      - [gate]\n", "MSH0101 6:9 listeners[0].filters[0]", ""),
    "a filter of two types": ("      - {plain: {}, tag: {}}\n", "MSH0115 6:21 listeners[0].filters[0]", ""),
    "a configuration that is not taken": ("      - plain: {a: 1}\n", "MSH0115 6:16 listeners[0].filters[0].plain", ""),
    "a required key that is missing": ("      - gate\n", "MSH0103 6:9 listeners[0].filters[0].gate", ""),
    "an empty list": ("      - gate: {rules: []}\n", "MSH0112 6:23 listeners[0].filters[0].gate.rules", ""),
    "a bad on_error": ("      - {tag: {}, on_error: open}\n", "MSH0105 6:29 listeners[0].filters[0].on_error", ""),
    "a bad name": ("      - {tag: {}, name: 5}\n", "MSH0101 6:25 listeners[0].filters[0].name", ""),
    "a chain without an end": ("      - tag: {}\n", "MSH0202 6:9 listeners[0].filters", ""),
    "no filters": ("      []\n", "MSH0113 6:7 listeners[0].filters", ""),
}

RULES = {
    "an unknown cluster": ("cluster: user", "MSH0201 9:24 {}.cluster", 'did you mean "users"?'),
    "a misspelt key": ("cluster: users\n              timeuot: 5s", "MSH0104 10:15 {}", 'did you mean "timeout"?'),
    "a key with its unit": (
        "cluster: users\n              timeout_s: 5s", "MSH0104 10:15 {}", 'did you mean "timeout"?',
    ),
    "a camelCase key": ("cluster: users\n              perTry: 5s", "MSH0104 10:15 {}", ""),
    "a time too long": ("cluster: users\n              timeout: 2m", "MSH0102 10:24 {}.timeout", ""),
    "a share too large": ("cluster: users\n              share: 1.5", "MSH0102 10:22 {}.share", ""),
    "a share that is no number": ("cluster: users\n              share: .nan", "MSH0116 10:22 {}.share", ""),
    "an infinite share": ("cluster: users\n              share: 1e999", "MSH0102 10:22 {}.share", ""),
    "a retry of nobody": (
        "cluster: users\n              retry: agian", "MSH0114 10:22 {}.retry", 'did you mean "again"?',
    ),
    "a missing cluster": ("timeout: 5s", "MSH0103 8:15 {}", ""),
}

MATCHES = {
    "an unparsable regex": ('{regex: "("}', "MSH0108 1:9"),
    "a monstrous regex": ('{regex: "((a{100}){100}){100}"}', "MSH0108 1:9"),
    "a large regex": ('{regex: "(.{30}){30}"}', "MSH0108 1:9"),
    "a bad header name": ('{prefix: /, headers: {"x a": b}}', "MSH0109 1:23"),
    "a bad header value": ('{prefix: /, headers: {x-a: "b\\r\\nc: d"}}', "MSH0109 1:28"),
    "a rule of the section": ("{headers: {a: b}}", "MSH0113 1:1"),
}


class TestBad(ConfigTestCase):
    def check(self, text, expected, hint, line=""):
        faults = self.faults(text)
        seen = [f"{one.code} {one.mark.line}:{one.mark.column} {one.path}" for one in faults]
        self.assertEqual(seen, [expected], faults)
        if hint:
            self.assertEqual(faults[0].hint, hint)

    def test_names_code_place_and_path_of_each_fault_at_the_top(self):
        for what, (text, expected, hint) in TOP.items():
            with self.subTest(what):
                self.check(text + "\n", expected, hint)

    def test_names_code_place_and_path_of_each_fault_in_a_chain(self):
        for what, (text, expected, hint) in CHAINS.items():
            with self.subTest(what):
                self.check(LISTENER + text, expected, hint)

    def test_names_code_place_and_path_of_each_fault_in_a_plugin(self):
        for what, (text, expected, hint) in RULES.items():
            with self.subTest(what):
                path = "listeners[0].filters[0].gate.rules[0]"
                self.check(RULE + f"              {text}\n", expected.format(path), hint)

    def test_names_code_and_place_of_each_fault_in_a_matcher(self):
        for what, (text, expected) in MATCHES.items():
            with self.subTest(what):
                gate = f"      - gate: {{rules: [{{cluster: users, match:\n{text}\n        }}]}}\n"
                found = self.faults(LISTENER + gate)
                seen = [f"{one.code} {one.mark.line - 6}:{one.mark.column}" for one in found]
                self.assertEqual(seen, [expected], found)

    def test_shows_all_faults_of_a_run(self):
        found = self.seen("""\
            node: {id: on, role: bad, colour: red}
            drain: {grace: 5, deadline: x}
            clusters:
              - {name: a b, endpoints: []}
              - {name: users, endpoints: [{address: "x:y"}], connect_timeout: 0s}
            listeners:
              - {name: l, adress: "127.0.0.1:1", filters: [tag, gat]}
        """)
        self.assertEqual([one.partition(" ")[0][3:] for one in found], [
            "0116", "0105", "0104", "0106", "0106", "0106", "0107", "0102", "0104", "0114",
        ])

    def test_a_misspelt_required_key_is_one_fault(self):
        self.assertEqual(self.seen(GOOD.replace("    address: 127", "    adress: 127")), ["MSH0104 3:5 listeners[0]"])

    def test_says_where_a_key_belongs_that_stands_one_level_too_deep(self):
        text = LISTENER.replace("filters:", "limits: {backlog: 5}\n    filters:") + "      - gate: {rules: []}\n"
        faults = self.faults(text)
        fault = next(one for one in faults if one.code == "MSH0104")
        self.assertEqual(fault.notes, ('"backlog" belongs one level up, beside "limits" (listeners[0].backlog)',))

    def test_says_where_a_key_belongs_that_stands_one_level_too_high(self):
        faults = self.faults(GOOD.replace("    filters:", "    max_head: 2KiB\n    filters:"))
        note = '"max_head" belongs one level down, in "limits" (listeners[0].limits.max_head)'
        self.assertEqual(faults[0].notes, (note,))

    def test_two_of_one_name_are_a_fault_that_names_both_places(self):
        text = GOOD + '  - name: users\n    endpoints: [{address: "10.0.0.2:80"}]\n'
        faults = self.faults(text)
        self.assertEqual([(one.code, one.path, one.mark.line) for one in faults], [("MSH0111", "clusters[1]", 12)])
        self.assertEqual(faults[0].related[0].mark.line, 10)

    def test_two_filters_of_one_name_are_a_fault(self):
        gate = "      - gate: {rules: [{match: {prefix: /}, cluster: users}]}\n"
        found = self.seen(LISTENER + "      - tag: {}\n      - tag: {}\n" + gate)
        self.assertEqual(found, ["MSH0111 7:9 listeners[0].filters[1]"])

    def test_a_terminal_filter_before_the_end_is_a_fault(self):
        gate = "{gate: {rules: [{match: {prefix: /}, cluster: users}]}"
        found = self.seen(LISTENER + f"      - {gate}, name: first}}\n      - tag\n      - {gate}}}\n")
        self.assertEqual(found, ["MSH0202 6:9 listeners[0].filters[0]"])

    def test_a_disabled_end_is_no_end(self):
        gate = "{gate: {rules: [{match: {prefix: /}, cluster: users}]}, disabled: true}"
        self.assertEqual(self.seen(LISTENER + f"      - {gate}\n"), ["MSH0202 6:9 listeners[0].filters"])

    def test_what_a_plugin_says_that_it_uses_must_exist(self):
        for tag, expected in (
            ("{shadow: user}", "MSH0201 5:23 listeners[0].filters[0].tag.shadow"),
            ("{after: gat}", "MSH0201 5:22 listeners[0].filters[0].tag.after"),
            ("{key_file: nowhere}", "MSH0110 5:25 listeners[0].filters[0].tag.key_file"),
        ):
            self.assertEqual(self.seen(GOOD.replace("      - gate:", f"      - tag: {tag}\n      - gate:")), [expected])
        tag = "{after: gate, shadow: users, key_file: 0.yaml}"
        self.good(GOOD.replace("      - gate:", f"      - tag: {tag}\n      - gate:"))

    def test_a_secret_is_not_shown(self):
        for value in ("12345", "abc", "'xy'", "[hidden]"):
            fault = self.faults(GOOD.replace("      - gate:", f"      - tag: {{secret: {value}}}\n      - gate:"))[0]
            self.assertEqual((fault.code, fault.mark.line, fault.mark.text), ("MSH0106", 5, ""))
            self.assertNotIn(value.strip("'[]"), str(fault) + fault.hint)

    def test_a_fault_cannot_write_to_the_terminal(self):
        faults = self.faults('"a\\u001b[31m\\n\\u202e": 1\n')
        self.assertTrue(all(str(one).isprintable() for one in faults), faults)

    def test_a_plugins_own_crash_is_a_fault(self):
        from meshd.api import PluginType
        from tests.config.sample import Tag, make_registry

        def broken(config):
            raise RuntimeError("oops")

        types = [one for entry in make_registry().plugins for one in entry.types if one.name != "tag"]
        self.registry = type(self.registry).of(
            *types, PluginType(kind="http_filter", name="tag", build=lambda *_: None, config=Tag, references=broken)
        )
        text = GOOD.replace("      - gate:", "      - tag: {}\n      - gate:")
        self.assertEqual(self.seen(text), ["MSH0117 5:14 listeners[0].filters[0].tag"])


    def test_three_thousand_faults_are_found_in_little_time_and_the_first_thousand_shown(self):
        clusters = "".join(f"  - {{name: cluster-{i:05}, endpoints: [{{address: 'h:1'}}]}}\n" for i in range(1000))
        rules = "".join(
            f"            - {{match: {{prefix: /{i}}}, cluster: clustr-{i:05}, timeuot: 5s}}\n" for i in range(1500)
        )
        began = time.process_time()
        listener = LISTENER.partition("\n")[2] + "      - gate:\n          rules:\n"
        faults = self.faults(f"clusters:\n{clusters}{listener}{rules}")
        self.assertLess(time.process_time() - began, 12.0)
        self.assertEqual((len(faults), faults[-1].code), (1001, "MSH0299"))


class TestAddresses(ConfigTestCase):
    def listen(self, *addresses, admin="127.0.0.1:15000"):
        gate = "filters: [{gate: {rules: [{match: {prefix: /}, cluster: users}]}}]"
        lines = [f'  - {{name: l{place}, address: "{one}", {gate}}}\n' for place, one in enumerate(addresses)]
        clusters = 'clusters: [{name: users, endpoints: [{address: "h:1"}]}]\n'
        return f'admin: {{address: "{admin}"}}\n{clusters}listeners:\n{"".join(lines)}'

    def test_clashes_are_faults(self):
        for addresses in (
            ("127.0.0.1:1", "127.0.0.1:1"), ("0.0.0.0:1", "127.0.0.1:1"), ("127.0.0.1:1", "0.0.0.0:1"),
            ("[::]:1", "[::1]:1"), ("[::1]:1", "[0:0:0:0:0:0:0:1]:1"), ("unix:/a", "unix:/a"),
        ):
            with self.subTest(addresses):
                found = self.faults(self.listen(*addresses))
                self.assertEqual([(one.code, one.path) for one in found], [("MSH0210", "listeners[1].address")])
                self.assertIn('is already taken by listener "l0"', found[0].message)
                self.assertEqual(found[0].related[0].mark.line, 4)

    def test_a_clash_with_the_admin_api_is_a_fault_also_by_default(self):
        self.assertIn("the admin API", self.faults(self.listen("0.0.0.0:9", admin="127.0.0.1:9"))[0].message)
        text = self.listen("127.0.0.1:15000").partition("\n")[2]
        self.assertIn("the admin API (its default address)", self.faults(text)[0].message)

    def test_neighbours_are_no_clash(self):
        good = self.good(self.listen("127.0.0.1:1", "127.0.0.2:1", "0.0.0.0:2", "[::]:2", "unix:/a", "unix:/b"))
        self.assertEqual(len(good.snapshot.listeners), 6)


class TestFiles(ConfigTestCase):
    def test_lists_of_several_files_follow_one_another(self):
        second = "clusters: [{name: b, endpoints: [{address: 'b:1'}]}]\nnode: {id: x}\n"
        loaded = self.good(GOOD, second)
        self.assertEqual([one.name for one in loaded.snapshot.clusters], ["users", "b"])
        self.assertEqual((loaded.snapshot.node.id, len(loaded.files)), ("x", 2))

    def test_a_section_in_two_files_is_a_fault_that_names_both(self):
        faults = self.faults(GOOD + "node: {id: x}\n", "node: {id: y}\n")
        self.assertEqual([(one.code, os.path.basename(one.mark.file)) for one in faults], [("MSH0014", "1.yaml")])
        self.assertEqual(faults[0].related[0].mark.line, 12)

    def test_a_folder_means_its_files_in_order_without_hidden_ones(self):
        for name in ("b.yaml", "a.yml", "c.json", ".hidden.yaml", "notes.txt", "sub.yaml/x"):
            text = f'{{"clusters": [{{"name": "{name[0]}", "endpoints": [{{"address": "h:1"}}]}}]}}'
            self.file(text if name[0] in "abc" else "bad: [", f"conf.d/{name}")
        loaded = load([os.path.join(self.folder, "conf.d")], self.registry)
        self.assertEqual([one.name for one in loaded.snapshot.clusters], ["a", "b", "c"])

    def test_a_file_that_is_named_twice_is_read_once(self):
        path = self.file(GOOD)
        self.assertEqual(len(load([path, self.folder, path], self.registry).files), 1)

    def test_a_missing_or_empty_file_never_means_defaults(self):
        os.mkdir(os.path.join(self.folder, "empty"))
        os.mkfifo(os.path.join(self.folder, "pipe"))
        for paths, code in (
            ([], "MSH0004"), (["nowhere.yaml"], "MSH0004"), (["empty"], "MSH0005"), (["pipe"], "MSH0004"),
        ):
            with self.subTest(paths):
                found = self.faults_of([os.path.join(self.folder, path) for path in paths])
                self.assertEqual([one.code for one in found], [code])
        self.assertEqual(self.faults("# nothing\n")[0].code, "MSH0005")

    def test_a_file_that_cannot_be_parsed_hides_no_fault_of_another(self):
        bad = GOOD.replace("cluster: users", "cluster: elsewhere").replace("prefix: /", "prefix: 5")
        self.assertEqual([one.code for one in self.faults(bad, "a: [\n")], ["MSH0101", "MSH0002"])

    def test_faults_of_two_files_are_shown_together(self):
        paths = [self.file("node: {id: 5}\n"), os.path.join(self.folder, "mesh.yml")]
        codes = [one.code for one in self.faults_of(paths)]
        self.assertEqual(codes, ["MSH0101", "MSH0004"])
        hints = [one.hint for one in self.faults_of([os.path.join(self.folder, "mesh.yml")])]
        self.assertEqual(hints, ['did you mean "mesh.yaml"?'])

    def test_a_path_is_read_from_the_folder_of_its_file(self):
        named = self.file("{apiVersion: v1, kind: Service}\n---\n{apiVersion: v1, kind: Service}", "etc/istio/a.yaml")
        found = read([self.file("documents: [istio]\n", "etc/mesh.yaml")])
        self.assertEqual((len(found.roots), found.files[1], found.faults.errors()), (3, named, 0))

    def test_what_documents_names_has_api_versions(self):
        self.file("clusters: []", "etc/istio/a.yaml")
        found = read([self.file("documents: [istio]\n", "etc/mesh.yaml")])
        self.assertEqual([one.code for one in found.faults.sorted()], ["MSH0013"])

    def test_only_documents_with_api_versions_share_a_file(self):
        found = read([self.file("{apiVersion: v1, kind: Service}\n---\nclusters: []\n", "mesh.yaml")])
        self.assertEqual([(one.code, one.mark.line) for one in found.faults.sorted()], [("MSH0008", 3)])

    def test_plugin_settings_are_known_before_the_plugins(self):
        documents = read([self.file(GOOD + "plugins: {load: [native], dir: extra, strict: true}\n")])
        found = plugin_settings(documents)
        self.assertEqual((found.load, found.dir, found.strict), (("native",), os.path.join(self.folder, "extra"), True))
        self.assertEqual(load_documents(documents, self.registry).snapshot.plugins, found)

    def test_a_fault_in_the_plugin_settings_is_told_once(self):
        documents = read([self.file(GOOD + "plugins: {strict: 5}\n")])
        plugin_settings(documents)
        with self.assertRaises(ConfigurationError) as caught:
            load_documents(documents, self.registry)
        self.assertEqual([one.code for one in caught.exception.faults], ["MSH0101"])


class TestGood(ConfigTestCase):
    def test_values_mean_what_they_say(self):
        snapshot = self.good("""\
            node: {id: "on", labels: {on: "1.10", 5: v1}}
            drain: {grace: 0, deadline: 1m30s}
            clusters:
              - name: users
                endpoints: [{address: "10.0.0.1:80", weight: 3}, {address: "[::1]:80"}]
                pool: {max_head: 2KiB}
            listeners:
              - name: public
                address: 127.0.0.1:8080
                http: {server_name: ~, upgrades: []}
                filters:
                  - plain
                  - tag: {secret: abcd, data: {a: [1, 2.5, true, null, x]}}
                    name: second
                    on_error: fail-open
                  - {tag: , name: third, disabled: true}
                  - gate: {rules: [{match: {regex: "/a.*", headers: {X-A: b}}, cluster: users, retry: again}]}
        """).snapshot
        self.assertEqual(snapshot.node.labels, (("on", "1.10"), ("5", "v1")))
        self.assertEqual((snapshot.drain.grace_s, snapshot.drain.deadline_s), (0.0, 90.0))
        self.assertEqual(snapshot.clusters[0].pool.max_head_bytes, 2048)
        plain, second, third, gate = snapshot.listeners[0].filters
        self.assertEqual((plain.type, plain.name, plain.config), ("plain", "plain", None))
        self.assertEqual((plain.on_error, second.on_error, second.name), ("fail-closed", "fail-open", "second"))
        self.assertEqual(second.config.data, {"a": [1, 2.5, True, None, "x"]})
        self.assertEqual((third.disabled, third.config.count), (True, 1))
        self.assertTrue(second.where.endswith("0.yaml:13:9"), second.where)
        self.assertEqual(gate.config.rules[0].match.headers, (("x-a", "b"),))
        self.assertEqual(gate.config.rules[0].retry.type, "again")

    def test_origins_are_known_when_asked_for(self):
        loaded = self.good(GOOD, with_origins=True)
        file = loaded.files[0]
        self.assertEqual(loaded.origins["listeners[0].address"], f"{file}:3:14")
        self.assertEqual(loaded.origins["listeners[0].filters[0].gate.rules[0].cluster"], f"{file}:8:24")
        self.assertEqual(loaded.origins["listeners[0].limits.max_head"], "default of native")
        self.assertEqual(self.good(GOOD).origins, {})

    def test_the_digest_names_the_content_not_the_layout(self):
        digest = self.good(GOOD).digest
        self.assertEqual(self.good("# a comment\n" + GOOD.replace("/}", "/ }")).digest, digest)
        self.assertNotEqual(self.good(GOOD.replace("8080", "8081")).digest, digest)

    def test_moving_lines_does_not_change_a_listener(self):
        self.assertEqual(self.good(GOOD).snapshot, self.good("\n\n# moved\n" + GOOD).snapshot)
