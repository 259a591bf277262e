"""Clusters whose model is the same object: taken over as they are, owned by the runtime in force alone."""

import socket

from meshd.registry import Registry
from tests.runtime import model
from tests.runtime.test_reload import ReloadTest as Base


class SharedTest(Base):
    def setUp(self):
        super().setUp()
        self.reloader = self.make(Registry.of(*model.TYPES, distribution="meshd"))
        self.users, self.orders = model.cluster("users"), model.cluster("orders")

    @property
    def clusters(self):
        return self.reloader.runtime.clusters

    def pools(self, name):
        return [endpoint.pool.is_retired for endpoint in self.clusters[name].endpoints]

    def test_is_the_same_live_cluster_neither_started_nor_stopped_again(self):
        self.begin(model.listener(), clusters=[self.users, self.orders])
        before = dict(self.clusters)
        started = [one for one in self.journal if one[1] in ("users", "orders")]
        for number in range(3):
            self.reload(model.listener("public", model.plug(f"n{number}")), clusters=[self.users, self.orders])
            self.assertEqual(dict(self.clusters), before)
        self.assertEqual([one for one in self.journal if one[1] in ("users", "orders")], started)
        self.assertEqual(self.pools("users"), [False])
        self.assertIs(before["users"].endpoints[0].pool.cluster, before["users"])

    def test_ends_with_the_runtime_that_has_it_last(self):
        self.begin(model.listener(), clusters=[self.users, self.orders])
        gone = self.clusters["orders"]
        self.reload(model.listener(), clusters=[self.users, self.orders])
        self.assertNotIn(("stop", "orders"), self.journal)
        self.reload(model.listener(), clusters=[self.users])
        self.assertEqual(self.journal.count(("stop", "orders")), 2)  # balancer and breaker
        self.assertNotIn(("stop", "users"), self.journal)
        self.assertTrue(gone.endpoints[0].pool.is_retired)
        self.settle(self.reloader.stop())
        self.assertEqual(self.journal.count(("stop", "users")), 2)
        self.assertEqual(len(self.reloader.table), 0)

    def test_a_refused_reload_leaves_it_alone(self):
        self.begin(model.listener(), clusters=[self.users])
        before = self.clusters["users"]
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            outcome = self.reload(model.listener("other", address=address), clusters=[self.users])
        self.assertFalse(outcome.is_accepted)
        self.assertIs(self.clusters["users"], before)
        self.assertEqual(self.pools("users"), [False])
        self.assertNotIn(("stop", "users"), self.journal)

    def test_an_equal_one_is_built_again(self):
        self.begin(model.listener(), clusters=[self.users])
        before = self.clusters["users"]
        self.reload(model.listener(), clusters=[model.cluster("users")])
        self.assertIsNot(self.clusters["users"], before)

    def test_one_with_a_strangers_balancer_is_built_again(self):
        self.reloader = self.make(model.REGISTRY)
        self.begin(model.listener(), clusters=[self.users])
        before = self.clusters["users"]
        self.reload(model.listener(), clusters=[self.users])
        self.assertIsNot(self.clusters["users"], before)

    def test_what_was_read_again_and_is_equal_takes_the_place_of_what_is_in_force(self):
        self.begin(model.listener(), clusters=[self.users])
        before, again = self.clusters["users"], model.loaded(model.listener(), clusters=[model.cluster("users")])
        self.settle(self.reloader.assume(again))
        self.assertIs(self.reloader.loaded, again)
        self.config = again
        self.reload()
        self.assertIs(self.clusters["users"], before)

    def test_what_was_read_again_and_differs_is_left_alone(self):
        self.begin(model.listener(), clusters=[self.users])
        loaded = self.reloader.loaded
        other = model.loaded(model.listener(), clusters=[model.cluster("users"), self.orders])
        self.settle(self.reloader.assume(other))
        self.assertIs(self.reloader.loaded, loaded)


del Base
