"""docs/configuration.md says what the classes say."""

from pathlib import Path
from unittest import TestCase

from meshd.config.reference import make_reference
from meshd.document.code import CODES
from meshd.model.plugin import PluginSettings
from meshd.registry import Registry
from tests.config.sample import make_registry

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
AGAIN = "run: python -m meshd.config.reference > docs/configuration.md"


class TestReference(TestCase):
    def test_the_page_is_up_to_date(self):
        self.assertTrue(make_reference(Registry.load(PluginSettings(), {})) == PAGE.read_text(), AGAIN)

    def test_has_every_key_plugin_and_code(self):
        page = make_reference(make_registry())
        for text in ("| `connect_timeout` |", "#### `gate`", "| `rules` |", "##### `gate.rules[]`", *CODES):
            self.assertIn(text, page)

    def test_every_fault_that_is_added_has_a_code_of_the_table(self):
        import re

        root = Path(__file__).parents[2] / "src" / "meshd"
        used = {code for path in root.rglob("*.py") for code in re.findall(r'"(MSH\d{4})"', path.read_text())}
        self.assertEqual(used - set(CODES) - {"MSH0100"}, set())
