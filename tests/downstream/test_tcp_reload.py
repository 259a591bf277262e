"""Connections of TCP over reloads and drains: they live on, and are counted once."""

from meshd.model.listener import ListenerLimits
from meshd.upstream.cluster import Cluster
from tests.downstream.test_tcp import TcpCase


class Reloading(TcpCase):
    def reload(self, mesh):
        """Another runtime takes over: a new chain, and a new cluster over the same counts."""
        old = mesh.cluster
        mesh.cluster = Cluster(mesh.spec, type(old.balancer)(), mesh.breaker, mesh.world)
        mesh.cluster.adopt(old)
        mesh.cluster.set_endpoints(mesh.spec.endpoints)
        mesh.cluster.start()
        mesh.world.clusters = {"up": mesh.cluster}
        chain = self.chain(mesh)
        before = mesh.listener.whole.chain
        mesh.listener.replace(self.spec, {"": chain})
        retired = []
        before.retire(lambda: retired.append(True))
        old.retire()
        return before, retired

    def test_connections_live_on_and_are_counted_once(self):
        mesh = self.tcp()
        mesh.use(self.proxy)
        client, upstream = self.both(mesh)
        for number in range(20):
            before, _ = self.reload(mesh)
            client.send(b"%d" % number)
            self.assertEqual(upstream.read(), b"%d" % number)
            self.assertEqual(mesh.cluster.breaker.state()["connections"][0], 1)
            self.assertEqual(len(mesh.cluster.streams), 1)
        client.close()
        upstream.close()
        self.check_free(mesh)
        self.assertEqual(self.end()[2], 30)

    def test_a_runtime_waits_for_connections_with_filters_of_strangers(self):
        mesh = self.tcp()
        client, upstream = self.both(mesh)
        before, retired = self.reload(mesh)  # the test's filters are a stranger's
        self.assertEqual(retired, [])
        client.close()
        upstream.close()
        self.assertEqual(retired, [True])

    def test_a_cluster_that_has_gone_counts_no_more(self):
        mesh = self.tcp()
        client, upstream = self.both(mesh)
        mesh.world.clusters = {}
        mesh.cluster.retire()
        self.assertEqual(mesh.cluster.breaker.state()["connections"][0], 0)
        client.send(b"x")
        self.assertEqual(upstream.read(), b"x")
        client.close()
        upstream.close()
        self.assertEqual(mesh.cluster.breaker.state()["connections"][0], 0)

    def test_a_drain_lets_them_live_until_the_deadline(self):
        mesh = self.tcp()
        client, upstream = self.both(mesh)
        done = mesh.listener.drain(60.0)
        mesh.advance(59)
        client.send(b"x")
        self.assertEqual((upstream.read(), done.called), (b"x", False))
        mesh.advance(2)
        self.assertTrue(done.called)
        self.assertNotEqual(client.end(), "open")
        self.check_free(mesh)

    def test_limits_of_the_listener_count(self):
        mesh = self.tcp(options={"limits": ListenerLimits(max_connections=1)})
        client, _ = self.both(mesh)
        second = self.connect(mesh)
        mesh.turn()
        self.assertEqual(len(mesh.listener.connections), 1)
        self.assertEqual((client.end(), second.end()), ("open", "open"))
