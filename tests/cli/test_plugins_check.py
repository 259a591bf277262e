"""meshctl plugins check, schema and list --local: what can be said of plugins without a daemon."""

import json
import sys
import tempfile
from pathlib import Path
from unittest import TestCase

import jsonschema
import yaml

from meshd.cli.ctl import main
from tests.cli.console import run

GOOD = '''
from meshd.api import CONTINUE, Integer, PluginType, config, hookimpl, option

MESHD_API = ">=1,<2"
print("loaded")


@config
class Options:
    """What it does."""

    most: int = option(Integer(minimum=1, maximum=9), default=2, doc="how many")


class Filter:
    def __init__(self, config, site):
        pass

    def on_request(self, exchange):
        return CONTINUE


@hookimpl
def meshd_plugins():
    return [PluginType(kind="http_filter", name="goodish", config=Options, build=Filter)]
'''


def offering(body, types, head='MESHD_API = ">=1,<2"'):
    """Return the text of a plugin."""
    return f"from meshd.api import *\n{head}\n{body}\n@hookimpl\ndef meshd_plugins():\n    return [{types}]\n"


BAD = "class Bad:\n    def __init__(self, config, site):\n        pass\n"


class Case(TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name).resolve()
        self.addCleanup(self.forget)

    def forget(self):
        """Let the next test import its files anew."""
        for path in self.folder.glob("*.py"):
            sys.modules.pop(f"meshd_plugin_{path.stem}", None)

    def check(self, *arguments, **files):
        """Check one-file plugins; return (exit code, rows by name)."""
        for name, text in files.items():
            (self.folder / f"{name}.py").write_text(text)
        code, out, _ = run(main, "plugins", "check", "--dir", str(self.folder), "-o", "json", *arguments, *files)
        return code, {row["name"]: row for row in json.loads(out)["items"]}


class CheckTest(Case):
    def test_the_shipped_plugins_are_well(self):
        code, out, err = run(main, "plugins", "check", "meshd")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"(?m)^ok router   meshd \S+   http_filter/router$")
        self.assertRegex(out, r"\n\d+ plugins, 0 errors, 0 warnings\n\Z")

    def test_says_what_a_good_plugin_offers_and_keeps_its_prints_out_of_the_data(self):
        code, rows = self.check(good=GOOD)
        self.assertEqual((code, list(rows)), (0, ["good"]))
        row = rows["good"]
        self.assertEqual(row["api"], {"stated": ">=1,<2", "fits": True, "have": "1.0"})
        self.assertEqual(row["types"], [{"kind": "http_filter", "name": "goodish"}])
        self.assertEqual([row["errors"], row["warnings"], row["notes"]], [[], [], []])

    def test_another_api_version_is_an_error(self):
        code, rows = self.check(late=offering("", "", 'MESHD_API = ">=2"'))
        self.assertEqual((code, rows["late"]["api"]["fits"]), (1, False))
        self.assertIn("this meshd has plugin API 1.0", rows["late"]["errors"][0])

    def test_no_api_version_and_one_without_an_end_are_warned_of(self):
        code, rows = self.check(quiet=offering("", "", ""), open=offering("", "", 'MESHD_API = ">=1"'))
        self.assertEqual(code, 0)
        self.assertIn('expected such as MESHD_API = ">=1,<2"', rows["quiet"]["warnings"][0])
        self.assertIn("takes plugin API 2 too", rows["open"]["warnings"][0])

    def test_a_missing_interface_is_an_error_that_names_each_method(self):
        code, rows = self.check(bad=offering(BAD, 'PluginType(kind="load_balancer", name="bad", build=Bad)'))
        self.assertEqual(code, 1)
        (text,) = rows["bad"]["errors"]
        self.assertIn("load_balancer/bad: Bad is no load_balancer: pick: missing", text)
        self.assertIn("update: missing", text)

    def test_a_name_that_is_taken_is_an_error_that_says_by_whom(self):
        code, rows = self.check(twin=offering(BAD, 'PluginType(kind="http_filter", name="router", build=Bad)'))
        self.assertEqual(code, 1)
        self.assertIn("http_filter 'router': already offered by plugin 'router' of meshd", rows["twin"]["errors"][0])

    def test_two_plugins_under_one_name_are_warned_of(self):
        _, rows = self.check(cors=offering("", ""))
        self.assertIn("entry point 'cors': another plugin has the same", " ".join(rows["cors"]["warnings"]))

    def test_a_type_that_needs_a_configuration_is_noted(self):
        body = '@config\nclass Options:\n    """O."""\n    word: str = option(Text(), doc="w")\n' + BAD
        types = 'PluginType(kind="load_balancer", name="wordy", config=Options, build=Bad)'
        code, rows = self.check(wordy=offering(body, types))
        self.assertEqual(code, 0)
        self.assertIn("cannot be built without word", rows["wordy"]["notes"][0])

    def test_what_raises_while_it_is_built_with_defaults_is_noted(self):
        body = 'def build(config, site):\n    return site.cluster("users")\n'
        code, rows = self.check(asks=offering(body, 'PluginType(kind="http_filter", name="asks", build=build)'))
        self.assertEqual(code, 0)
        self.assertIn("cannot be built with its defaults: KeyError", rows["asks"]["notes"][0])

    def test_deprecated_use_in_its_own_code_is_warned_of(self):
        body = "import warnings\nwarnings.warn('use the new one', DeprecationWarning)\n"
        code, rows = self.check(aged=offering(body, ""))
        self.assertEqual((code, rows["aged"]["warnings"]), (0, ["deprecated: use the new one (aged.py:4)"]))

    def test_a_name_that_nobody_has_gets_a_hint(self):
        code, _, err = run(main, "plugins", "check", "ruter")
        self.assertEqual((code, err), (1, "meshctl: plugin 'ruter': not installed\nhelp: did you mean router?\n"))


