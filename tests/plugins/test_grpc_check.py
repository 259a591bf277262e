"""The health checker grpc: what it asks, and what an answer comes to, against a server of HTTP/2 in memory."""

import unittest

from meshd.api import Checked, Headers, ResponseHead, grpc, message
from meshd.http.h2.session import start
from meshd.http.h2.settings import Settings
from meshd.http.h2.sink import Sink
from meshd.testing.contract.cluster import HealthCheckerContract
from meshd.testing.contract.kind import endpoints
from meshd.testing.site import FakeSite
from meshd_plugins.health_checker import GrpcCheckOptions
from meshd_plugins.health_checker.grpc import GrpcChecker
from tests.plugins.reading import read


def typed(status=200, kind=b"application/grpc", *pairs):
    return ResponseHead(status, Headers.of((b"content-type", kind), *pairs), version=20)


class Server(Sink):
    """A connection in the test's hand, with a gRPC server behind it that answers by ``script``: (head, body, trailers),
    or a callable(session, stream).
    """

    def __init__(self, site, address, receiver):
        self.site, self.address, self.receiver = site, address, receiver
        self.session = start("server", Settings(), self, "pure")
        self.is_closed = False
        self.bodies = {}

    def send(self, data):
        """What the checker says."""
        self.session.receive(data)
        self.site.clock.call_later(0, self.flush)

    def flush(self):
        """Say what there is to say."""
        data = self.session.take()
        if data and not self.is_closed:
            self.receiver.received(data)
        if self.session.is_closed and not self.is_closed:
            self.receiver.lost("closed by the peer")

    def close(self):
        self.is_closed = True

    def on_request(self, stream_id, head, is_last):
        self.site.heads.append(head)

    def on_body(self, stream_id, data):
        self.session.consume(stream_id, len(data))
        self.site.asked.append(data)

    def on_end(self, stream_id, trailers):
        script = self.site.scripts.pop(0) if self.site.scripts else None
        if callable(script):
            script(self.session, stream_id)
        elif script is not None:
            head, body, tail = script
            self.session.respond(stream_id, head, body is None)
            if body is not None:
                self.session.send(stream_id, body, tail is None)
            if tail is not None:
                self.session.trailers(stream_id, tail)


class Site(FakeSite):
    """``heads`` and ``asked`` are the calls that came, ``streams`` the connections."""

    def __init__(self, *scripts):
        super().__init__("up")
        self.scripts = list(scripts)
        self.heads, self.asked, self.streams = [], [], []
        self.world.dial = self.dial_now

    def dial_now(self, address, receiver, timeout_s, tls=None, host="", alpn=(), preface=b""):
        stream = Server(self, address, receiver)
        self.streams.append(stream)
        self.clock.call_later(0, lambda: stream.is_closed or receiver.opened())
        return stream


def served(state, status=0):
    """Return the script of an answer."""
    return typed(), grpc.frame(message.number(1, state)), Headers.of((b"grpc-status", b"%d" % status))


class Case(unittest.TestCase):
    def check(self, site, **options):
        """Return what a check has found, made by a checker of its own."""
        return self.again(GrpcChecker(GrpcCheckOptions(**options), site), site)

    def again(self, checker, site):
        self.found = found = []
        self.deferred = checker.check(endpoints(1)[0])
        self.deferred.addBoth(found.append)
        site.advance(0.0)
        site.advance(0.0)
        site.advance(0.0)
        return found[0] if found else None


