"""What a listener does while the process is overloaded."""

import gc
import os
import resource
import socket
import weakref

import attrs

from meshd.downstream.listener import LiveListener
from meshd.exchange.chain import Chain
from meshd.http import flag
from tests.downstream.echo import Echo
from tests.downstream.test_listener import ListenerCase, Quiet
from tests.exchange.mesh import GET, head_of, status_of


class OverloadCase(ListenerCase):
    """``change`` puts actions in force, as the monitor does."""

    def change(self, mesh, **actions):
        state = {"disables_keepalive": False, "stops_requests": False, "stops_connections": False, **actions}
        mesh.world.run(lambda: mesh.world.overload.change(**state))

    def client(self, mesh):
        client = self.connect(mesh)
        mesh.turn()
        return client


class Requests(OverloadCase):
    def test_a_new_request_is_refused_with_flag_detail_and_retry_after(self):
        mesh = self.listening()
        mesh.world.overload.headers = ((b"retry-after", b"7"),)
        client = self.client(mesh)
        self.change(mesh, stops_requests=True)
        client.send(GET)
        answer = client.read()
        self.assertEqual(status_of(answer), 503)
        self.assertIn(b"\r\nretry-after: 7\r\n", answer)
        self.assertIn(b"\r\nconnection: close\r\n", answer)
        self.assertTrue(answer.endswith(b"\r\n\r\nthe proxy is overloaded\n"))
        self.assertEqual(client.end(), "fin")
        self.assertEqual((mesh.last.flags, mesh.last.detail), (flag.OM, "overload"))
        self.assertEqual(mesh.listener.cells.shed.value, 1)
        self.assertEqual(mesh.listener.cells.active_requests.value, 0)

    def test_no_filter_sees_it(self):
        echo = Echo()
        seen = []
        echo.on_complete = seen.append
        mesh = self.listening(echo)
        self.change(mesh, stops_requests=True)
        self.assertEqual(status_of(self.ask(mesh)), 503)
        self.assertEqual(seen, [])

    def test_a_body_that_is_still_on_its_way_does_not_hide_the_answer(self):
        mesh = self.listening()
        self.change(mesh, stops_requests=True)
        client = self.client(mesh)
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 1000000\r\n\r\n" + b"x" * 1000)
        self.assertEqual(status_of(client.read()), 503)
        client.send(b"x" * 100000)
        self.assertEqual(client.end(), "fin")

    def test_a_request_in_flight_is_served(self):
        mesh = self.listening(Quiet())
        client = self.client(mesh)
        client.send(GET)
        self.change(mesh, stops_requests=True)
        mesh.connection().exchange.reply(200, b"late")
        self.assertTrue(client.read().endswith(b"late"))
        self.assertEqual((mesh.last.flags, mesh.chain.active), (0, 0))

    def test_what_breaks_http_is_still_told_so(self):
        mesh = self.listening()
        self.change(mesh, stops_requests=True)
        client = self.client(mesh)
        client.send(b"no http\r\n\r\n")
        self.assertEqual(status_of(client.read()), 400)
        self.assertEqual(mesh.last.flags, flag.DPE)

    def test_afterwards_all_is_as_before(self):
        mesh = self.listening()
        self.change(mesh, stops_requests=True)
        self.change(mesh)
        client = self.client(mesh)
        for _ in range(2):
            client.send(GET)
            self.assertEqual(status_of(client.read()), 200)

    def test_a_listener_that_has_gone_is_freed_without_the_collector(self):
        mesh = self.mesh(Echo())
        gc.disable()
        try:
            gone = weakref.ref(LiveListener(mesh.listener.spec, {"": mesh.chain}, mesh.world))
            self.assertIsNone(gone())
        finally:
            gc.enable()
        self.change(mesh, stops_requests=True)

    def test_a_reload_meanwhile_ends_nothing(self):
        mesh = self.listening()
        self.change(mesh, stops_requests=True)
        chain = Chain((mesh.use(Echo(3)), mesh.use(mesh.forward)), (mesh.use(mesh.sink),))
        mesh.listener.replace(mesh.listener.spec, {"": chain})
        self.assertEqual(status_of(self.ask(mesh)), 503)
        self.change(mesh)
        self.assertTrue(self.ask(mesh).endswith(b"/xxx"))
        self.assertEqual((mesh.chain.active, chain.active), (0, 0))