class SchemaTest(TestCase):
    def schema(self, *arguments):
        """Return what is printed."""
        code, out, err = run(main, "plugins", "schema", *arguments)
        self.assertEqual((code, err), (0, ""))
        return out

    def test_is_a_schema_that_takes_what_the_type_takes(self):
        schema = json.loads(self.schema("rate_limit"))
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.validate({"rate": 5, "burst": 9}, schema)
        for bad in ({}, {"rate": "fast"}, {"rate": 5, "brst": 9}):
            with self.assertRaises(jsonschema.ValidationError):
                jsonschema.validate(bad, schema)

    def test_brings_the_definitions_that_it_refers_to(self):
        schema = json.loads(self.schema("http_filter/router"))
        jsonschema.validate({"virtual_hosts": [{"name": "a", "domains": ["*"], "routes": []}]}, schema)
        with self.assertRaises(jsonschema.ValidationError):
            jsonschema.validate({"virtual_hosts": [{"nme": "a"}]}, schema)

    def test_yaml_says_the_same(self):
        self.assertEqual(yaml.safe_load(self.schema("cors", "-o", "yaml")), json.loads(self.schema("cors")))

    def test_a_type_without_a_configuration_takes_nothing(self):
        schema = json.loads(self.schema("config_dialect/native"))
        jsonschema.validate({}, schema)
        with self.assertRaises(jsonschema.ValidationError):
            jsonschema.validate({"a": 1}, schema)

    def test_unknown_names_get_a_hint(self):
        for name, hint in (("ruter", "router"), ("http_filter/ruter", "http_filter/router")):
            code, out, err = run(main, "plugins", "schema", name)
            self.assertEqual((code, out), (1, ""))
            self.assertIn(f"did you mean {hint}?", err)


class ListTest(TestCase):
    def test_local_asks_no_daemon(self):
        code, out, err = run(main, "--admin", "unix:/nonexistent/a", "plugins", "list", "--local")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"(?m)^router +meshd +\S+ +loaded +http_filter/router +-$")

    def test_local_tells_machines_one_document(self):
        found = json.loads(run(main, "plugins", "list", "--local", "-o", "json")[1])
        row = next(row for row in found["items"] if row["name"] == "router")
        self.assertEqual((found["kind"], row["status"], row["types"][0]["kind"]), ("Plugins", "loaded", "http_filter"))


class CompletionTest(TestCase):
    def complete(self, *words):
        """Return what a shell is told for the last of these words."""
        from click.shell_completion import ShellComplete

        from meshd.cli.ctl import root
        *before, last = words
        return [one.value for one in ShellComplete(root, {}, "meshctl", "_X").get_completions(list(before), last)]

    def test_names_of_plugins_and_types_and_verbs(self):
        self.assertEqual(self.complete("plugins", "check", "rou"), ["round_robin", "router"])
        self.assertEqual(self.complete("plugins", "schema", "load_balancer/r"),
                         ["load_balancer/random", "load_balancer/ring_hash", "load_balancer/round_robin"])
        self.assertEqual(self.complete("plugins", "uninstall", "zzz"), [])
        self.assertEqual(self.complete("plugins", "un"), ["uninstall"])
