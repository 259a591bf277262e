"""What the registry promises: who is let in, who is kept out and what is said about it."""

import contextlib
import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest import TestCase

import attrs

from meshd.api import ConfigurationError, Integer, PluginType, config, hookimpl, option
from meshd.model.plugin import PluginSettings
from meshd.registry import LOADED, REFUSED, SKIPPED, Registry


@config
class Limit:
    """A configuration class."""

    most: int = option(Integer(), default=1, doc="how many")


def kind_of(name, kind="http_filter", **more):
    return PluginType(kind=kind, name=name, build=lambda config, site: object(), **more)


def module(*types, name="acme", **members):
    made = ModuleType(name)

    @hookimpl
    def meshd_plugins():
        return types

    made.meshd_plugins = meshd_plugins
    vars(made).update(members)
    return made


class Distribution(SimpleNamespace):
    def read_text(self, name):
        return self.record


class Point(SimpleNamespace):
    """An entry point; ``target`` is what it loads, or the exception that importing raises."""

    def load(self):
        if isinstance(self.target, BaseException):
            raise self.target
        return self.target


def point(name, target, distribution="acme-hello", version="1.2", record="files"):
    dist = Distribution(name=distribution, version=version, record=record)
    return Point(name=name, value=f"acme.{name}", dist=dist, target=target)


def load(*points, environ=None, **settings):
    return Registry.load(PluginSettings(**settings), environ or {}, points=points)


def reason(target):
    (entry,) = load(point("hello", target)).plugins
    assert entry.status == REFUSED and entry.types == (), entry
    return entry.reason


class LoadTest(TestCase):
    def test_offers_the_types_of_a_plugin(self):
        one = kind_of("hello", config=Limit)
        registry = load(point("hello", module(one, kind_of("bye"))))
        self.assertIs(registry.type("http_filter", "hello"), one)
        self.assertIsNone(registry.type("load_balancer", "hello"))
        self.assertEqual(registry.names("http_filter"), ("bye", "hello"))
        self.assertEqual(registry.entry("http_filter", "bye").label, "plugin 'hello' of acme-hello 1.2")
        self.assertEqual([entry.status for entry in registry.plugins], [LOADED])

    def test_unknown_kind_of_name_list_is_an_error(self):
        with self.assertRaises(KeyError):
            load().names("http_filters")

    def test_a_plugin_may_offer_nothing(self):
        self.assertEqual(load(point("hello", module())).plugins[0].status, LOADED)

    def test_only_what_is_in_the_load_list_is_loaded(self):
        points = [point("one", module(kind_of("one"))), point("two", SystemExit(3))]
        registry = load(*points, load=("one",))
        self.assertEqual([(e.name, e.status) for e in registry.plugins], [("one", LOADED), ("two", SKIPPED)])

    def test_the_environment_goes_before_the_load_list(self):
        points = [point("one", module(kind_of("one"))), point("two", module(kind_of("two")))]
        registry = load(*points, load=("one",), environ={"MESHD_LOAD_PLUGINS": " two, "})
        self.assertEqual(registry.names("http_filter"), ("two",))

    def test_an_empty_environment_variable_leaves_the_shipped_dialect_alone(self):
        points = [
            point("native", module(kind_of("native", "config_dialect")), "meshd"),
            point("native", module(kind_of("other", "config_dialect")), "stranger"),
            point("one", module(kind_of("one"))),
        ]
        registry = load(*points, environ={"MESHD_LOAD_PLUGINS": ""})
        self.assertEqual(registry.names("config_dialect"), ("native",))
        self.assertEqual(registry.names("http_filter"), ())

    def test_names_a_wanted_plugin_that_nobody_ships(self):
        registry = load(load=("ghost",))
        self.assertIn("'ghost'", registry.warnings[0])
        self.assertIn("no installed distribution", registry.warnings[0])

    def test_strict_makes_a_refused_plugin_an_error_that_names_its_distribution(self):
        with self.assertRaisesRegex(ConfigurationError, "'hello' of acme-hello 1.2: not loaded: RuntimeError: no"):
            load(point("hello", RuntimeError("no")), strict=True)

    def test_strict_accepts_a_skipped_plugin(self):
        self.assertEqual(len(load(point("hello", RuntimeError("no")), strict=True, load=()).plugins), 1)

    def test_trace_prints_what_is_loaded_and_what_is_not(self):
        points = [point("one", module(kind_of("one"))), point("two", RuntimeError("no"))]
        with contextlib.redirect_stderr(io.StringIO()) as printed:
            load(*points, environ={"MESHD_TRACE_PLUGINS": "1"})
        self.assertIn("acme.one: loaded: http_filter one", printed.getvalue())
        self.assertIn("acme.two: refused: RuntimeError: no", printed.getvalue())


