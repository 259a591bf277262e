"""codec_proxy: who gets which response, what is refused, what is counted, and that nothing is left."""

import itertools
import unittest
from types import SimpleNamespace

from meshd.api import STOP, HeaderMatch, Plugin, flag
from meshd.testing.site import FakeSite
from meshd_plugins.codec import dubbo, mqtt
from meshd_plugins.codec_proxy.config import CodecProxy, CodecRoute
from meshd_plugins.codec_proxy.filter import CodecProxyFilter
from tests.plugins.codec.test_dubbo import codec, frame, one, request, response
from tests.plugins.codec.test_mqtt import connect

CODECS = {"dubbo": dubbo.Dubbo, "mqtt": mqtt.Mqtt}


class Breaker:
    """Counts what is admitted."""

    def __init__(self, limit=1000):
        self.limit = limit
        self.used = 0

    def admit_request(self):
        self.used += self.used < self.limit
        return self.used <= self.limit and self.limit > 0

    def release_request(self):
        self.used -= 1


class Cluster:
    """Picks its endpoints in turn, or what ``key`` says."""

    def __init__(self, name, *addresses, limit=1000):
        self.name = name
        self.breaker = Breaker(limit)
        self.views = []
        self._turn = itertools.cycle([SimpleNamespace(address=one, labels=()) for one in addresses] or [None])

    def pick(self, view):
        self.views.append(view)
        return next(self._turn)


class Link:
    """The client's connection; ``sent`` is what it got."""

    def __init__(self):
        self.sent = b""
        self.pending_bytes = 0
        self.is_paused = self.is_closed = False

    def send(self, data):
        assert data and not self.is_closed
        self.sent += data

    def pause(self):
        self.is_paused = True

    def resume(self):
        self.is_paused = False

    def close(self):
        self.is_closed = True

    def frames(self):
        """Return what came since the last time."""
        data, self.sent = self.sent, b""
        return codec().decode(data)[0]


class Session:
    """What a connection of TCP is to the filter."""

    peer, client, local, listener, connection_id = "192.0.2.1:5", "192.0.2.1", "192.0.2.9:20880", "rpc", 1

    def __init__(self, told):
        self.told = told
        self.flags, self.detail = 0, ""
        self.server = None

    def serve(self, make, idle_timeout_s=0.0):
        self.link = Link()
        self.server = make(self.link)

    def tell(self, view):
        self.told.append(view)

    def refuse(self, flag=0, detail=""):
        self.detail = detail
        self.link.is_closed = True
        self.server.lost("refused")


class ProxyCase(unittest.TestCase):
    codec = "dubbo"
    routes = (CodecRoute(cluster="greeter", timeout_s=2.0),)

    def setUp(self):
        self.told = []
        self.greeter = Cluster("greeter", "10.0.0.1:1")
        self.site = FakeSite("proxy", owner="listener rpc", clusters={"greeter": self.greeter})
        self.filter = self.make()

    def make(self, **options):
        plugin = Plugin(kind="protocol_codec", type=self.codec, config=CODECS[self.codec](), name=self.codec)
        made = CodecProxyFilter(CodecProxy(codec=plugin, **{"routes": self.routes, **options}), self.site)
        made.start()
        return made

    def client(self, data=b""):
        session = Session(self.told)
        assert self.filter.on_open(session) is STOP
        if data:
            session.server.received(data)
        return session

    def open(self, place=-1):
        """Let an upstream connection open; return its stream."""
        stream = self.site.streams[place]
        stream.receiver.opened()
        return stream

    def taken(self, stream):
        """Return the frames that an upstream got."""
        data = b"".join(stream.sent)
        stream.sent.clear()
        return codec().decode(data)[0]

    def count(self, status, cluster="greeter"):
        labels = "listener", "codec", "cluster_name", "status"
        family = self.site.metrics.counter("meshd_codec_requests_total", "", labels)
        return family.cell("rpc", self.codec, cluster, status).value

    def check(self):
        self.assertEqual((self.greeter.breaker.used, self.filter.cells.active.value), (0, 0))


