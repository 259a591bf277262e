"""What docs/gateway-api.md says is so: its example, the table that a command prints for it, its kinds and reasons."""

import re
import tempfile
import unittest
from pathlib import Path

from meshd.cli.ctl import main
from meshd_plugins.istio.gateway_api import kinds
from tests.cli.console import run
from tests.istio.gateway_api.case import Loaded
from tests.tree import ROOT

PAGE = (ROOT / "docs" / "gateway-api.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
CODE = [path.read_text() for path in sorted((ROOT / "plugins" / "istio" / "gateway_api").glob("*.py"))]


class Page(unittest.TestCase):
    def test_the_example_routes_as_it_says(self):
        loaded = Loaded("---\n" + BLOCKS[0], services="")
        answer = loaded.ask("/orders/7", host="shop.example.com", port=8080)
        self.assertEqual(answer.backends, {"orders": 95, "orders-next": 5})
        self.assertEqual((answer.sent().target, answer.exchange.plan.timeouts.request_s), (b"/v2/7", 10.0))
        self.assertEqual(loaded.ask("/login", host="shop.example.com", port=8080).location,
                         "https://shop.example.com/login")
        self.assertEqual(loaded.where("/orders", host="other.org", port=8080), 404)

    def test_the_command_prints_the_table(self):
        shown = re.search(r"```text\n(KIND.*?)```", PAGE, re.S)[1]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "shop.yaml")
            path.write_text(BLOCKS[0])
            self.assertEqual(run(main, "gateway-api", "status", "-c", str(path)), (0, shown, ""))

    def test_every_kind_and_version_stands_in_the_table(self):
        for row in kinds.ROWS:
            if row["group"]:
                line = next(line for line in PAGE.splitlines() if re.match(rf"\| (\w+, )?{row['name']}[, |]", line))
                for version in row["versions"]:
                    self.assertIn(version, line)

    def test_every_reason_stands_on_the_page(self):
        text = "".join(CODE)
        reasons = set(re.findall(r'(?:bad\(\w+|reason=|conflict\()[ \n]*,? *"([A-Z]\w+)"', text))
        self.assertLess({"NoMatchingParent", "InvalidKind", "UnsupportedProtocol"}, reasons)
        for reason in reasons:
            self.assertIn(reason, PAGE)
