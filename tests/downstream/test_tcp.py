"""Connections of TCP from end to end: filters, endpoints, bytes both ways, ends, limits, reloads."""

import os

import attrs
from twisted.internet.defer import Deferred

from meshd.api import CONTINUE, STOP, Plugin, TcpPlan, flag
from meshd.exchange.network_chain import NetworkChain, TcpCells
from meshd.model.plugin import FAIL_OPEN
from tests.downstream.test_listener import ListenerCase

TCP = (Plugin(kind="network_filter", type="tcp_proxy", config=None, name="tcp_proxy"),)


class Proxy:
    """The terminal filter: everything goes by ``plan``."""

    plan = None

    def on_open(self, session):
        """Send it on its way."""
        session.forward(self.plan)
        return STOP


class Noted:
    """A sink that keeps what it is told."""

    def __init__(self):
        self.told = []

    def on_connection(self, session):
        """A connection has begun."""
        self.told.append(("begin", session.fresh_received, session.fresh_sent))

    def on_progress(self, session):
        """Bytes were moved."""
        self.told.append(("progress", session.fresh_received, session.fresh_sent))

    def on_complete(self, session):
        """It has ended."""
        self.told.append(("end", session.fresh_received, session.fresh_sent))
        self.session = session


class TcpCase(ListenerCase):
    """``tcp`` returns a mesh whose listener takes connections of TCP to the cluster."""

    def tcp(self, *filters, plan=(), options=(), on_error=None, **more):
        """Bind and start."""
        mesh = self.listening(**more)
        mesh.cluster.world.clusters = {"up": mesh.cluster}
        self.proxy = Proxy()
        self.proxy.plan = TcpPlan(clusters=((1, mesh.cluster),), **dict(plan))
        self.noted = Noted()
        self.spec = attrs.evolve(mesh.listener.spec, filters=(), network_filters=TCP, **dict(options))
        self.filters = filters
        self.addCleanup(self.close_all, mesh)
        self.on_error = on_error
        mesh.listener.replace(self.spec, {"": self.chain(mesh)})
        return mesh

    def close_all(self, mesh):
        """End what a test has left open."""
        for peer in (*mesh.clients, *(peer for one in mesh.upstreams for peer in one.peers)):
            peer.close()

    def chain(self, mesh):
        """Return a chain as a runtime makes it."""
        uses = [mesh.use((one, self.on_error) if self.on_error else one) for one in (*self.filters, self.proxy)]
        return NetworkChain(tuple(uses), (mesh.use(self.noted),), TcpCells(mesh.world.metrics, "public"))

    def both(self, mesh):
        """Return (client, upstream) of a new connection."""
        client = self.connect(mesh)
        return client, mesh.upstream.accept()

    def refused(self, mesh):
        """Connect, and see the connection end."""
        client = self.connect(mesh)
        mesh.turn()
        mesh.advance(0.01)
        self.assertNotEqual(client.end(), "open")

    def end(self):
        """Return (flags, detail, bytes received, bytes sent) of the connection that has ended."""
        session = self.noted.session
        return flag.text(session.flags), session.detail, session.request_bytes, session.response_bytes

    def check_free(self, mesh):
        """Nothing is left of the connections."""
        self.assertEqual(len(mesh.listener.connections), 0)
        self.assertEqual(mesh.listener.places.used(0), 0)
        self.assertEqual(mesh.cluster.breaker.state()["connections"][0], 0)
        self.assertEqual(len(mesh.cluster.streams), 0)
        self.assertEqual([endpoint.active for endpoint in mesh.cluster.endpoints],
                         [0] * len(mesh.cluster.endpoints))
        self.assertEqual(mesh.cluster.cells.active_connections.value, 0)


