"""The shipped examples and plugins: they load, fit the schema, print and load again; 10,000 routes take little time."""

import os
import tempfile
import time
from pathlib import Path
from unittest import TestCase

import jsonschema

from meshd.config.load import load
from meshd.config.printing import print_config
from meshd.config.schema import make_schema
from meshd.model.plugin import PluginSettings
from meshd.registry import Registry
from tests.pki import with_secrets
from tests.config.sample import plain

ETC = Path(__file__).parents[2] / "etc"
HEAD = """\
clusters: [{name: demo, endpoints: [{address: "127.0.0.1:80"}]}]
listeners:
  - name: public
    address: 127.0.0.1:8080
    filters:
      - router:
          virtual_hosts:
            - name: a
              domains: ["*"]
              routes:
"""


def route(place: int) -> str:
    kinds = (f'regex: "/r{place}/[a-z]+/[0-9]+"', f"path: /exact/{place}", f"prefix: /pre/{place}/")
    match = kinds[0] if place % 20 == 0 else kinds[1 + place % 2]
    headers = f"[{{name: x-a, exact: v{place}}}]"
    return f"                - match: {{{match}, headers: {headers}}}\n                  cluster: demo\n"


class TestShipped(TestCase):
    def setUp(self):  # trial runs no setUpClass
        self.registry = Registry.load(PluginSettings(), {})
        self.validator = jsonschema.Draft202012Validator(make_schema(self.registry))
        self.files = sorted(ETC.rglob("*.yaml"))
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        secret = [file for file in self.files if "\nsecrets:" in file.read_text()]
        self.files = [file for file in self.files if file not in secret]
        self.files += [with_secrets(folder.name, file.read_text()) for file in secret]

    def test_examples_load_and_fit_the_schema(self):
        self.assertTrue(self.files)
        for file in self.files:
            with self.subTest(file.name):
                load([str(file)], self.registry)
                if "\napiVersion:" in file.read_text():
                    continue  # documents of Istio's have a schema of their own
                value = plain(file.read_text())
                self.assertEqual([one.message for one in self.validator.iter_errors(value)], [])

    def test_what_is_printed_of_an_example_loads_again(self):
        for file in self.files:
            with self.subTest(file.name), tempfile.TemporaryDirectory() as folder:
                text = print_config(load([str(file)], self.registry, with_origins=True))
                path = os.path.join(folder, "printed.yaml")
                Path(path).write_text(text)
                again = print_config(load([path], self.registry, with_origins=True))
                self.assertEqual(without_comments(again), without_comments(text))

    def test_ten_thousand_routes_are_checked_in_little_time(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as stream:
            stream.write(HEAD + "".join(map(route, range(10_000))))
            stream.flush()
            began = time.process_time()
            loaded = load([stream.name], self.registry)
            self.assertLess(time.process_time() - began, 5.0)
        self.assertEqual(len(loaded.snapshot.listeners[0].filters[0].config.virtual_hosts[0].routes), 10_000)


def without_comments(text: str) -> list[str]:
    return [line.partition("  # ")[0].rstrip() for line in text.splitlines()]