class RefusalTest(TestCase):
    def test_import_error_in_one_line(self):
        self.assertEqual(reason(ImportError("no\nmodule")), "ImportError: no module")

    def test_a_plugin_that_exits_while_it_is_imported(self):
        self.assertEqual(reason(SystemExit(3)), "SystemExit: 3")

    def test_a_hook_that_raises(self):
        made = module()
        made.meshd_plugins = hookimpl(lambda: 1 / 0)
        self.assertIn("ZeroDivisionError", reason(made))

    def test_a_misspelt_hook(self):
        made = module(kind_of("hello"))
        made.meshd_plugin = hookimpl(lambda: [])
        self.assertEqual(reason(made), "hook 'meshd_plugin': unknown: expected 'meshd_plugins'")

    def test_a_misspelt_hook_does_not_spoil_the_next_plugin(self):
        wrong = module(meshd_plugin=hookimpl(lambda: []))
        registry = load(point("a", wrong), point("b", module(kind_of("b"))))
        self.assertEqual([entry.status for entry in registry.plugins], [REFUSED, LOADED])

    def test_a_hook_with_arguments(self):
        made = module()
        made.meshd_plugins = hookimpl(lambda site: [])
        self.assertIn("expected a function without arguments", reason(made))

    def test_a_module_without_the_hook(self):
        self.assertIn("expected a function meshd_plugins() marked with @hookimpl", reason(ModuleType("empty")))

    def test_a_hook_that_is_not_marked(self):
        made = ModuleType("unmarked")
        made.meshd_plugins = lambda: []
        self.assertIn("there is one that is not marked", reason(made))

    def test_what_is_no_plugin_type(self):
        self.assertIn("returned 'hello': expected PluginType objects", reason(module("hello")))

    def test_an_unknown_kind_with_the_nearest_known_one(self):
        text = reason(module(kind_of("hello", "htp_filter")))
        self.assertEqual(text, "htp_filter 'hello': unknown kind: expected 'http_filter'")

    def test_a_name_that_cannot_be_written_in_yaml(self):
        self.assertIn("bad name", reason(module(kind_of("hello world"))))

    def test_a_config_that_is_no_config_class(self):
        self.assertIn("expected a class made with @config", reason(module(kind_of("hello", config=dict))))

    def test_a_config_field_that_is_no_option(self):
        bare = attrs.make_class("Bare", ["most"])
        self.assertIn("Bare.most: expected an option", reason(module(kind_of("hello", config=bare))))

    def test_a_type_that_another_distribution_offers(self):
        theirs = point("theirs", module(kind_of("router"), kind_of("extra")), "a-stranger")
        registry = load(theirs, point("router", module(kind_of("router")), "meshd", "0.1"))
        self.assertEqual(registry.entry("http_filter", "router").distribution, "meshd")
        self.assertIsNone(registry.type("http_filter", "extra"))
        self.assertIn("already offered by plugin 'router' of meshd 0.1", registry.warnings[0])

    def test_a_type_offered_twice_by_one_plugin(self):
        self.assertIn("already offered by plugin 'hello'", reason(module(kind_of("hello"), kind_of("hello"))))

    def test_an_api_range_that_does_not_fit(self):
        text = reason(module(kind_of("hello"), MESHD_API=">=2,<3"))
        self.assertEqual(text, "MESHD_API: '>=2,<3': this meshd has plugin API 1.0")

    def test_an_api_range_that_cannot_be_read(self):
        self.assertIn("expected a comparison such as '>=1'", reason(module(MESHD_API="about 1")))
        self.assertIn("expected text such as", reason(module(MESHD_API=1)))

    def test_an_api_range_that_fits(self):
        self.assertEqual(load(point("hello", module(MESHD_API=">=1,<2"))).plugins[0].status, LOADED)


class FingerprintTest(TestCase):
    def prints(self, **more):
        return load(point("hello", module(), **more)).fingerprint

    def test_is_the_same_for_the_same_distributions(self):
        self.assertEqual(self.prints(), self.prints())

    def test_changes_with_a_version(self):
        self.assertNotEqual(self.prints(), self.prints(version="1.3"))

    def test_changes_with_the_files_of_one_version(self):
        self.assertNotEqual(self.prints(), self.prints(record="other files"))

    def test_does_not_change_with_what_is_not_loaded(self):
        self.assertEqual(load().fingerprint, load(point("hello", module()), load=()).fingerprint)