class Relaying(TcpCase):
    def test_bytes_both_ways_and_their_ends(self):
        mesh = self.tcp()
        client, upstream = self.both(mesh)
        client.send(b"question")
        self.assertEqual(upstream.read(), b"question")
        upstream.send(b"answer")
        self.assertEqual(client.read(), b"answer")
        self.assertEqual(mesh.cluster.endpoints[0].active, 1)
        client.half_close()
        self.assertEqual(upstream.end(), "fin")
        upstream.send(b"late")
        self.assertEqual(client.read(), b"late")
        self.assertEqual(len(mesh.listener.connections), 1)
        upstream.close()
        self.assertEqual(client.end(), "fin")
        self.assertEqual(self.end(), ("-", "", 8, 10))
        self.check_free(mesh)

    def test_the_server_may_speak_first_and_end_first(self):
        mesh = self.tcp()
        client, upstream = self.both(mesh)
        upstream.send(b"220 ready")
        self.assertEqual(client.read(), b"220 ready")
        upstream.half_close()
        self.assertEqual(client.end(), "fin")
        client.send(b"quit")
        self.assertEqual(upstream.read(), b"quit")
        client.close()
        self.assertEqual(self.end(), ("-", "", 4, 9))
        self.check_free(mesh)

    def test_much_of_it_arrives_whole_whoever_moves_it(self):
        data = os.urandom(1 << 20) * 3
        for is_raw in (True, False):
            mesh = self.tcp()
            mesh.world.pipes.is_usable = is_raw and mesh.world.pipes.is_usable
            client, upstream = self.both(mesh)
            got, at = [], 0
            while at < len(data):
                sent = client.send(data[at:at + 400_000])
                at += sent
                got.append(upstream.read())
            client.half_close()
            got.append(upstream.read())
            self.assertEqual(b"".join(got), data)
            upstream.close()
            self.assertEqual(self.end()[2:], (len(data), 0))
            self.check_free(mesh)
            mesh.world.pipes.clear()

    def test_a_reader_that_stops_holds_memory_flat(self):
        mesh = self.tcp(limits={"buffer_high_bytes": 65536, "buffer_low_bytes": 32768})
        client, upstream = self.both(mesh)
        total = 0
        for _ in range(100):
            sent = client.send(b"x" * 100_000)
            total += sent
            if not sent:
                break
        self.assertLess(total, 9_000_000)
        relay = next(iter(mesh.listener.connections)).relay
        self.assertLess(relay.up.descriptor.pending_bytes, 65536 + 65536 + 1)
        got = len(upstream.read())
        self.assertEqual(got, total)
        client.send(b"y")
        self.assertEqual(upstream.read(), b"y")

    def test_a_reset_is_passed_on(self):
        mesh = self.tcp()
        client, upstream = self.both(mesh)
        client.send(b"x")
        upstream.read()
        client.reset()
        self.assertNotEqual(upstream.end(), "open")
        self.check_free(mesh)


class Endpoints(TcpCase):
    def test_nobody_there(self):
        mesh = self.tcp()
        mesh.upstream.stop()
        self.refused(mesh)
        self.assertEqual(self.end()[0], "UF,URX")
        self.assertEqual(mesh.cluster.cells.attempts_exceeded.value, 1)
        self.check_free(mesh)

    def test_another_endpoint_is_tried(self):
        results = []
        mesh = self.tcp(plan={"max_connect_attempts": 2}, upstreams=2)
        mesh.cluster.observe = lambda endpoint, outcome: results.append((endpoint.address, outcome.status))
        mesh.upstream.stop()
        client = self.connect(mesh)
        mesh.turn()
        mesh.advance(0.01)
        other = mesh.upstreams[1].accept()
        client.send(b"x")
        self.assertEqual(other.read(), b"x")
        self.assertEqual(results, [(mesh.upstream.address, 0), (mesh.upstreams[1].address, 200)])
        self.assertEqual([endpoint.active for endpoint in mesh.cluster.endpoints], [0, 1])
        client.close()
        other.close()
        self.assertEqual(self.end()[0], "UF")
        self.check_free(mesh)

    def test_no_endpoint(self):
        mesh = self.tcp()
        mesh.cluster.set_endpoints(())
        client = self.connect(mesh)
        self.assertNotEqual(client.end(), "open")
        self.assertEqual(self.end()[:2], ("UH", "no_healthy_upstream"))
        self.assertEqual(mesh.cluster.breaker.state()["connections"][0], 0)

    def test_the_circuit_breaker_counts(self):
        mesh = self.tcp(breaker={"max_connections": 1})
        client, upstream = self.both(mesh)
        self.refused(mesh)
        self.assertEqual(self.end()[0], "UO")
        self.assertEqual(client.end(), "open")
        client.close()
        upstream.close()
        self.check_free(mesh)

    def test_no_cluster(self):
        mesh = self.tcp()
        for plan, text in ((TcpPlan(), "NR"), (TcpPlan(cluster_name="ghost"), "NC")):
            self.proxy.plan = plan
            client = self.connect(mesh)
            self.assertNotEqual(client.end(), "open")
            self.assertEqual(self.end()[0], text)

    def test_a_cluster_by_name(self):
        mesh = self.tcp()
        self.proxy.plan = TcpPlan(cluster_name="up")
        client, upstream = self.both(mesh)
        client.send(b"x")
        self.assertEqual(upstream.read(), b"x")

    def test_a_client_that_leaves_before_there_is_an_upstream(self):
        answer = Deferred()

        class Waits:
            def on_open(self, session):
                return answer

        mesh = self.tcp(Waits())
        client = self.connect(mesh)
        mesh.turn()
        client.reset()
        self.assertEqual(self.end()[:2], ("DC", "downstream_remote_disconnect"))
        self.assertTrue(answer.called)
        self.check_free(mesh)


