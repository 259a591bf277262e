"""``--print-config`` and ``--schema``: what is printed loads again, and the schema agrees with the decoder."""

import json

import jsonschema

from meshd.config.printing import print_config
from meshd.config.schema import make_schema, render_schema
from tests.config.sample import GOOD, ConfigTestCase, plain

RICH = """\
node: {id: "on", labels: {on: "1.10", "5": "a: b", x: "é\\n\\"q"}}
drain: {deadline: 1m30s, grace: 1500ms}
plugins: {load: [native]}
clusters:
  - name: users
    endpoints: [{address: "10.0.0.1:80", weight: 3, labels: {version: v1}}, {address: "[::1]:80"}]
    pool: {max_head: 2KiB, idle_timeout: 0}
  - {name: none, endpoints: [{address: "h:1"}]}
listeners:
  - name: public
    address: 127.0.0.1:8080
    filters:
      - plain
      - tag: {secret: abcd, data: {a: [1, 2.5, true, null, "on", {}], "b c": []}, count: 3}
        name: second
        on_error: fail-open
      - {tag: {}, name: third, disabled: true}
      - gate:
          rules:
            - {match: {regex: "/a.*", headers: {X-A: "b c"}}, cluster: users, retry: again, share: 0.5}
            - {match: {prefix: /}, cluster: none, timeout: 250ms}
"""

BAD = (
    "listners: []", "node: {id: 5}", "node: {role: sidecars}", "drain: {deadline: 10}", "drain: {deadline: 5 s}",
    "admin: []", "admin: {address: here}", "listeners: [{name: a}]", "plugins: {max_errors: 2.9}",
    "plugins: {max_errors: -1}",
    GOOD.replace("gate:", "gat:"), GOOD.replace("prefix: /", "prefx: /"),
    GOOD.replace("cluster: users", "cluster: 5"),
    GOOD.replace("      - gate:", "      - plain: {a: 1}\n      - gate:"),
    GOOD.replace("      - gate:", "      - nobody\n      - gate:"),
    GOOD.replace("      - gate:", "      - {tag: {}, on_error: open}\n      - gate:"),
    GOOD.replace("      - gate:", "      - {tag: {}, plain: {}}\n      - gate:"),
)


class TestPrinting(ConfigTestCase):
    def test_what_is_printed_loads_again_to_the_same(self):
        first = self.good(RICH, with_origins=True)
        text = print_config(first).replace('"********"', "abcd")
        self.assertEqual(self.good(text).snapshot, first.snapshot)

    def test_every_value_has_its_origin(self):
        loaded = self.good(RICH, with_origins=True)
        lines = print_config(loaded).splitlines()
        self.assertEqual([line for line in lines if "  # " not in line], [])
        file = loaded.files[0]
        self.assertIn(f"  deadline: 90s  # {file}:2:19", squeezed(lines))
        self.assertIn("  role: ingress  # default of native", squeezed(lines))

    def test_secrets_are_masked(self):
        text = print_config(self.good(RICH, with_origins=True))
        self.assertNotIn("abcd", text)
        self.assertIn('secret: "********"', text)


def squeezed(lines: list[str]) -> list[str]:
    """Return lines with two spaces before their comment."""
    return [line.partition("  # ")[0].rstrip() + "  # " + line.partition("  # ")[2] for line in lines]


class TestSchema(ConfigTestCase):
    def setUp(self):
        super().setUp()
        self.validator = jsonschema.Draft202012Validator(make_schema(self.registry))

    def test_is_a_schema_in_json(self):
        jsonschema.Draft202012Validator.check_schema(json.loads(render_schema(self.registry)))

    def test_accepts_what_the_decoder_accepts(self):
        for text in (GOOD, RICH):
            self.good(text)
            self.assertEqual([error.message for error in self.validator.iter_errors(plain(text))], [])

    def test_accepts_what_is_printed(self):
        value = plain(print_config(self.good(RICH, with_origins=True)))
        self.assertEqual([error.message for error in self.validator.iter_errors(value)], [])

    def test_refuses_what_the_decoder_refuses(self):
        for text in BAD:
            with self.subTest(text[-40:]):
                self.faults(text)
                self.assertFalse(self.validator.is_valid(plain(text)))

    def test_tells_editors_what_a_key_means(self):
        schema = make_schema(self.registry)
        found = schema["$defs"]["Cluster"]["properties"]["connect_timeout"]
        self.assertEqual((found["description"], found["default"]), ("until a connect is given up", "5s"))