class OwnerTest(TestCase):
    def test_a_module_belongs_to_the_plugin_of_its_package(self):
        registry = load(point("hello", module()), point("bye", module()))
        self.assertEqual(registry.owner("acme.hello").name, "hello")
        self.assertEqual(registry.owner("acme.hello.deep.inside").name, "hello")
        self.assertEqual(registry.owner("acme.util").distribution, "acme-hello")
        self.assertIsNone(registry.owner("json.decoder"))

    def test_meshd_itself_belongs_to_no_plugin(self):
        shipped = point("router", module(), "meshd")
        shipped.value = "meshd_plugins.router"
        registry = load(shipped)
        self.assertEqual(registry.owner("meshd_plugins.router.table").name, "router")
        self.assertIsNone(registry.owner("meshd_plugins.other"))


HELLO = """
from meshd.api import PluginType, hookimpl

@hookimpl
def meshd_plugins():
    return [PluginType(kind="http_filter", name="{name}", build=lambda config, site: None)]
"""


class FolderTest(TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name).resolve()
        self.folder.chmod(0o755)
        self.name = f"hello{id(self)}"

    def write(self, name=None, text=HELLO, mode=0o644):
        path = self.folder / f"{name or self.name}.py"
        path.write_text(text.format(name=path.stem))
        path.chmod(mode)
        self.addCleanup(sys.modules.pop, f"meshd_plugin_{path.stem}", None)

    def load(self, **more):
        return load(dir=str(self.folder), **more)

    def test_loads_one_file_plugins(self):
        self.write()
        registry = self.load()
        self.assertEqual(registry.names("http_filter"), (self.name,))
        self.assertEqual(registry.owner(f"meshd_plugin_{self.name}").name, self.name)

    def test_runs_a_file_once_for_each_process(self):
        self.write()
        first, second = (load.type("http_filter", self.name).build for load in (self.load(), self.load()))
        self.assertIs(first.__globals__, second.__globals__)

    def test_leaves_other_files_alone(self):
        for name in ("_private", ".hidden"):
            self.write(name, "raise SystemExit")
        (self.folder / "notes.txt").write_text("raise SystemExit")
        self.assertEqual(self.load().plugins, ())

    def test_load_list_holds_for_files_too(self):
        self.write()
        self.assertEqual(self.load(load=()).plugins[0].status, SKIPPED)

    def test_refuses_a_file_that_others_may_write(self):
        for mode in (0o666, 0o664):
            self.write(mode=mode)
            self.assertIn(f"mode {mode:04o}: expected no write permission", self.load().plugins[0].reason)

    def test_refuses_a_folder_that_others_may_write(self):
        self.write()
        self.folder.chmod(0o777)
        entry = self.load().plugins[0]
        self.assertIn(f"{self.folder}: mode 0777", entry.reason)
        self.assertEqual(entry.status, REFUSED)

    def test_refuses_the_file_of_another_user(self):
        if os.geteuid() != 0:
            self.skipTest("only root can give a file away")
        self.write()
        os.chown(self.folder / f"{self.name}.py", 12345, -1)
        self.assertIn("owned by user 12345: expected root or user 0", self.load().plugins[0].reason)

    def test_names_a_folder_that_is_not_there(self):
        registry = load(dir=str(self.folder / "gone"))
        self.assertIn("No such file or directory: expected a folder of plugins", registry.warnings[0])

    def test_names_a_file_that_cannot_be_compiled(self):
        self.write(text="def (")
        self.assertIn("SyntaxError", self.load().plugins[0].reason)
        self.assertNotIn(f"meshd_plugin_{self.name}", sys.modules)

    def test_a_changed_file_changes_the_fingerprint(self):
        self.write()
        before = self.load().fingerprint
        self.write(text=HELLO + "# more")
        self.assertNotEqual(before, self.load().fingerprint)


class ShippedTest(TestCase):
    def test_the_registry_needs_no_reactor_and_no_asyncio(self):
        code = (
            "import sys; from meshd.registry import Registry; Registry.load(environ={'MESHD_LOAD_PLUGINS': ''});"
            "print(*(name for name in ('twisted.internet.reactor', 'asyncio') if name in sys.modules))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout.strip(), done.stderr), (0, "", ""))

    def test_every_shipped_plugin_is_loaded(self):
        shipped = [entry for entry in Registry.load(environ={}).plugins if entry.distribution == "meshd"]
        self.assertEqual([f"{entry.name}: {entry.reason}" for entry in shipped if entry.status != LOADED], [])
        self.assertGreater(len(shipped), 10)
