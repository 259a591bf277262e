"""What the pages say and do."""

import json

import attrs
from twisted.trial.unittest import SynchronousTestCase

from meshd.admin.index import PAGES, plugin_page
from meshd.api import Text, config, option
from meshd.model.plugin import Plugin
from meshd.model.snapshot import Snapshot
from tests.admin.fake import FakeDaemon
from tests.admin.wire import Wire


@config
class Password:
    """A configuration with a secret."""

    user: str = option(Text(), doc="name")
    password: str = option(Text(secret=True), doc="secret")


class Pages(SynchronousTestCase):
    def setUp(self):
        self.daemon = FakeDaemon()
        self.wire = Wire(self.daemon)

    def get(self, target):
        """Return the body of a page, as JSON where it is."""
        status, fields, body = self.wire.ask(target)
        self.assertEqual(status, 200, body)
        return json.loads(body) if fields["content-type"] == "application/json" else body.decode()

    def test_help_lists_every_page_with_its_method(self):
        text = self.get("/")
        for page in PAGES:
            self.assertRegex(text, rf"(?m)^{page.path} +{page.methods[0]} +\S")

    def test_ready_follows_readiness_and_healthz_does_not(self):
        self.assertEqual(self.get("/ready"), "LIVE\n")
        self.daemon.is_ready = False
        for state, text in (("DRAINING", b"DRAINING\n"), ("LIVE", b"FAILED HEALTHCHECK\n")):
            self.daemon.state = state
            status, _, body = self.wire.ask("/ready")
            self.assertEqual((status, body), (503, text))
        self.assertEqual(self.get("/healthz"), "OK\n")

    def test_metrics_are_prometheus_text(self):
        self.daemon.metrics.counter("apples_total", "Apples").cell().inc(2)
        status, fields, body = self.wire.ask("/metrics")
        self.assertTrue(fields["content-type"].startswith("text/plain; version=0.0.4"))
        self.assertIn(b"\napples_total 2\n", body)
        self.assertEqual(self.wire.ask("/stats/prometheus")[2], body)

    def test_stats_are_filtered_by_re2(self):
        self.daemon.metrics.counter("apples_total", "Apples").cell().inc(2)
        self.daemon.metrics.counter("pears_total", "Pears").cell()
        self.assertEqual(self.get("/stats?filter=apple"), "apples_total: 2\n")
        self.assertEqual(self.wire.ask("/stats?filter=(")[0], 400)
        self.assertEqual(self.wire.ask("/stats?filter=" + "a" * 1001)[0], 400)

    def test_config_dump_masks_secrets_everywhere(self):
        plugin = Plugin(kind="telemetry", type="basic", name="basic", config=Password(user="bob", password="hunter2"))
        self.daemon.loaded = attrs.evolve(self.daemon.loaded, snapshot=Snapshot(telemetry=(plugin,)))
        for target in ("/config_dump", "/config_dump?resource=telemetry"):
            text = json.dumps(self.get(target))
            self.assertIn("bob", text)
            self.assertNotIn("hunter2", text)

    def test_config_dump_can_be_asked_for_a_part(self):
        found = self.get("/config_dump?resource=clusters&name=users")
        self.assertEqual([one["name"] for one in found["clusters"]], ["users"])
        self.assertNotIn("snapshot", found)
        self.assertEqual(self.get("/config_dump?resource=clusters&name=nobody")["clusters"], [])
        self.assertEqual(self.wire.ask("/config_dump?resource=nonsense")[0], 400)

    def test_config_dump_has_origins_when_asked(self):
        self.assertEqual(self.get("/config_dump?origins=1")["origins"], {"node.id": "default of native"})
        self.assertNotIn("origins", self.get("/config_dump"))

    def test_config_dump_before_the_first_configuration_is_503(self):
        self.daemon.loaded = None
        self.assertEqual(self.wire.ask("/config_dump")[0], 503)
        self.assertEqual(self.get("/server_info")["digest"], None)

    def test_clusters_have_envoys_lines(self):
        text = self.get("/clusters")
        for line in ("users::default_priority::max_requests::1024", "users::10.0.0.7:80::health_flags::healthy",
                     "users::10.0.0.7:80::weight::1", "users::requests::7"):
            self.assertIn(line + "\n", text)

    def test_listeners_are_lines_or_json(self):
        self.assertEqual(self.get("/listeners"), "public::127.0.0.1:8080\n")
        self.assertEqual(self.get("/listeners?format=json")["listeners"][0]["connections"], 2)
        self.assertEqual(self.wire.ask("/listeners?format=xml")[0], 400)


class Controls(SynchronousTestCase):
    def setUp(self):
        self.daemon = FakeDaemon()
        self.wire = Wire(self.daemon)

    def test_each_does_its_one_thing(self):
        for path, told in (("/drain_listeners", "drain_listeners"), ("/healthcheck/fail", ("health", False)),
                           ("/healthcheck/ok", ("health", True)), ("/quitquitquit", "quit"),
                           ("/reopen_logs", "reopen")):
            self.daemon.told.clear()
            self.assertEqual(self.wire.ask(path, "POST")[0], 200, path)
            self.assertEqual(self.daemon.told, [told])

    def test_reload_returns_the_outcome_with_200_or_400(self):
        status, _, body = self.wire.ask("/reload", "POST")
        self.assertEqual((status, json.loads(body)["generation"]), (200, 4))
        self.daemon.outcome = {"accepted": False, "faults": [{"code": "MSH0104", "text": "x"}]}
        status, _, body = self.wire.ask("/reload", "POST")
        self.assertEqual((status, json.loads(body)["faults"][0]["code"]), (400, "MSH0104"))

    def test_logging_sets_levels_of_all_or_of_a_namespace(self):
        status, _, body = self.wire.ask("/logging?level=warn&meshd.drain=debug", "POST")
        self.assertEqual((status, json.loads(body)["levels"]), (200, {"": "warn", "meshd.drain": "debug"}))
        self.assertEqual(self.wire.ask("/logging?level=loud", "POST")[0], 400)


class Greeting:
    path = "/greeting"
    methods = ("GET",)

    def render(self, query):
        return 200, "text/plain", b"hello " + query["name"][0].encode()


class OfPlugins(SynchronousTestCase):
    def test_page_of_a_plugin_gets_the_query(self):
        wire = Wire(FakeDaemon(), pages=[plugin_page(Greeting(), "Greets.")])
        self.assertEqual(wire.ask("/greeting?name=bob")[2], b"hello bob")
        self.assertEqual(wire.ask("/greeting", "POST")[0], 405)

    def test_page_of_a_plugin_that_fails_costs_only_itself(self):
        wire = Wire(FakeDaemon(), pages=[plugin_page(Greeting(), "Greets."), *PAGES])
        self.assertEqual(wire.ask("/greeting")[0], 500)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertEqual(wire.ask("/ready")[0], 200)
