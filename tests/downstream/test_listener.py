"""A live listener: its socket, how it accepts, how it is replaced and how it ends."""

import os
import resource
import socket

import attrs

from meshd.api.exchange import STOP
from meshd.downstream.listener import LiveListener
from meshd.errors import MeshdError
from meshd.exchange.chain import Chain
from meshd.hot.ledger import LOCKING
from meshd.http import flag
from meshd.runtime.swap import Swap
from meshd.wire import address
from meshd.wire.descriptor import with_socket
from tests.downstream.backlog import backlog
from tests.downstream.echo import Echo
from tests.exchange.mesh import GET, MeshCase, Peer, status_of
from tests.host.workers import Host


class Quiet:
    """Never answers."""

    def on_request(self, exchange):
        """Stop and say nothing."""
        return STOP


class ListenerCase(MeshCase):
    """``listening`` returns a mesh whose listener is bound to ``where``."""

    def listening(self, *filters, where="127.0.0.1:0", **options):
        """Bind and start."""
        mesh = self.mesh(*(filters or (Echo(),)), **options)
        mesh.listener.spec = attrs.evolve(mesh.listener.spec, address=where)
        self.addCleanup(mesh.listener.close)
        mesh.listener.bind()
        mesh.listener.start()
        return mesh

    def connect(self, mesh):
        """Return a Peer that has connected from outside."""
        family, sockaddr = address.parse(mesh.listener.local)
        sock = socket.socket(family)
        sock.connect(sockaddr)
        sock.setblocking(False)
        peer = Peer(mesh, sock)
        mesh.clients.append(peer)
        return peer

    def ask(self, mesh):
        """Return the answer to a request from outside."""
        client = self.connect(mesh)
        client.send(GET)
        return client.read()


class Accepting(ListenerCase):
    def test_over_tcp(self):
        mesh = self.listening()
        self.assertEqual(status_of(self.ask(mesh)), 200)
        exchange = mesh.last
        self.assertTrue(exchange.peer.startswith("127.0.0.1:"))
        self.assertEqual((exchange.client, exchange.local), ("127.0.0.1", mesh.listener.local))

    def test_small_answers_do_not_wait_for_one_another(self):
        mesh = self.listening()
        self.connect(mesh)
        mesh.turn()
        (connection,) = mesh.listener.connections
        self.assertTrue(with_socket(connection.descriptor.fd, lambda sock: sock.getsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY)))

    def test_over_tcp_6(self):
        try:
            mesh = self.listening(where="[::1]:0")
        except MeshdError as error:
            self.skipTest(str(error))
        self.assertEqual(status_of(self.ask(mesh)), 200)
        self.assertEqual(mesh.last.client, "::1")

    def test_our_address_where_the_listener_has_no_single_one(self):
        mesh = self.listening(where="0.0.0.0:0")
        port = address.split(mesh.listener.local)[1]
        mesh.listener.local = f"0.0.0.0:{port}"
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setblocking(False)
        client = Peer(mesh, sock)
        mesh.clients.append(client)
        client.send(GET)
        client.read()
        self.assertEqual(mesh.last.local, f"127.0.0.1:{port}")

    def test_over_a_unix_socket(self):
        mesh = self.mesh(Echo())
        mesh = self.listening(where=f"unix:{mesh.folder}/in")
        self.assertEqual(status_of(self.ask(mesh)), 200)
        self.assertEqual(mesh.last.client, "unix")

    def test_many_at_once(self):
        mesh = self.listening()
        clients = [self.connect(mesh) for _ in range(150)]
        for client in clients:
            client.send(GET)
        self.assertEqual([status_of(client.read()) for client in clients], [200] * 150)
        self.assertEqual(mesh.listener.cells.active.value, 150)
        for client in clients:
            client.close()
        self.assertEqual(mesh.listener.cells.active.value, 0)

    def test_connections_are_bounded(self):
        mesh = self.listening(limits={"max_connections": 2})
        first, second, third = [self.connect(mesh) for _ in range(3)]
        mesh.turn()
        self.assertEqual(len(mesh.listener.connections), 2)
        third.send(GET)
        self.assertEqual(third.read(), b"")
        first.close()
        mesh.advance(0.6)
        self.assertEqual(status_of(third.read()), 200)

    def test_without_descriptors_the_others_are_served_and_the_rest_waits(self):
        mesh = self.listening()
        first = self.connect(mesh)
        first.send(GET)
        first.read()
        late = self.connect(mesh)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            copy = os.dup(first.socket.fileno())
            os.close(copy)
            resource.setrlimit(resource.RLIMIT_NOFILE, (copy, hard))
            late.send(GET)
            self.assertEqual(late.read(), b"")
            first.send(GET)
            self.assertEqual(status_of(first.read()), 200)
            self.assertLess(mesh.turn(), 3)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.assertGreaterEqual(mesh.listener.cells.exhausted.value, 1)
        mesh.advance(1.2)
        self.assertEqual(status_of(late.read()), 200)

    def test_a_client_that_left_before_it_was_accepted(self):
        mesh = self.listening()
        client = self.connect(mesh)
        client.socket.send(GET)
        client.reset()
        self.assertEqual(mesh.listener.connections, set())
        self.assertEqual(status_of(self.ask(mesh)), 200)

    def test_a_reset_in_the_middle(self):
        mesh = self.listening(Quiet())
        client = self.connect(mesh)
        client.send(GET)
        client.reset()
        self.assertEqual(mesh.last.flags, flag.DC)


