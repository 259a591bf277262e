"""What /discovery says of all sources, of one, and of what it would find now."""

import json

from twisted.trial.unittest import SynchronousTestCase

from tests.admin.fake import FakeDaemon, FakeDiscovery
from tests.admin.wire import Wire


class Discovery(SynchronousTestCase):
    def setUp(self):
        self.wire = Wire(FakeDaemon())

    def get(self, target, expected=200):
        status, _, body = self.wire.ask(target)
        self.assertEqual(status, expected, body)
        return json.loads(body)

    def test_all_sources_with_state_age_and_the_last_look(self):
        (row,) = self.get("/discovery")["discoveries"]
        self.assertEqual((row["cluster"], row["type"], row["state"], row["age_s"]), ("users", "file", "stale", 61.0))
        self.assertEqual(row["last_look"]["error"], "x.json: broken")

    def test_one_source_with_the_endpoints_in_force_and_their_source(self):
        found = self.get("/discovery?name=users")
        self.assertEqual(found["faults"], [])
        self.assertEqual([row["endpoint"]["source"] for row in found["targets"]], ["file /x.json"])

    def test_a_look_shows_what_would_be_found(self):
        found = self.get("/discovery?name=users&look=1")
        self.assertEqual(found["faults"], ["x.json: broken"])
        self.assertEqual([bool(row["endpoint"]) for row in found["targets"]], [True, False, False])
        self.assertEqual(found["targets"][1]["cause"], "expected more")

    def test_a_look_that_fails_says_why(self):
        def find(_):
            raise OSError("it is down")

        self.patch(FakeDiscovery, "find", find)
        self.assertEqual(self.get("/discovery?name=users&look=1")["faults"], ["it is down"])

    def test_an_unknown_cluster_is_not_found(self):
        self.assertIn("expected one of: users", self.get("/discovery?name=x", 404)["error"])
