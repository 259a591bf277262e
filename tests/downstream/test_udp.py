"""UDP sessions over real sockets and a clock that stands still: who gets what, what is counted, and how they end."""

import socket
import unittest
from types import SimpleNamespace

import attrs
from twisted.internet.defer import Deferred

from meshd.downstream.udp import UdpListener
from meshd.errors import MeshdError
from meshd.exchange.network_chain import NetworkChain
from meshd.model.cluster import Cluster as ClusterSpec
from meshd.model.cluster import EndpointSpec
from meshd.model.udp import UdpProxy
from meshd.upstream.cluster import Cluster
from meshd.wire.datagram import bind_datagram, place_of
from meshd_plugins.limits import Breaker, Limits
from tests.exchange.mesh import InTurn
from tests.upstream.counts import Counts
from tests.wire.world import StillWorld


def bound(host="127.0.0.1"):
    """Return a UDP socket of the test's own that does not wait."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, 0))
    sock.setblocking(False)
    return sock


def heard(sock):
    """Return the datagrams that have come."""
    found = []
    while True:
        try:
            found.append(sock.recvfrom(65535))
        except BlockingIOError:
            return found


def name_of(sock):
    return "%s:%d" % sock.getsockname()


class UdpCase(unittest.TestCase):
    def setUp(self):
        self.world = StillWorld()
        self.addCleanup(self.world.close)
        self.counts = Counts.made()
        self.servers = [self.server() for _ in range(2)]
        self.cluster = self.make_cluster(*self.servers)
        self.open = []

    def tearDown(self):
        for listener in self.open:
            listener.close()
            listener.cut()
        self.world.turn()
        self.assertEqual(self.counts.connections, 0)
        self.assertEqual([one.cells.active.value for one in self.open], [0] * len(self.open))
        self.assertEqual(self.world.poller.owners, {})
        self.assertEqual(self.world.bugs, [])

    def server(self):
        sock = bound()
        self.addCleanup(sock.close)
        return sock

    client = server

    def make_cluster(self, *servers, name="up", **limits):
        spec = ClusterSpec(name=name, endpoints=tuple(EndpointSpec(address=name_of(one)) for one in servers))
        made = Cluster(spec, InTurn(), Breaker(Limits(**limits), self.counts, self.world.metrics, name), self.world)
        made.set_endpoints(spec.endpoints)
        made.start()
        return made

    def listener(self, address="127.0.0.1:0", **udp):
        spec = SimpleNamespace(name="dns", address=address, udp=UdpProxy(cluster="up", **udp))
        made = UdpListener(spec, self.cluster, self.world, NetworkChain((), (), None))
        made.bind()
        made.start()
        self.open.append(made)
        return made

    def send(self, listener, data, client=None):
        """Send from a client, a new one where none is given; return it."""
        client = client or self.client()
        host, port = listener.local.rsplit(":", 1)
        client.sendto(data, ("127.0.0.1" if host == "0.0.0.0" else host, int(port)))
        self.world.turn()
        return client

    def advance(self, seconds):
        self.world.advance(seconds)


class Sessions(UdpCase):
    def test_sinks_are_told_of_a_session_that_has_ended(self):
        told = []
        listener, client = self.listener(idle_timeout_s=5.0), self.client()
        listener.chain.datagram_steps = ((told.append, None),)
        for size in (10, 20, 30):
            client.sendto(b"x" * size, listener.socket.getsockname())
        self.world.turn()
        (_, peer), *_ = heard(self.servers[0])
        self.servers[0].sendto(b"y" * 7, peer)
        self.world.turn()
        self.assertEqual(told, [])
        self.world.advance(6)
        session, = told
        self.assertEqual((session.peer, session.client, session.local), (name_of(client), "127.0.0.1", listener.local))
        self.assertEqual((session.endpoint.address, session.cluster.name), (name_of(self.servers[0]), "up"))
        self.assertEqual((session.upstream_local, session.flags), ("%s:%d" % peer, 0))
        self.assertEqual(session.metadata["udp.proxy.session"], {
            "cluster_name": "up", "bytes_received": 60, "bytes_sent": 7, "datagrams_received": 3, "datagrams_sent": 1,
            "errors_sent": 0})
        self.assertEqual((session.request_bytes, session.response_bytes), (60, 7))
        self.assertAlmostEqual(session.ended - session.started, 5.0, delta=0.5)

    def test_datagrams_pass_both_ways_whole_and_apart(self):
        listener = self.listener()
        client = self.send(listener, b"one")
        self.send(listener, b"", client)
        self.send(listener, b"x" * 1400, client)
        found = heard(self.servers[0])
        self.assertEqual([data for data, _ in found], [b"one", b"", b"x" * 1400])
        for answer in (b"yes", b"", b"y" * 60000):
            self.servers[0].sendto(answer, found[0][1])
        self.world.turn()
        self.assertEqual([data for data, _ in heard(client)], [b"yes", b"", b"y" * 60000])
        cells = listener.cells
        self.assertEqual((cells.sessions.value, cells.rx_datagrams.value, cells.tx_datagrams.value), (1, 3, 3))
        self.assertEqual((cells.rx_bytes.value, cells.tx_bytes.value), (1403, 60003))
        self.assertEqual((listener.cluster_cells.tx_datagrams.value, listener.cluster_cells.rx_datagrams.value), (3, 3))

    def test_each_client_has_a_session_and_hears_its_own_answers(self):
        listener = self.listener()
        clients = [self.send(listener, b"%d" % place) for place in range(5)]
        for data, peer in heard(self.servers[0]):
            self.servers[0].sendto(data * 2, peer)
        self.world.turn()
        self.assertEqual([heard(one)[0][0] for one in clients], [b"%d" % place * 2 for place in range(5)])
        self.assertEqual(len(listener.connections), 5)
        self.assertEqual(self.cluster.endpoints[0].active, 5)

    def test_silence_ends_one_and_either_side_breaks_it(self):
        listener = self.listener(idle_timeout_s=10.0)
        client = self.send(listener, b"a")
        (_, session), = heard(self.servers[0])
        self.advance(8)
        self.servers[0].sendto(b"b", session)
        self.world.turn()
        self.advance(8)
        self.send(listener, b"c", client)
        self.advance(8)
        self.assertEqual(len(listener.connections), 1)
        self.advance(3)
        self.assertEqual((len(listener.connections), listener.cells.idle.value), (0, 1))
        self.send(listener, b"again", client)
        self.assertNotEqual(heard(self.servers[0])[-1][1], session)

    def test_what_strangers_send_to_a_session_is_not_passed_on(self):
        listener = self.listener()
        client = self.send(listener, b"a")
        (_, session), = heard(self.servers[0])
        self.servers[1].sendto(b"forged", session)
        self.world.turn()
        self.assertEqual(heard(client), [])

    def test_an_answer_comes_from_the_address_that_was_asked(self):
        listener = self.listener("0.0.0.0:0")
        port = int(listener.local.rpartition(":")[2])
        client = self.client()
        for host in ("127.0.0.2", "127.0.0.3"):
            client.sendto(b"q", (host, port))
        self.world.turn()
        self.assertEqual(len(listener.connections), 2)
        for _, session in heard(self.servers[0]):
            self.servers[0].sendto(b"r", session)
        self.world.turn()
        self.assertEqual([peer for _, peer in heard(client)], [("127.0.0.2", port), ("127.0.0.3", port)])


class Limited(UdpCase):
    def test_long_datagrams_are_dropped_and_counted(self):
        listener = self.listener(max_rx_datagram_bytes=100)
        client = self.send(listener, b"x" * 101)
        self.send(listener, b"y" * 100, client)
        self.assertEqual([data for data, _ in heard(self.servers[0])], [b"y" * 100])
        self.assertEqual(listener.cells.dropped.value, 1)

    def test_the_table_is_bounded(self):
        listener = self.listener(max_sessions=2)
        clients = [self.send(listener, b"a") for _ in range(3)]
        self.send(listener, b"b", clients[0])
        self.assertEqual(len(heard(self.servers[0])), 3)
        self.assertEqual((len(listener.connections), listener.cells.dropped.value), (2, 1))

    def test_the_circuit_breaker_counts_sessions_as_connections(self):
        self.cluster = self.make_cluster(self.servers[0], max_connections=1)
        listener = self.listener()
        for _ in range(2):
            self.send(listener, b"a")
        self.assertEqual(len(heard(self.servers[0])), 1)
        self.assertEqual(self.cluster.cells.connection_overflow.value, 1)

    def test_overload_takes_no_new_clients(self):
        listener = self.listener()
        client = self.send(listener, b"a")
        self.world.overload.stops_connections = True
        self.send(listener, b"b", client)
        self.send(listener, b"c")
        self.assertEqual([data for data, _ in heard(self.servers[0])], [b"a", b"b"])

    def test_no_endpoint_is_no_route(self):
        self.cluster = self.make_cluster()
        listener = self.listener()
        self.send(listener, b"a")
        self.assertEqual((listener.cells.no_route.value, len(listener.connections)), (1, 0))

    def test_a_port_where_nobody_listens_is_counted_and_breaks_nothing(self):
        address = self.servers[0].getsockname()
        self.servers[0].close()
        listener = self.listener()
        client = self.send(listener, b"a")
        self.send(listener, b"b", client)
        self.assertGreater(listener.cluster_cells.rx_errors.value + listener.cluster_cells.tx_errors.value, 0)
        back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(back.close)
        back.bind(address)
        back.setblocking(False)
        self.send(listener, b"c", client)
        self.assertEqual([data for data, _ in heard(back)], [b"c"])


class Endpoints(UdpCase):
    def test_one_that_is_not_well_any_more_is_left(self):
        listener = self.listener()
        client = self.send(listener, b"a")
        well, other = self.cluster.endpoints
        well.healthy = False
        self.cluster.pick = lambda exchange: other
        self.send(listener, b"b", client)
        self.assertEqual([data for data, _ in heard(self.servers[1])], [b"b"])
        self.assertEqual((len(listener.connections), well.active, other.active), (1, 0, 1))

    def test_where_no_other_can_be_used_it_stays(self):
        listener = self.listener()
        client = self.send(listener, b"a")
        self.cluster.endpoints[0].healthy = False
        self.cluster.pick = lambda exchange: None
        self.send(listener, b"b", client)
        self.assertEqual([data for data, _ in heard(self.servers[0])], [b"a", b"b"])

    def test_a_reload_keeps_sessions_whose_endpoint_stays(self):
        listener = self.listener()
        client = self.send(listener, b"a")
        (_, session), = heard(self.servers[0])
        after = self.make_cluster(*self.servers)
        listener.replace(listener.spec, after, listener.chain)
        self.send(listener, b"b", client)
        self.assertEqual(heard(self.servers[0]), [(b"b", session)])
        listener.replace(listener.spec, self.make_cluster(self.servers[1]), listener.chain)
        self.send(listener, b"c", client)
        self.assertEqual([data for data, _ in heard(self.servers[1])], [b"c"])
        self.assertEqual(len(listener.connections), 1)

    def test_balancers_see_the_client(self):
        seen = []
        self.cluster.pick = lambda exchange: seen.append((exchange.client, exchange.peer))
        client = self.send(self.listener(), b"a")
        self.assertEqual(seen, [("127.0.0.1", name_of(client))])


class Ends(UdpCase):
    def test_a_closed_one_passes_answers_on_and_leaves_its_address(self):
        listener = self.listener()
        client = self.send(listener, b"a")
        (_, session), = heard(self.servers[0])
        done = []
        listener.close()
        listener.drain(30.0).addCallback(done.append)
        again = self.listener(listener.local)
        self.servers[0].sendto(b"late", session)
        self.world.turn()
        self.assertEqual([data for data, _ in heard(client)], [b"late"])
        self.assertEqual(done, [])
        self.advance(2.1)
        self.assertEqual(done, [None])
        self.send(again, b"new", client)
        self.assertEqual([data for data, _ in heard(self.servers[0])], [b"new"])

    def test_the_deadline_cuts(self):
        listener = self.listener()
        self.send(listener, b"a")
        done = []
        listener.close()
        listener.drain(0.5).addCallback(done.append)
        self.advance(0.6)
        self.assertEqual((done, len(listener.connections)), ([None], 0))

    def test_a_taken_port_is_told(self):
        listener = self.listener()
        with self.assertRaisesRegex(MeshdError, "listener dns: 127.0.0.1:.*: cannot bind: address already in use"):
            self.listener(listener.local)

    def test_a_socket_that_was_handed_over_is_used(self):
        sock = bind_datagram("127.0.0.1:0")
        address = name_of(sock)
        self.world.sockets.give(sock, "dns", place_of(address, 1), is_foreign=True)
        listener = self.listener(address)
        self.assertEqual((listener.socket, listener.place, listener.is_foreign), (sock, f"udp/1/{address}", True))

    def test_another_name_takes_socket_and_sessions_over(self):
        old = self.listener()
        client = self.send(old, b"a")
        (_, session), = heard(self.servers[0])
        spec = SimpleNamespace(**{**vars(old.spec), "name": "other"})
        new = UdpListener(spec, self.cluster, self.world, NetworkChain((), (), None))
        self.open.append(new)
        new.take_from(old)
        self.send(new, b"b", client)
        self.assertEqual(heard(self.servers[0]), [(b"b", session)])
        self.assertEqual((old.cells.active.value, new.cells.active.value), (0, 1))


class Named(UdpCase):
    def test_datagrams_wait_for_the_endpoints_name(self):
        port = self.servers[0].getsockname()[1]
        asked = []
        self.world.resolve = lambda host: asked.append(host) or waiting
        waiting = Deferred()
        spec = attrs.evolve(self.cluster.spec, endpoints=(EndpointSpec(address=f"a.test:{port}"),))
        self.cluster = Cluster(spec, InTurn(), self.cluster.breaker, self.world)
        self.cluster.set_endpoints(spec.endpoints)
        self.cluster.start()
        listener = self.listener()
        client = self.send(listener, b"0")
        for place in range(1, 20):
            self.send(listener, b"%d" % place, client)
        waiting.callback(["127.0.0.1"])
        self.world.turn()
        self.assertEqual([data for data, _ in heard(self.servers[0])], [b"%d" % place for place in range(16)])
        self.assertEqual((asked, listener.cluster_cells.tx_errors.value), (["a.test"], 4))
        self.send(listener, b"more", client)
        self.assertEqual([data for data, _ in heard(self.servers[0])], [b"more"])