class Addresses(ListenerCase):
    def test_an_address_in_use(self):
        mesh = self.listening()
        spec = attrs.evolve(mesh.listener.spec, address=mesh.listener.local, name="other")
        with self.assertRaisesRegex(MeshdError, r"listener other: 127.0.0.1:\d+: cannot bind: address already in use"):
            LiveListener(spec, {"": mesh.chain}, mesh.world).bind()

    def test_an_address_that_is_not_ours(self):
        mesh = self.mesh(Echo())
        spec = attrs.evolve(mesh.listener.spec, address="192.0.2.1:80")
        with self.assertRaisesRegex(MeshdError, "cannot bind: "):
            LiveListener(spec, {"": mesh.chain}, mesh.world).bind()

    def test_a_unix_socket_that_somebody_serves_is_left_alone(self):
        mesh = self.mesh(Echo())
        path = os.path.join(mesh.folder, "busy")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            server.listen()
            with self.assertRaisesRegex(MeshdError, "cannot bind: "):
                self.listening(where=f"unix:{path}")
            self.assertTrue(os.path.exists(path))

    def test_a_unix_socket_that_nobody_serves_is_replaced(self):
        mesh = self.mesh(Echo())
        path = os.path.join(mesh.folder, "stale")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
        mesh = self.listening(where=f"unix:{path}")
        self.assertEqual(status_of(self.ask(mesh)), 200)
        mesh.listener.close()
        self.assertFalse(os.path.exists(path))

    def test_a_file_that_is_no_socket_is_left_alone(self):
        mesh = self.mesh(Echo())
        path = os.path.join(mesh.folder, "file")
        with open(path, "w") as file:
            file.write("precious")
        with self.assertRaises(MeshdError):
            self.listening(where=f"unix:{path}")
        with open(path) as file:
            self.assertEqual(file.read(), "precious")