class KeepAlive(OverloadCase):
    def test_answers_end_their_connections(self):
        mesh = self.listening()
        client = self.client(mesh)
        client.send(GET)
        self.assertNotIn(b"connection", head_of(client.read())[1])
        self.change(mesh, disables_keepalive=True)
        client.send(GET)
        answer = client.read()
        self.assertEqual(status_of(answer), 200)
        self.assertEqual(head_of(answer)[1][b"connection"], b"close")
        self.assertEqual(client.end(), "fin")
        self.assertEqual(mesh.listener.cells.unkept.value, 1)

    def test_one_that_would_not_be_kept_anyway_is_not_counted(self):
        mesh = self.listening()
        self.change(mesh, disables_keepalive=True)
        client = self.client(mesh)
        client.send(GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
        client.read()
        self.assertEqual(mesh.listener.cells.unkept.value, 0)


class Connections(OverloadCase):
    def test_new_clients_wait_and_those_who_are_there_are_served(self):
        mesh = self.listening()
        first = self.client(mesh)
        self.change(mesh, stops_connections=True)
        late = self.connect(mesh)
        late.send(GET)
        mesh.advance(2)
        self.assertEqual(late.read(), b"")
        first.send(GET)
        self.assertEqual(status_of(first.read()), 200)
        self.change(mesh)
        self.assertEqual(status_of(late.read()), 200)

    def test_after_the_wait_they_are_told(self):
        mesh = self.listening()
        mesh.world.overload.max_wait_s = 2.0
        self.change(mesh, stops_connections=True)
        clients = [self.connect(mesh) for _ in range(30)]
        for client in clients:
            client.socket.send(GET)
        mesh.advance(1.5)
        self.assertEqual([client.read() for client in clients], [b""] * 30)
        mesh.advance(1.5)
        answers = [client.read() for client in clients]
        self.assertEqual([status_of(answer) for answer in answers], [503] * 30)
        self.assertIn(b"\r\nretry-after: 1\r\n", answers[0])
        self.assertEqual([client.end() for client in clients], ["fin"] * 30)
        self.assertEqual(mesh.listener.cells.rejected.value, 30)
        self.assertEqual((mesh.last.flags, mesh.last.detail), (flag.OM, "overload"))
        self.assertEqual((mesh.listener.cells.active.value, mesh.world.overload.guests), (0, 0))

    def test_who_says_nothing_does_not_keep_the_others_out_for_long(self):
        mesh = self.listening()
        mesh.world.overload.max_wait_s = 1.0
        self.change(mesh, stops_connections=True)
        silent = [self.connect(mesh) for _ in range(8)]
        slow = [self.connect(mesh) for _ in range(8)]
        for client in slow:
            client.socket.send(GET[:9])
        late = self.connect(mesh)
        late.send(GET)
        mesh.advance(1.2)
        self.assertEqual(len(mesh.listener.connections), 8)
        self.assertEqual(late.read(), b"")
        mesh.advance(5)
        self.assertEqual(status_of(late.read()), 503)
        self.assertEqual({client.end() for client in silent}, {"fin"})
        self.assertEqual(mesh.world.overload.guests, 0)

    def test_while_there_is_no_room_nothing_spins(self):
        mesh = self.listening()
        mesh.world.overload.max_wait_s = 0.0
        self.change(mesh, stops_connections=True)
        for _ in range(20):
            self.connect(mesh)
        mesh.advance(0.7)
        self.assertEqual(mesh.world.overload.guests, 8)
        self.assertEqual(mesh.turn(), 0)

    def test_afterwards_the_lobby_is_closed(self):
        mesh = self.listening()
        mesh.world.overload.max_wait_s = 0.0
        self.change(mesh, stops_connections=True)
        self.assertEqual(status_of(self.refused(mesh)), 503)
        self.change(mesh)
        self.assertFalse(mesh.listener.lobby.is_open)
        client = self.client(mesh)
        for _ in range(2):
            client.send(GET)
            self.assertEqual(status_of(client.read()), 200)

    def refused(self, mesh):
        client = self.connect(mesh)
        client.socket.send(GET)
        mesh.advance(0.7)
        return client.read()

    def test_a_listener_that_starts_meanwhile_waits_too(self):
        mesh = self.mesh(Echo())
        self.change(mesh, stops_connections=True)
        self.addCleanup(mesh.listener.close)
        mesh.listener.bind()
        mesh.listener.start()
        client = self.connect(mesh)
        client.send(GET)
        self.assertEqual(client.read(), b"")
        self.change(mesh)
        self.assertEqual(status_of(client.read()), 200)

    def test_closed_while_the_lobby_is_open_nothing_is_watched(self):
        mesh = self.listening()
        mesh.world.overload.max_wait_s = 0.0
        self.change(mesh, stops_connections=True)
        self.refused(mesh)
        mesh.world.run(mesh.listener.close)
        mesh.advance(2)
        self.assertEqual(mesh.world.poller.owners, {})

    def test_many_changes_make_no_second_timer(self):
        mesh = self.listening()
        for _ in range(10):
            self.change(mesh, stops_connections=True)
            self.change(mesh)
        self.change(mesh, stops_connections=True)
        self.assertEqual(len(mesh.world.reactor.getDelayedCalls()), 1)

    def test_no_guest_gets_the_last_descriptors(self):
        mesh = self.listening()
        mesh.world.overload.max_wait_s = 0.0
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        held = [os.dup(0) for _ in range(32)]
        try:
            client = self.connect(mesh)
            client.socket.send(GET)
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(held) + 3, hard))
            self.change(mesh, stops_connections=True)
            mesh.advance(0.7)
            self.assertEqual(mesh.listener.connections, set())
            self.assertEqual(mesh.listener.cells.rejected.value, 1)
            self.assertNotEqual(client.end(), "open")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for number in held:
                os.close(number)


class Unix(OverloadCase):
    def test_a_unix_socket_has_a_lobby_too(self):
        mesh = self.mesh(Echo())
        mesh = self.listening(where=f"unix:{mesh.folder}/in")
        mesh.world.overload.max_wait_s = 0.0
        self.change(mesh, stops_connections=True)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"{mesh.listener.local[5:]}")
            client.send(GET)
            mesh.advance(0.7)
            self.assertEqual(status_of(client.recv(65536)), 503)

    def test_the_limits_of_guests_follow_the_listeners(self):
        mesh = self.listening()
        limits = attrs.evolve(mesh.listener.spec.limits, max_fields=5)
        mesh.listener.replace(attrs.evolve(mesh.listener.spec, limits=limits), {"": mesh.chain})
        self.assertEqual(mesh.listener.lobby.spec.limits.max_fields, 5)
