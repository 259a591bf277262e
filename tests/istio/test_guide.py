"""What docs/istio.md shows runs as it says."""

from pathlib import Path
from unittest import TestCase

from tests.istio.view import service, view
from tests.test_docs import check
from tests.tree import ROOT

PAGE = (ROOT / "docs" / "istio.md").read_text()
FOLDER = Path(ROOT, "docs", "examples", "istio")
SHOP = (FOLDER / "mesh.d" / "shop.yaml").read_text()
SIDECAR = (FOLDER / "sidecar.yaml").read_text()


class TestGuide(TestCase):
    def test_the_page_shows_the_files(self):
        for text in (SHOP, SIDECAR, (FOLDER / "meshd.yaml").read_text()):
            self.assertIn(f"\n{text}```", PAGE)

    def test_the_files_pass_the_check(self):
        self.assertEqual(check(FOLDER / "meshd.yaml"), "")

    def test_the_gateway_does_what_its_rules_say(self):
        seen = view(SHOP, ports={"80": 8080})
        v1, v2 = ("outbound|80|%s|orders.shop.test" % one for one in ("v1", "v2"))
        ask = {"host": "shop.example.com"}
        self.assertEqual(seen.listener().address, "0.0.0.0:8080")
        self.assertEqual(seen.goes("/", {"x-tester": "yes"}, **ask), v2)
        self.assertEqual(seen.goes("/", **ask), [(95, v1), (5, v2)])
        self.assertEqual(seen.goes("/", host="other.example.com"), 404)
        self.assertEqual((seen.addresses(v1), seen.ask(**ask).plan.timeouts.request_s), (["10.0.0.7:9080"], 3.0))

    def test_nothing_of_it_is_left_out(self):
        self.assertEqual(view(SHOP).unsupported, ())

    def test_the_sidecar_serves_its_workload_and_the_services_of_its_namespace(self):
        seen = view(SIDECAR, SHOP, service("far.test", namespace="far"), role="sidecar", labels={"app": "web"})
        self.assertEqual(seen.goes(host="any", listener="0.0.0.0_8080"), "inbound|8080||")
        self.assertEqual([seen.goes(host=one, listener="127.0.0.1_80") for one in ("orders.shop.test", "far.test")],
                         ["outbound|80||orders.shop.test", 404])