class Reloads(ListenerCase):
    def test_the_next_request_of_an_open_connection_gets_the_new_chain(self):
        mesh = self.listening()
        client = self.connect(mesh)
        client.send(GET)
        self.assertTrue(client.read().endswith(b"/"))
        chain = Chain((mesh.use(Echo(3)), mesh.use(mesh.forward)), (mesh.use(mesh.sink),))
        mesh.listener.replace(mesh.listener.spec, {"": chain})
        client.send(GET)
        self.assertTrue(client.read().endswith(b"/xxx"))
        self.assertEqual((mesh.chain.active, chain.active), (0, 0))

    def test_a_request_in_flight_ends_on_the_chain_that_it_began_with(self):
        mesh = self.listening(Quiet())
        client = self.connect(mesh)
        client.send(GET)
        old = mesh.chain
        told = []
        mesh.listener.replace(mesh.listener.spec, {"": Chain((mesh.use(Echo()), mesh.use(mesh.forward)), ())})
        old.retire(lambda: told.append("idle"))
        self.assertEqual(told, [])
        mesh.connection().exchange.reply(200, b"late")
        self.assertTrue(client.read().endswith(b"late"))
        self.assertEqual(told, ["idle"])
        client.send(GET)
        self.assertTrue(client.read().endswith(b"/"))

    def test_an_open_connection_gets_the_new_rules_of_the_edge(self):
        mesh = self.listening()
        client = self.connect(mesh)
        client.send(GET.replace(b"/ ", b"/a//b "))
        self.assertTrue(client.read().endswith(b"/a/b"))
        http = attrs.evolve(mesh.listener.spec.http, merge_slashes=False)
        mesh.listener.replace(attrs.evolve(mesh.listener.spec, http=http), {"": mesh.chain})
        client.send(GET.replace(b"/ ", b"/a//b "))
        self.assertTrue(client.read().endswith(b"/a//b"))

    def test_a_changed_backlog_holds_for_the_same_socket(self):
        mesh = self.listening()
        before = mesh.listener.socket
        mesh.listener.replace(attrs.evolve(mesh.listener.spec, backlog=7), {"": mesh.chain})
        self.assertIs(mesh.listener.socket, before)
        self.assertEqual(backlog(mesh.listener.socket), 7)

    def test_closed_it_takes_no_new_client_and_serves_those_it_has(self):
        mesh = self.listening()
        client = self.connect(mesh)
        client.send(GET)
        client.read()
        mesh.world.run(mesh.listener.close)
        mesh.listener.close()
        with self.assertRaises(OSError):
            self.connect(mesh)
        client.send(GET)
        self.assertEqual(status_of(client.read()), 200)

    def test_closed_it_serves_all_who_wait(self):
        mesh = self.listening()
        clients = [self.connect(mesh) for _ in range(200)]
        for client in clients:
            client.socket.send(GET)
        self.assertEqual(len(mesh.listener.connections), 0)
        mesh.world.run(mesh.listener.close)
        self.assertEqual([status_of(client.read()) for client in clients], [200] * 200)

    def test_gone_it_serves_all_who_wait_though_a_supervisor_has_the_socket_too(self):
        mesh = self.listening()
        mesh.listener.is_foreign, mesh.listener.accepts = True, 1
        clients = [self.connect(mesh) for _ in range(20)]
        mesh.world.run(lambda: Swap(None, gone=[mesh.listener]).drain(5.0))
        for client in clients:
            client.send(GET)
            self.assertEqual(status_of(client.read()), 200)

    def test_closed_it_takes_in_as_many_as_may_be(self):
        mesh = self.listening(limits={"max_connections": 100})
        clients = [self.connect(mesh) for _ in range(200)]
        mesh.world.run(mesh.listener.close)
        self.assertEqual(len(mesh.listener.connections), 100)
        for client in clients[:100]:
            client.send(GET)
            self.assertEqual(status_of(client.read()), 200)

    def test_closed_while_it_holds_it_does_not_come_back(self):
        mesh = self.listening(limits={"max_connections": 1})
        self.connect(mesh)
        self.connect(mesh)
        mesh.turn()
        self.assertFalse(mesh.listener.is_accepting)
        mesh.world.run(mesh.listener.close)
        mesh.advance(2)
        self.assertFalse(mesh.listener.is_accepting)


class Workers(ListenerCase):
    """Two workers of one host that have the same listener; here each has a socket of its own."""

    def setUp(self):
        self.host = Host(self, locking=LOCKING)
        self.arenas = [self.host.worker() for _ in range(2)]

    def workers(self, limit):
        return [self.listening(arena=arena, limits={"max_connections": limit}) for arena in self.arenas]

    def test_connections_are_bounded_over_all_of_them(self):
        one, other = self.workers(2)
        first, second, third = self.connect(one), self.connect(other), self.connect(other)
        for mesh in (one, other):
            mesh.turn()
        self.assertEqual([len(mesh.listener.connections) for mesh in (one, other)], [1, 1])
        third.send(GET)
        self.assertEqual(third.read(), b"")
        self.assertEqual(other.listener.cells.refused.value, 1)
        first.close()
        other.advance(0.6)
        self.assertEqual(status_of(third.read()), 200)
        self.assertEqual((one.listener.places.used(0), second.socket.fileno() > 0), (2, True))

    def test_a_place_is_held_by_connections_only(self):
        one, other = self.workers(9)
        clients = [self.connect(mesh) for mesh in (one, other, one)]
        for mesh in (one, other):
            mesh.turn()
        self.assertEqual(other.listener.places.used(0), 3)
        clients[0].close()
        self.assertEqual(other.listener.places.used(0), 2)

    def test_the_places_of_a_dead_worker_come_free(self):
        one, other = self.workers(1)
        self.connect(one)
        one.turn()
        waiting = self.connect(other)
        waiting.send(GET)
        self.assertEqual(waiting.read(), b"")
        self.host.supervisor.bury(self.arenas[0].slot)
        other.advance(0.6)
        self.assertEqual(status_of(waiting.read()), 200)

    def test_the_claim_ends_with_the_last_connection_of_a_closed_listener(self):
        one, other = self.workers(9)
        client = self.connect(one)
        one.turn()
        other.world.run(other.listener.close)
        one.world.run(one.listener.close)
        self.assertEqual(self.host.supervisor.used(), 1)
        client.send(GET)
        self.assertEqual(status_of(client.read()), 200)
        client.close()
        one.turn()
        self.assertEqual(self.host.supervisor.used(), 0)
