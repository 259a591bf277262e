"""Shares: how many requests an instance meets, that all phases agree, and what becomes of a canary that is bypassed."""

import attrs

from meshd.exchange.share import share_out
from meshd.model.plugin import FAIL_OPEN
from tests.exchange.chain_case import ChainCase, boom
from tests.exchange.mesh import GET, status_of

REQUESTS = 2000


class ShareTest(ChainCase):
    def shared(self, *filters, **options):
        """Return a mesh; ``filters`` are (filter, percent, canary_of[, on_error])."""
        mesh = self.mesh(*[(row[0], row[3] if len(row) > 3 else "fail-closed") for row in filters], **options)
        for use, row in zip(mesh.uses, filters):
            use.plugin = use.record.plugin = attrs.evolve(
                use.plugin, name=row[0].name, percent=row[1], canary_of=row[2])
        share_out(list(mesh.uses), mesh.world.random.random, mesh.world.metrics)
        mesh.chain.bind()
        return mesh

    def ask(self, mesh, count):
        """Send ``count`` requests on one connection."""
        client = mesh.client(GET)
        peer, _ = mesh.upstream.serve()
        answers = [client.read()]
        for _ in range(count - 1):
            client.send(GET)
            if peer.read():
                peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            answers.append(client.read())
        return answers

    def seen(self, word):
        return sum(note == word for note in self.notes)

    def assert_near(self, count, share):
        """Assert that ``count`` of REQUESTS is within five standard deviations of a share."""
        wide = 5 * (REQUESTS * share * (1 - share)) ** 0.5
        self.assertLess(abs(count - REQUESTS * share), wide)

    def test_one_with_a_percent_meets_that_share_in_all_phases(self):
        mesh = self.shared((self.filter("a"), 30.0, ""))
        self.ask(mesh, REQUESTS)
        self.assert_near(self.seen("a.request"), 0.3)
        for phase in ("response", "complete"):
            self.assertEqual(self.seen(f"a.{phase}"), self.seen("a.request"))

    def test_a_canary_and_its_base_share_all_requests(self):
        mesh = self.shared((self.filter("old"), 100.0, ""), (self.filter("new"), 5.0, "old"))
        self.ask(mesh, REQUESTS)
        self.assert_near(self.seen("new.request"), 0.05)
        self.assertEqual(self.seen("old.request") + self.seen("new.request"), REQUESTS)
        by_request = "|".join(self.notes).split("complete|")
        self.assertTrue(all(not ("old" in one and "new" in one) for one in by_request))

    def test_two_canaries_take_disjoint_shares(self):
        mesh = self.shared(
            (self.filter("old"), 100.0, ""), (self.filter("b"), 10.0, "old"), (self.filter("c"), 20.0, "old"))
        self.ask(mesh, REQUESTS)
        for name, share in (("old", 0.7), ("b", 0.1), ("c", 0.2)):
            self.assert_near(self.seen(f"{name}.request"), share)

    def test_the_ends_of_the_scale(self):
        mesh = self.shared((self.filter("never"), 0.0, ""), (self.filter("old"), 100.0, ""),
                           (self.filter("new"), 100.0, "old"))
        self.ask(mesh, 20)
        self.assertEqual([self.seen(f"{name}.request") for name in ("never", "old", "new")], [0, 0, 20])

    def test_a_canary_that_is_bypassed_gives_its_share_back(self):
        mesh = self.shared((self.filter("old"), 100.0, ""), (self.filter("new", request=boom), 50.0, "old"),
                           max_errors=3)
        statuses = [status_of(answer) for answer in self.ask(mesh, 60)]
        self.assertEqual(statuses.count(500), 3)
        self.assertEqual(self.seen("old.request"), 57)

    def test_one_that_is_bypassed_refuses_its_share_alone(self):
        mesh = self.shared((self.filter("a", request=boom), 50.0, ""), max_errors=1)
        statuses = [status_of(answer) for answer in self.ask(mesh, 100)]
        self.assertEqual(statuses.count(500), 1)
        self.assertTrue(20 < statuses.count(503) < 80)

    def test_counts_and_times_tell_the_instances_apart(self):
        mesh = self.shared((self.filter("old"), 100.0, ""), (self.filter("new", request=boom), 20.0, "old"))
        statuses = [status_of(answer) for answer in self.ask(mesh, 200)]
        metrics = mesh.world.metrics
        self.assertEqual(metrics.value("meshd_plugin_requests_total", "new", "5xx"), statuses.count(500))
        self.assertEqual(metrics.value("meshd_plugin_requests_total", "old", "2xx"), statuses.count(200))
        self.assertEqual(metrics.value("meshd_plugin_request_duration_seconds", "old"), statuses.count(200))

    def test_only_calls_that_were_made_are_timed(self):
        mesh = self.shared((self.filter("a"), 10.0, "", FAIL_OPEN), sample_every=1)
        self.ask(mesh, 100)
        timing = mesh.uses[0].record.snapshot()["timings"]["on_request"]
        self.assertEqual(timing["samples"], self.seen("a.request"))

    def test_a_filter_that_all_requests_meet_has_no_share(self):
        mesh = self.shared((self.filter("a"), 100.0, ""))
        self.assertIsNone(mesh.uses[0].share)
        self.assertEqual(mesh.chain.request_steps[0][0], mesh.uses[0].object.on_request)
        self.serve(mesh)
        self.assertIsNone(mesh.last.choices)