class Asking(Case):
    def test_the_call(self):
        site = Site(served(1))
        found = self.check(site, service_name="shop.Cart", authority="shop", initial_metadata=(("x-a", "1"),))
        self.assertEqual(found, Checked(is_well=True))
        head, = site.heads
        self.assertEqual((head.method, head.path, head.host), (b"POST", b"/grpc.health.v1.Health/Check", b"shop"))
        for name, value in ((b"content-type", b"application/grpc"), (b"te", b"trailers"), (b"x-a", b"1"),
                            (b"user-agent", b"meshd/HealthCheck")):
            self.assertEqual(head.headers.get(name), value)
        self.assertEqual(b"".join(site.asked), b"\0\0\0\0\x0b\x0a\x09shop.Cart")

    def test_without_a_service_the_server_as_a_whole_is_asked_under_the_clusters_name(self):
        site = Site(served(1))
        self.check(site)
        self.assertEqual((b"".join(site.asked), site.heads[0].host), (b"\0\0\0\0\0", b"up"))

    def test_another_port(self):
        site = Site(served(1))
        self.check(site, alt_port=99)
        self.assertTrue(site.streams[0].address.endswith(":99"))

    def test_the_connection_is_kept(self):
        site = Site(served(1), served(2), served(1))
        checker = GrpcChecker(GrpcCheckOptions(), site)
        self.assertTrue(self.again(checker, site).is_well)
        self.assertFalse(self.again(checker, site).is_well)
        self.assertTrue(self.again(checker, site).is_well)
        self.assertEqual((len(site.streams), len(site.heads)), (1, 3))
        checker.stop()
        self.assertTrue(site.streams[0].is_closed)

    def test_or_not(self):
        site = Site(served(1))
        self.check(site, reuse_connection=False)
        self.assertTrue(site.streams[0].is_closed)

    def test_one_that_the_server_closes_between_two_checks_is_replaced(self):
        site = Site(served(1), served(1))
        checker = GrpcChecker(GrpcCheckOptions(), site)
        self.again(checker, site)
        site.streams[0].receiver.lost("closed by the peer")
        self.assertTrue(self.again(checker, site).is_well)
        self.assertEqual(len(site.streams), 2)

    def test_one_that_the_server_leaves_is_replaced(self):
        site = Site(served(1), served(1))
        checker = GrpcChecker(GrpcCheckOptions(), site)
        self.again(checker, site)
        site.streams[0].session.finish()
        site.streams[0].flush()
        self.assertTrue(site.streams[0].is_closed)
        self.assertTrue(self.again(checker, site).is_well)

    def test_a_check_that_is_given_up_leaves_nothing_open(self):
        site = Site()
        self.assertIsNone(self.check(site))
        self.deferred.cancel()
        self.assertTrue(site.streams[0].is_closed)


class Answers(Case):
    def test_serving_alone_is_well(self):
        for state, word in ((0, "UNKNOWN"), (2, "NOT_SERVING"), (3, "SERVICE_UNKNOWN")):
            found = self.check(Site(served(state)))
            self.assertEqual(found, Checked(is_well=False, is_final=True, reason=f"it is {word}"))

    def test_a_status_is_a_failure_at_once(self):
        bare = ResponseHead(200, Headers.of(
            (b"content-type", b"application/grpc"), (b"grpc-status", b"12"), (b"grpc-message", b"no")), version=20)
        found = self.check(Site((bare, None, None)))
        self.assertEqual(found, Checked(is_well=False, is_final=True, reason="gRPC status UNIMPLEMENTED: no"))
        found = self.check(Site(served(1, 5)))
        self.assertEqual((found.is_well, found.is_final, found.reason), (False, True, "gRPC status NOT_FOUND"))

    def test_what_is_no_answer(self):
        for script in (
            (typed(503), b"x", None), (typed(200, b"text/html"), b"x", None), (typed(), b"x", None),
            (typed(), grpc.frame(b"\xff"), Headers.of((b"grpc-status", b"0"))),
            (typed(), b"\0\0", Headers.of((b"grpc-status", b"0"))),
            (typed(), grpc.frame(b"\x08\x01") * 2, Headers.of((b"grpc-status", b"0"))),
            (typed(), grpc.frame(b"\x08\x01"), Headers.of((b"x-a", b"0"))),
            (typed(), b"\0" * 70000, None),
        ):
            found = self.check(Site(script))
            self.assertEqual((found.is_well, found.is_final), (False, True), found)

    def test_a_connection_that_breaks_counts_towards_the_threshold(self):
        for script in (lambda session, stream: session.reset(stream), lambda session, stream: session.abort(2)):
            found = self.check(Site(script))
            self.assertEqual((found.is_well, found.is_final), (False, False), found)

    def test_what_is_no_http_2(self):
        site = Site()
        self.check(site)
        site.streams[0].receiver.received(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        self.assertFalse(self.found[0].is_well)


class Contract(HealthCheckerContract, unittest.TestCase):
    def setUp(self):
        self.site = Site(served(1))

    def make(self):
        return self.site.make("health_checker", "grpc")

    def settle(self, deferred):
        for _ in range(3):
            self.site.advance(0)
        return super().settle(deferred)


class Configuration(unittest.TestCase):
    def test_what_is_read(self):
        found, faults = read(GrpcCheckOptions, "service_name: a.B\nauthority: x:1\ninitial_metadata: {x-a: b}")
        self.assertEqual((found.service_name, found.authority, found.initial_metadata, faults),
                         ("a.B", "x:1", (("x-a", "b"),), []))