class Times(TcpCase):
    def test_an_idle_connection_ends_after_an_hour(self):
        mesh = self.tcp()
        client, upstream = self.both(mesh)
        mesh.advance(3000)
        upstream.send(b"x")
        mesh.advance(3590)
        self.assertEqual(client.end(), "open")
        mesh.advance(20)
        self.assertEqual((client.end(), upstream.end()), ("fin", "fin"))
        self.assertEqual(self.end()[1], "tcp_session_idle_timeout")
        self.check_free(mesh)

    def test_an_old_connection_ends(self):
        mesh = self.tcp(plan={"max_duration_s": 60.0})
        client, upstream = self.both(mesh)
        for _ in range(7):
            client.send(b"x")
            mesh.advance(10)
        self.assertNotEqual(client.end(), "open")
        self.assertEqual(self.end()[:2], ("DT", "max_downstream_connection_duration"))

    def test_no_limits(self):
        mesh = self.tcp(plan={"idle_timeout_s": 0.0})
        client, _ = self.both(mesh)
        mesh.advance(100_000)
        self.assertEqual(client.end(), "open")

    def test_sinks_hear_of_bytes_now_and_then(self):
        mesh = self.tcp()
        client, upstream = self.both(mesh)
        client.send(b"12345")
        mesh.advance(16)
        mesh.advance(16)
        upstream.send(b"123")
        upstream.close()
        client.close()
        self.assertEqual(self.noted.told, [("begin", 0, 0), ("progress", 5, 0), ("end", 0, 3)])


class Filters(TcpCase):
    def test_they_may_refuse(self):
        class Refuses:
            def on_open(self, session):
                session.refuse(flag.RL, "enough")
                return STOP

        mesh = self.tcp(Refuses())
        self.assertNotEqual(self.connect(mesh).end(), "open")
        self.assertEqual(self.end()[:2], ("RL", "enough"))
        self.assertFalse(mesh.upstream.is_wanted())

    def test_a_sink_may_refuse_too(self):
        for hook in ("on_connection", "on_progress"):
            for early in (b"", b"12345"):
                mesh = self.tcp()
                setattr(self.noted, hook, lambda session: session.refuse(flag.RL, "enough"))
                mesh.listener.replace(self.spec, {"": self.chain(mesh)})
                client = self.connect(mesh)
                client.socket.send(early)
                mesh.turn()
                client.socket.send(b"1")
                mesh.advance(16)
                mesh.turn()
                self.assertNotEqual(client.end(), "open")
                self.assertEqual(self.end()[:2], ("RL", "enough"))
                self.assertEqual(mesh.world.bugs, [])
                self.check_free(mesh)

    def test_they_may_see_and_change_bytes(self):
        class Upper:
            def on_data(self, session, data):
                return data.upper()

            def on_write(self, session, data):
                return data + b"!"

        mesh = self.tcp(Upper())
        client, upstream = self.both(mesh)
        client.send(b"abc")
        self.assertEqual(upstream.read(), b"ABC")
        upstream.send(b"hi")
        self.assertEqual(client.read(), b"hi!")

    def test_a_fault_ends_the_connection_or_passes(self):
        class Broken:
            def on_open(self, session):
                raise RuntimeError("broken")

        mesh = self.tcp(Broken())
        self.assertNotEqual(self.connect(mesh).end(), "open")
        mesh = self.tcp(Broken(), on_error=FAIL_OPEN)
        self.both(mesh)

    def test_a_fault_in_bytes_too(self):
        class Broken:
            def on_data(self, session, data):
                return "text"

        mesh = self.tcp(Broken())
        client, upstream = self.both(mesh)
        client.send(b"x")
        self.assertNotEqual(client.end(), "open")
        self.assertIn("plugin_error", self.end()[1])
        self.check_free(mesh)

    def test_what_is_to_be_done_at_the_end_is_done_once(self):
        done = []

        class Counts:
            def on_open(self, session):
                session.at_end(lambda: done.append(session.ended))
                return CONTINUE

        mesh = self.tcp(Counts())
        client, upstream = self.both(mesh)
        self.assertEqual(done, [])
        client.close()
        upstream.close()
        self.assertEqual(len(done), 1)


class Hashing(TcpCase):
    def test_a_client_stays_at_its_endpoint(self):
        mesh = self.tcp(upstreams=3)
        seen = []

        class BySource:
            def pick(self, session):
                seen.append((session.client, session.request.method, session.tried, session.route))
                return mesh.cluster.endpoints[1]

        mesh.cluster.pick = BySource().pick
        client = self.connect(mesh)
        upstream = mesh.upstreams[1].accept()
        client.send(b"x")
        self.assertEqual(upstream.read(), b"x")
        self.assertEqual(seen, [("127.0.0.1", b"", (), None)])