class Multiplexing(ProxyCase):
    def test_clients_share_a_connection_and_get_their_own_ids_back(self):
        clients = [self.client(request(7, method=f"m{place}")) for place in range(3)]
        self.assertEqual(len(self.site.streams), 1)
        stream = self.open()
        asked = self.taken(stream)
        self.assertEqual(len({found.id for found in asked}), 3)
        self.assertEqual([dict(codec().fields(found))[b"method"] for found in asked], [b"m0", b"m1", b"m2"])
        for place in (2, 0, 1):
            stream.receiver.received(response(asked[place].id, b"\x91%c" % place))
        for place, session in enumerate(clients):
            (found,) = session.link.frames()
            self.assertEqual((found.id, found.data[16:]), (7, b"\x91%c" % place))
        self.assertEqual(self.count("ok"), 3)
        self.check()

    def test_responses_may_be_cut_anywhere(self):
        session = self.client()
        for place in range(len(request(3))):
            session.server.received(request(3)[place : place + 1])
        stream = self.open()
        data = response(self.taken(stream)[0].id, b"\x91" + b"x" * 300)
        for place in range(len(data)):
            stream.receiver.received(data[place : place + 1])
        self.assertEqual(session.link.frames()[0].id, 3)

    def test_a_oneway_request_waits_for_nothing(self):
        self.client(request(1, flags=0x82))
        self.assertEqual(self.taken(self.open())[0].kind, 1)
        self.assertEqual(self.count("oneway"), 1)
        self.check()

    def test_heartbeats_of_both_sides_are_answered_here(self):
        session = self.client(request(1) + frame(0xE2, 99, b"N"))
        self.assertEqual(session.link.frames()[0].data, frame(0x22, 99, b"N", 20))
        stream = self.open()
        self.assertEqual(len(self.taken(stream)), 1)
        stream.receiver.received(frame(0xE2, 5, b"N"))
        self.assertEqual(self.taken(stream)[0].data, frame(0x22, 5, b"N", 20))
        self.assertEqual(self.filter.cells.heartbeats.value, 2)

    def test_balancers_and_sinks_see_the_request(self):
        self.client(request(1))
        view = self.greeter.views[0]
        self.assertEqual(view.request.headers.get(b"service"), b"org.acme.Greeter")
        stream = self.open()
        stream.receiver.received(response(self.taken(stream)[0].id, b"\x90Oops"))
        (told,) = self.told
        self.assertIs(told, view)
        self.assertEqual((told.response.status, told.request.path), (500, b"/org.acme.Greeter/hello"))
        self.assertEqual(told.client, "192.0.2.1")
        self.assertEqual(self.count("exception"), 1)


class Refusals(ProxyCase):
    routes = (CodecRoute(cluster="greeter", fields=(HeaderMatch(name="service", prefix="org.acme."),), timeout_s=2.0),)

    def refused(self, session, status):
        (found,) = session.link.frames()
        self.assertEqual(found.status, status)
        self.check()

    def test_no_route(self):
        self.refused(self.client(request(1, service="com.other")), "service_not_found")
        self.assertEqual((self.count("no_route", ""), self.told[0].flags), (1, flag.NR))

    def test_no_endpoint_and_no_room(self):
        self.greeter._turn = itertools.cycle([None])
        self.refused(self.client(request(1)), "server_error")
        self.greeter._turn = itertools.cycle([SimpleNamespace(address="10.0.0.1:1")])
        self.greeter.breaker.limit = 0
        self.refused(self.client(request(1)), "server_error")
        self.assertEqual(self.told[-1].flags, flag.UO)

    def test_an_endpoint_that_cannot_be_reached_or_is_lost(self):
        session = self.client(request(1) + request(2))
        self.site.streams[0].receiver.lost("refused")
        self.assertEqual([found.status for found in session.link.frames()], ["server_error"] * 2)
        session.server.received(request(3))
        self.assertEqual(len(self.site.streams), 2)
        self.open().receiver.lost("reset")
        self.refused(session, "server_error")
        self.assertEqual([view.flags for view in self.told], [flag.UF, flag.UF, flag.UC])

    def test_no_answer_in_time_and_one_that_is_late(self):
        session = self.client(request(1))
        stream = self.open()
        self.site.advance(1.0)
        session.server.received(request(2))
        self.site.advance(1.1)
        self.assertEqual([found.status for found in session.link.frames()], ["server_timeout"])
        first, second = self.taken(stream)
        stream.receiver.received(response(first.id) + response(second.id))
        self.assertEqual([found.id for found in session.link.frames()], [2])
        self.assertEqual(self.filter.cells.late.value, 1)
        self.check()

    def test_too_many_unanswered(self):
        self.filter = self.make(max_requests=2)
        session = self.client(request(1) + request(2) + request(3))
        self.assertEqual([found.id for found in session.link.frames()], [3])

    def test_a_client_that_breaks_the_protocol(self):
        session = self.client(b"GET / HTTP/1.1\r\n")
        self.assertTrue(session.link.is_closed)
        self.assertEqual((self.filter.cells.client_errors.value, session.flags), (1, flag.DPE))

    def test_a_name_that_would_write_lines_into_logs(self):
        for name in ("org.acme.A\n200", "org.acme.\x1b[31m", "org.acme.\0"):
            session = self.client(request(1, service=name))
            self.assertEqual((session.link.is_closed, session.detail), (True, "dubbo: service: a control character"))
        self.assertEqual((self.told, self.site.streams), ([], []))

    def test_an_upstream_that_breaks_the_protocol(self):
        session = self.client(request(1))
        stream = self.open()
        stream.receiver.received(b"HTTP/1.1 400 Bad Request\r\n")
        self.assertTrue(stream.is_closed)
        self.refused(session, "server_error")
        self.assertEqual(self.filter.cells.upstream_errors.value, 1)


