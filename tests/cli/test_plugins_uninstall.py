"""meshctl plugins uninstall: what must stay, stays."""

import json
from pathlib import Path

import pytest

from tests.cli.test_plugins_install import Case

pytestmark = pytest.mark.timeout(900)


class UninstallTest(Case):
    def installed(self, *requires):
        """Install meshd-good 1.0."""
        self.stage.unpack(self.stage.plugin("meshd-good", "1.0", *requires))

    def using(self, daemon):
        """Let the daemon's configuration use the plugin."""
        used = {"kind": "http_filter", "type": "good", "name": "better", "owner": "listener public"}
        rows = [{"name": "good", "distribution": "meshd_good", "version": "1.0", "status": "loaded", "reason": "",
                 "types": [], "uses": [], "configured": [used]}]
        daemon.plugins = lambda: rows

    def test_takes_it_out_and_names_what_is_left(self):
        self.stage.wheel("meshd-lib", "2.5")
        self.stage.plugin("meshd-good", "1.0", "meshd-lib")
        self.done("install", "--yes", "meshd-good")
        out, err = self.done("uninstall", "--yes", "meshd_Good")
        self.assertIn("√ uninstalled   meshd-good\n", out)
        self.assertIn("meshd-lib 2.5 came with a plugin and nothing requires it now\n", err)
        self.assertEqual(self.stage.versions(), {"meshd-lib": "2.5"})

    def test_refuses_meshd_its_requirements_and_what_is_no_plugin(self):
        for name, why in (("meshd", "this is meshd itself"), ("Twisted", "meshd requires it"),
                          ("hyperlink", "meshd requires it"), ("pip", "it offers no meshd plugin"),
                          ("meshd-ghost", "no plugin distribution of this name is installed")):
            self.assertIn(why, self.refused("uninstall", "--yes", "--force", name), name)

    def test_a_misspelt_name_and_an_entry_point_get_a_hint(self):
        self.installed()
        for name in ("meshd-god", "good"):
            self.assertIn("did you mean meshd-good?", self.refused("uninstall", "--yes", name))

    def test_refuses_what_the_running_configuration_uses_and_says_where(self):
        self.installed()
        daemon, address = self.served()
        self.using(daemon)
        err = self.refused("uninstall", "--yes", "meshd-good", admin=address)
        self.assertIn("refused: meshd-good: the running configuration uses it: listener public: "
                      "http_filter good as better\nhelp: --force", err)
        self.assertEqual(daemon.told, [])
        self.assertIn("uses it", self.done("uninstall", "--yes", "--force", "meshd-good", admin=address)[1])
        self.assertEqual((daemon.told, self.stage.versions()), (["reload"], {}))

    def test_refuses_what_another_plugin_requires(self):
        self.installed()
        self.stage.unpack(self.stage.plugin("meshd-more", "1.0", "meshd-good"))
        self.assertIn("meshd-good: meshd-more 1.0 requires it", self.refused("uninstall", "--yes", "meshd-good"))
        self.done("uninstall", "--yes", "meshd-good", "meshd-more")
        self.assertEqual(self.stage.versions(), {})

    def test_without_a_terminal_nothing_is_asked_and_nothing_done(self):
        self.installed()
        self.assertIn("not confirmed", self.refused("uninstall", "meshd-good"))

    def test_tells_machines_one_document(self):
        self.installed()
        found = json.loads(self.done("uninstall", "--yes", "-o", "json", "meshd-good")[0])
        self.assertEqual((found["kind"], found["removed"][0]["name"]), ("PluginRemoval", "meshd-good"))

    def test_the_lock_file_stands_beside_the_running_daemons_configuration(self):
        daemon, address = self.served()
        daemon.paths = (str(Path(self.stage.folder, "conf", "meshd.yaml")),)
        Path(self.stage.folder, "conf").mkdir()
        self.stage.plugin("meshd-good", "1.0")
        self.done("install", "--yes", "meshd-good", admin=address, lock=False)
        self.assertIn("meshd-good==1.0", Path(self.stage.folder, "conf", "plugins.lock").read_text())
