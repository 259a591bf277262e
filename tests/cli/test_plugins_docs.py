"""The transcripts of the pages, typed into an environment of their own."""

import re
import shlex
from pathlib import Path
from unittest import TestCase

import pytest

from tests.cli.stage import Stage
from tests.tree import ROOT

pytestmark = pytest.mark.timeout(900)

BAD = """
from meshd.api import PluginType, hookimpl

MESHD_API = ">=1"


class Hello:
    def __init__(self, config, site):
        pass

    def update(self, endpoints):
        pass


@hookimpl
def meshd_plugins():
    return [PluginType(kind="load_balancer", name="hello", build=Hello)]
"""


def transcript(page, mark):
    """Return (command, output) pairs of the block behind a mark."""
    text = (ROOT / "docs" / page).read_text()
    block = re.search(rf"<!-- tested: {mark} -->\n```console\n(.*?)```", text, re.S)[1]
    return [(one.partition("\n")[0], one.partition("\n")[2]) for one in re.split(r"(?m)^\$ ", block)[1:]]


class TranscriptTest(TestCase):
    def setUp(self):
        self.stage = Stage()
        self.addCleanup(self.stage.close)

    def check(self, page, mark):
        """Run the commands in turn; each must say what the page shows."""
        for command, shown in transcript(page, mark):
            program, group, verb, *arguments = shlex.split(command)
            self.assertEqual((program, group), ("meshctl", "plugins"))
            _, out, err = self.stage.ctl(verb, *arguments)
            self.assertEqual(out.replace(str(self.stage.lock), "/etc/meshd/plugins.lock"), shown, err)

    def test_from_nothing_to_a_plugin_and_back(self):
        self.check("meshctl.md", "plugins")
        self.assertTrue(Path(self.stage.folder, "meshd-shop").is_dir())

    def test_a_plugin_with_something_wrong(self):
        self.stage.unpack(self.stage.plugin("meshd-hello", "1.0", source=BAD))
        self.check("plugins.md", "broken")
