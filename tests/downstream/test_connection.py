"""A downstream connection: keep-alive, pipelining, its ends, and its deadlines."""

from meshd.http import flag
from tests.downstream.echo import Echo
from tests.exchange.mesh import GET, OK, MeshCase, head_of, status_of

POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"
CLOSE = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


class BadEdge:
    """Has a bug."""

    is_finishing = False

    def prepare(self, exchange):
        """Raise what no rule foresees."""
        raise LookupError("bug")


def numbered(count):
    """Return ``count`` requests in one piece."""
    return b"".join(GET.replace(b"/ ", b"/%d " % number) for number in range(count))


def paths(answers):
    """Return the bodies of Echo's answers."""
    return [part.partition(b"\r\n\r\n")[2] for part in answers.split(b"HTTP/1.1 200 OK")[1:]]


class KeepAlive(MeshCase):
    def test_one_after_another(self):
        mesh = self.mesh(Echo())
        client = mesh.client()
        for number in range(5):
            client.send(GET.replace(b"/ ", b"/%d " % number))
            self.assertEqual(paths(client.read()), [b"/%d" % number])
        self.assertEqual(mesh.listener.cells.connections.value, 1)
        self.assertEqual(mesh.listener.cells.requests.value, 5)

    def test_close_is_heeded(self):
        mesh = self.mesh(Echo())
        client = mesh.client(CLOSE)
        self.assertEqual(head_of(client.read())[1][b"connection"], b"close")
        self.assertEqual(client.end(), "fin")
        self.assertEqual(mesh.listener.connections, set())

    def test_an_old_client_is_closed_on_unless_it_asks(self):
        mesh = self.mesh(Echo())
        client = mesh.client(b"GET / HTTP/1.0\r\n\r\n")
        self.assertEqual(head_of(client.read())[1][b"connection"], b"close")
        self.assertEqual(client.end(), "fin")
        client = mesh.client()
        for _ in range(3):
            client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            self.assertEqual(head_of(client.read())[1][b"connection"], b"keep-alive")

    def test_an_old_client_may_be_refused(self):
        mesh = self.mesh(Echo(), http={"accept_http_10": False})
        self.assertEqual(status_of(mesh.ask(b"GET / HTTP/1.0\r\n\r\n")), 505)

    def test_requests_of_one_connection_are_bounded(self):
        mesh = self.mesh(Echo(), limits={"max_requests_per_connection": 2})
        client = mesh.client(GET)
        self.assertNotIn(b"connection: close", client.read())
        client.send(GET)
        self.assertIn(b"connection: close", client.read())
        self.assertEqual(client.end(), "fin")

    def test_an_old_connection_is_asked_to_close(self):
        mesh = self.mesh(Echo(), times={"max_connection_s": 10.0})
        client = mesh.client(GET)
        self.assertNotIn(b"connection: close", client.read())
        mesh.advance(11)
        client.send(GET)
        self.assertIn(b"connection: close", client.read())
        self.assertEqual(client.end(), "fin")

    def test_connect_is_refused(self):
        mesh = self.mesh(Echo())
        self.assertEqual(status_of(mesh.ask(b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n")), 405)

    def test_a_slash_in_disguise_is_refused_or_sent_away(self):
        mesh = self.mesh(Echo())
        self.assertEqual(status_of(mesh.ask(GET.replace(b"/ ", b"/a%2fb "))), 400)
        mesh = self.mesh(Echo(), http={"path_with_escaped_slashes_action": "unescape_and_redirect"})
        line, fields, _ = head_of(mesh.ask(GET.replace(b"/ ", b"/a%2fb?c ")))
        self.assertEqual((int(line[9:12]), fields[b"location"]), (307, b"/a/b?c"))


class Pipelining(MeshCase):
    def test_a_hundred_in_one_write_are_answered_in_order(self):
        mesh = self.mesh(Echo())
        client = mesh.client(numbered(100))
        self.assertEqual(paths(client.read()), [b"/%d" % number for number in range(100)])

    def test_a_hundred_through_an_upstream(self):
        mesh = self.mesh()
        client = mesh.client(numbered(100))
        peer = mesh.upstream.accept()
        for number in range(100):
            self.assertTrue(peer.read().startswith(b"GET /%d " % number))
            peer.send(OK.replace(b"ok", b"%02d" % number))
        answers = client.read()
        self.assertEqual([part[-2:] for part in answers.split(b"HTTP/1.1")[1:]], [b"%02d" % n for n in range(100)])

    def test_bodies_in_between(self):
        mesh = self.mesh()
        client = mesh.client(POST + b"bodyGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
        peer, data = mesh.upstream.serve()
        self.assertTrue(data.endswith(b"body"))
        self.assertTrue(peer.read().startswith(b"GET /2"))
        peer.send(OK)
        self.assertEqual(client.read(), OK * 2)

    def test_megabytes_of_requests_wait_in_the_kernel_and_are_all_answered(self):
        mesh = self.mesh()
        count = 60_000
        data = GET * count
        client = mesh.client()
        sent = client.send(data)
        self.assertLess(sent, len(data))
        self.assertLess(mesh.connection().parser.buffered, 300_000)
        peer = mesh.upstream.accept()
        answered = 0
        while answered < 600:
            self.assertTrue(peer.read())
            peer.send(OK)
            answered += 1
            self.assertLess(mesh.connection().parser.buffered, 300_000)
        self.assertEqual(client.read(), OK * 600)
        self.assertEqual(mesh.listener.cells.protocol_errors.value, 0)
        client.close()
        peer.send(OK)

    def test_answers_that_are_not_read_stop_the_requests(self):
        mesh = self.mesh(Echo(5000))
        echo = mesh.uses[0].object
        client = mesh.client()
        data = GET * 20_000
        sent = client.send(data)
        self.assertLess(sent, len(data))
        self.assertLess(mesh.connection().descriptor.pending_bytes, 200_000)
        before = echo.count
        got = 0
        while sent < len(data):
            got += client.read(1_000_000).count(b"200 OK")
            sent += client.send(data[sent:])
        got += client.read().count(b"200 OK")
        self.assertGreater(echo.count, before)
        self.assertEqual((echo.count, got), (20_000, 20_000))

    def test_answers_of_an_upstream_that_are_not_read_stop_the_requests(self):
        mesh = self.mesh()
        client = mesh.client(numbered(2000), small=True)
        peer = mesh.upstream.accept()
        answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n" + b"x" * 5000
        served = 0
        while peer.read():
            peer.send(answer)
            served += 1
        self.assertLess(served, 200)
        self.assertLess(mesh.connection().descriptor.pending_bytes, 200_000)

    def test_a_client_that_never_reads_its_answers_is_cut(self):
        mesh = self.mesh(Echo(5000), times={"send_s": 5.0, "idle_s": 60.0})
        client = mesh.client()
        client.send(GET * 20_000)
        mesh.advance(10.5)
        self.assertEqual(mesh.listener.connections, set())

    def test_garbage_after_a_request_is_refused_after_its_answer(self):
        mesh = self.mesh(Echo())
        client = mesh.client(GET + b"\0\0\0\0\r\n\r\n")
        answers = client.read()
        self.assertEqual([answers[9:12], answers.count(b"HTTP/1.1 ")], [b"200", 2])
        self.assertIn(b"HTTP/1.1 400", answers)
        self.assertEqual(client.end(), "fin")


class Ends(MeshCase):
    def test_a_client_that_goes_between_requests(self):
        mesh = self.mesh(Echo())
        client = mesh.client(GET)
        client.close()
        self.assertEqual(mesh.listener.connections, set())
        self.assertEqual(len(mesh.sink.ended), 1)

    def test_a_client_that_goes_before_a_request(self):
        mesh = self.mesh(Echo())
        mesh.client().close()
        mesh.client(b"GET / HT").close()
        self.assertEqual((mesh.listener.connections, mesh.sink.ended), (set(), []))

    def test_broken_http_gets_one_answer_and_the_end(self):
        mesh = self.mesh(Echo())
        client = mesh.client(b"GET /\r\n\r\n")
        self.assertEqual(status_of(client.read()), 400)
        self.assertEqual(client.end(), "fin")
        self.assertEqual((mesh.last.flags, mesh.last.is_local_reply), (flag.DPE, True))
        self.assertEqual(mesh.listener.cells.protocol_errors.value, 1)

    def test_broken_http_in_the_middle_of_an_exchange(self):
        mesh = self.mesh()
        client = mesh.client(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        peer = mesh.upstream.accept()
        client.send(b"zz\r\n")
        self.assertEqual(status_of(client.read()), 400)
        self.assertEqual((peer.end(), client.end()), ("fin", "fin"))
        self.assertEqual(mesh.last.flags, flag.DPE)

    def test_while_it_lingers_what_still_comes_is_dropped(self):
        mesh = self.mesh(Echo())
        client = mesh.client(b"GET /\r\n\r\n")
        self.assertEqual(status_of(client.read()), 400)
        client.send(GET * 100)
        self.assertEqual(client.read(), b"")
        self.assertEqual(len(mesh.sink.ended), 1)
        self.assertEqual(len(mesh.listener.connections), 1)
        client.close()
        self.assertEqual(mesh.listener.connections, set())

    def test_it_lingers_for_a_second_at_most(self):
        mesh = self.mesh(Echo())
        mesh.client(b"GET /\r\n\r\n")
        mesh.advance(1.1)
        self.assertEqual(mesh.listener.connections, set())

    def test_an_error_that_no_rule_foresees_is_a_500(self):
        mesh = self.mesh(Echo())
        client = mesh.client(GET)
        client.read()
        real, mesh.listener.whole.edge = mesh.listener.whole.edge, BadEdge()
        client.send(GET)
        self.assertEqual(status_of(client.read()), 500)
        self.assertEqual(mesh.last.detail, "internal_error")
        self.assertEqual(client.end(), "fin")
        self.assertEqual(len(mesh.world.bugs), 1)
        mesh.listener.whole.edge = real
        mesh.world.events.clear()
        self.assertEqual(status_of(mesh.ask()), 200)
