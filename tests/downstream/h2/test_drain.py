"""How connections end in order: two GOAWAYs with a ping between them, for every reason there is."""

from meshd.http.h2.code import MAX_STREAM_ID
from tests.downstream.echo import Echo
from tests.downstream.h2.client import H2Case, request
from tests.h2.wire import goaway

TWO = [("goaway", MAX_STREAM_ID, 0), ("goaway", 1, 0)]


def goaways(events):
    """Return the GOAWAYs among events."""
    return [event for event in events if event[0] == "goaway"]


class Fast(H2Case):
    engine = "fast"

    def test_a_drain_says_goaway_twice_and_waits_for_what_is_open(self):
        mesh = self.mesh()
        client = self.client(mesh, engine="pure")
        stream = client.begin()
        peer = mesh.upstream.accept()
        mesh.world.run(mesh.listener.drain, 30)
        self.assertEqual(goaways(client.events()), TWO)
        self.assertEqual(client.peer.end(), "open")
        peer.read()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        self.assertEqual(client.body(stream), b"ok")
        self.assertEqual(client.peer.end(), "fin")
        self.assertEqual(mesh.listener.whole.http2.cells.goaway.value, 1)

    def test_a_client_that_says_goaway_is_let_go_with_its_last_answer(self):
        mesh = self.mesh()
        client = self.client(mesh, engine="pure")
        stream = client.begin()
        peer = mesh.upstream.accept()
        client.peer.send(goaway(0, 2, b"bye"))
        self.assertEqual((client.events(), client.peer.end()), ([], "open"))
        peer.read()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        self.assertEqual(client.body(stream), b"ok")
        self.assertEqual(goaways(client.log.events), [("goaway", 1, 0)])
        self.assertEqual(client.peer.end(), "fin")
        self.assertEqual(mesh.listener.cells.protocol_errors.value, 0)

    def test_a_client_that_has_nothing_open_and_says_goaway_is_let_go(self):
        mesh = self.mesh()
        client = self.client(mesh, engine="pure")
        client.peer.send(goaway(0))
        self.assertEqual(goaways(client.events()), [("goaway", 0, 0)])
        self.assertEqual(client.peer.end(), "fin")

    def test_what_was_on_its_way_at_the_first_goaway_is_served(self):
        mesh = self.mesh(Echo())
        client = self.client(mesh, engine="pure")
        stream = client.session.request(request(), True)
        late = client.session.take()
        mesh.world.run(mesh.listener.drain, 30)
        client.peer.send(late)
        self.assertEqual(client.status(stream), 200)
        self.assertEqual(goaways(client.log.events), TWO)

    def test_a_client_without_an_answer_to_the_ping_has_its_time(self):
        mesh = self.mesh()
        client = self.client(mesh, engine="pure")
        mesh.world.run(mesh.listener.drain, 30)
        mesh.advance(4)
        self.assertEqual(client.peer.end(), "open")
        mesh.advance(2)
        self.assertEqual(client.peer.end(), "fin")

    def test_at_the_deadline_it_is_cut(self):
        mesh = self.mesh()
        client = self.client(mesh, engine="pure")
        client.begin()
        mesh.upstream.accept()
        mesh.world.run(mesh.listener.drain, 30)
        client.turn()
        mesh.advance(31)
        self.assertEqual(mesh.listener.connections, set())
        self.assertEqual(len(mesh.sink.ended), 1)

    def test_requests_of_one_connection_are_bounded(self):
        mesh = self.mesh(Echo(), limits={"max_requests_per_connection": 1})
        client = self.client(mesh, engine="pure")
        self.assertEqual(client.status(client.begin()), 200)
        self.assertEqual(goaways(client.events()), TWO)
        self.assertEqual(client.peer.end(), "fin")
        self.assertEqual(mesh.listener.whole.http2.cells.spent.value, 1)

    def test_an_old_connection_is_drained(self):
        mesh = self.mesh(Echo(), times={"max_connection_s": 10.0})
        client = self.client(mesh, engine="pure")
        client.begin()
        mesh.advance(11)
        self.assertEqual(goaways(client.events()), TWO)
        self.assertEqual(mesh.listener.whole.http2.cells.aged.value, 1)

    def test_an_idle_one_is_drained_and_not_one_with_a_stream(self):
        mesh = self.mesh(times={"idle_s": 10.0})
        client = self.client(mesh, engine="pure")
        client.begin()
        peer = mesh.upstream.accept()
        mesh.advance(11)
        self.assertEqual(goaways(client.events()), [])
        peer.read()
        peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        client.turn()
        mesh.advance(9)
        self.assertEqual(goaways(client.events()), [])
        mesh.advance(2)
        self.assertEqual(goaways(client.events()), TWO)

    def test_under_overload_connections_are_not_kept(self):
        mesh = self.mesh(Echo())
        mesh.world.overload.disables_keepalive = True
        mesh.listener.follow()
        client = self.client(mesh, engine="pure")
        self.assertEqual(client.status(client.begin()), 200)
        self.assertEqual(goaways(client.events()), TWO)
        self.assertEqual(mesh.listener.cells.unkept.value, 1)

    def test_under_overload_requests_are_refused(self):
        mesh = self.mesh(Echo())
        mesh.world.overload.stops_requests = True
        mesh.listener.follow()
        client = self.client(mesh, engine="pure")
        self.assertEqual(client.status(client.begin()), 503)
        self.assertEqual(mesh.listener.cells.shed.value, 1)


class Pure(Fast):
    engine = "pure"