class Ends(ProxyCase):
    def test_a_client_that_goes_is_forgotten(self):
        session = self.client(request(1))
        stream = self.open()
        session.server.lost("reset")
        self.check()
        stream.receiver.received(response(self.taken(stream)[0].id))
        self.assertEqual((session.link.sent, self.filter.cells.late.value), (b"", 1))

    def test_a_client_that_says_nothing_more_gets_its_responses(self):
        session = self.client(request(1))
        session.server.received_eof()
        self.assertFalse(session.link.is_closed)
        stream = self.open()
        stream.receiver.received(response(self.taken(stream)[0].id))
        self.assertTrue(session.link.sent and session.link.is_closed)

    def test_a_drain_ends_clients_without_requests(self):
        busy, idle = self.client(request(1)), self.client()
        for session in (busy, idle):
            session.server.drain()
        self.assertEqual((busy.link.is_closed, idle.link.is_closed), (False, True))
        busy.server.received(request(2))
        stream = self.open()
        first, second = self.taken(stream)
        stream.receiver.received(response(first.id))
        self.assertFalse(busy.link.is_closed)
        stream.receiver.received(response(second.id))
        self.assertEqual(([found.id for found in busy.link.frames()], busy.link.is_closed), ([1, 2], True))
        self.check()

    def test_a_silent_upstream_connection_is_closed(self):
        self.filter = self.make(idle_timeout_s=10.0)
        self.client(request(1))
        stream = self.open()
        stream.receiver.received(response(self.taken(stream)[0].id))
        self.site.advance(9)
        self.assertFalse(stream.is_closed)
        self.site.advance(2)
        self.assertTrue(stream.is_closed)

    def test_a_reload_rules_requests_that_come_after_it_and_keeps_connections(self):
        session = self.client(request(1))
        stream = self.open()
        other = Cluster("greeter", "10.0.0.1:1")
        before, first = self.filter, self.site
        after = self.site = FakeSite("proxy", owner="listener rpc", clusters={"greeter": other}, table=first.table)
        self.filter = self.make()
        before.stop()
        first.release()
        session.server.received(request(2))
        self.assertEqual((len(other.views), len(self.taken(stream)), after.streams), (1, 2, []))

    def test_a_reload_that_fails_leaves_the_one_before_in_force(self):
        failed = self.make(routes=(CodecRoute(cluster="greeter", fields=(HeaderMatch(name="service", exact="x"),)),))
        failed.stop()
        self.client(request(1))
        self.assertEqual(len(self.greeter.views), 1)


class Sessions(ProxyCase):
    codec = "mqtt"

    def test_the_connect_is_routed_and_bytes_pass_as_they_are(self):
        session = self.client(connect()[:5])
        session.server.received(connect()[5:] + b"\xc0\0")
        self.assertEqual(self.greeter.views[0].request.headers.get(b"client-id"), b"sensor-7")
        self.assertTrue(session.link.is_paused)
        stream = self.open()
        self.assertEqual((b"".join(stream.sent), session.link.is_paused), (connect() + b"\xc0\0", False))
        stream.receiver.received(b"\x20\x02\0\0")
        session.server.received(b"\x30\x03anything")
        self.assertEqual((session.link.sent, stream.sent[-1]), (b"\x20\x02\0\0", b"\x30\x03anything"))
        session.server.received_eof()
        self.assertTrue(stream.is_half_closed and not session.link.is_closed)
        stream.receiver.received(b"\xd0\0")
        stream.receiver.lost("closed")
        self.assertEqual((session.link.sent[-2:], session.link.is_closed), (b"\xd0\0", True))
        self.assertEqual((self.count("ok"), self.told[0].response.status), (1, 200))
        self.check()

    def test_a_broker_that_ends_or_cannot_be_reached(self):
        session = self.client(connect())
        self.site.streams[0].receiver.lost("refused")
        self.assertEqual((session.link.sent, session.link.is_closed), (b"\x20\x02\0\x03", True))
        session = self.client(connect(level=5))
        self.open().receiver.lost("closed")
        self.assertTrue(session.link.is_closed)
        self.assertEqual((self.count("unavailable"), self.count("ok")), (1, 1))
        self.check()

    def test_a_client_that_ends_before_its_broker_is_there_loses_nothing(self):
        session = self.client(connect() + b"\x30\x02\0\0\xe0\0")
        session.server.received_eof()
        self.assertFalse(session.link.is_closed)
        stream = self.open()
        self.assertEqual((b"".join(stream.sent), stream.is_half_closed), (connect() + b"\x30\x02\0\0\xe0\0", True))

    def test_malformed_is_refused(self):
        session = self.client(connect(level=5, flags=3))
        self.assertEqual((session.link.sent, session.link.is_closed), (b"\x20\x03\0\x81\0", True))
        self.assertEqual(self.site.streams, [])

    def test_neither_side_outruns_the_other(self):
        session = self.client(connect())
        stream = self.open()
        session.link.pending_bytes = 2**21
        stream.receiver.received(b"x")
        self.assertTrue(stream.is_paused)
        session.link.pending_bytes = 0
        session.server.drained()
        self.assertFalse(stream.is_paused)
        stream.pending_bytes = 2**21
        session.server.received(b"y")
        self.assertTrue(session.link.is_paused)
        stream.receiver.drained()
        self.assertFalse(session.link.is_paused)
