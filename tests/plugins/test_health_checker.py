"""The health checkers http, tcp and exec: what they send, and what an answer comes to."""

import time
import unittest

from meshd.api import Checked
from meshd.testing.contract.cluster import HealthCheckerContract
from meshd.testing.contract.kind import endpoints
from meshd.testing.site import FakeSite
from meshd_plugins.health_checker import ExecCheckOptions, HttpCheckOptions, TcpCheckOptions
from tests.plugins.reading import read

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Stream:
    """A connection in the test's hand."""

    def __init__(self, address, receiver):
        self.address = address
        self.receiver = receiver
        self.sent = b""
        self.is_closed = False

    def send(self, data):
        self.sent += data

    def close(self):
        self.is_closed = True


class Site(FakeSite):
    """``streams`` are the connections that were opened; ``answers`` what each says at once when it is asked."""

    def __init__(self, *answers):
        super().__init__("up", environment={"PATH": "/usr/bin:/bin"})
        self.streams = []
        self.answers = list(answers)
        self.world.dial = self.dial_now

    def dial_now(self, address, receiver, timeout_s, tls=None, host="", alpn=(), preface=b""):
        stream = Stream(address, receiver)
        self.streams.append(stream)
        self.clock.call_later(0, self._open, stream)
        return stream

    def _open(self, stream):
        if not stream.is_closed:
            stream.receiver.opened()
            if self.answers:
                stream.receiver.received(self.answers.pop(0))


class Case(unittest.TestCase):
    def check(self, checker, site):
        self.found = found = []
        checker.check(endpoints(1)[0]).addBoth(found.append)
        site.advance(0)
        return found[0] if found else None

    def http(self, *answers, **options):
        self.site = Site(*answers)
        self.checker = self.site.make("health_checker", "http", HttpCheckOptions(**options), name="up")
        return self.check(self.checker, self.site)


class HttpContract(HealthCheckerContract, unittest.TestCase):
    def setUp(self):
        self.site = Site(OK)

    def make(self):
        return self.site.make("health_checker", "http")

    def settle(self, deferred):
        self.site.advance(0)
        return super().settle(deferred)


class TcpContract(HttpContract):
    def make(self):
        return self.site.make("health_checker", "tcp")


class ExecContract(HealthCheckerContract, unittest.TestCase):
    def setUp(self):
        self.site = Site()

    def make(self):
        return self.site.make("health_checker", "exec")

    def settle(self, deferred):
        return wait(self.site, deferred)


def wait(site, deferred):
    """Let the process run, and the site's clock with it, until there is an answer."""
    found = []
    deferred.addBoth(found.append)
    until = time.monotonic() + 20
    while not found and time.monotonic() < until:
        time.sleep(0.01)
        site.advance(0.1)
    return found[0]


class Http(Case):
    def test_asks_as_it_is_told(self):
        self.http(path="/ready?a", host="web", method="HEAD", request_headers_to_add=(("X-Check", "1"),))
        self.assertEqual(self.site.streams[0].sent, b"HEAD /ready?a HTTP/1.1\r\nhost: web\r\n"
                         b"user-agent: meshd/HealthCheck\r\nx-check: 1\r\n\r\n")
        self.http()
        self.assertTrue(self.site.streams[0].sent.startswith(b"GET / HTTP/1.1\r\nhost: up\r\n"))

    def test_answers(self):
        refusal = b"HTTP/1.1 %d No\r\ncontent-length: 0\r\n%s\r\n"
        rows = [
            ({}, OK, True, False, ""), ({}, refusal % (503, b""), False, True, "status 503"),
            ({}, refusal % (204, b""), False, True, ""),
            ({"expected_statuses": ("200-299", "404")}, refusal % (404, b""), True, False, ""),
            ({"retriable_statuses": ("503",)}, refusal % (503, b""), False, False, "status 503"),
            ({"receive": ("o", "k")}, OK, True, False, ""),
            ({"receive": ("k", "o")}, OK, False, True, "the body has not"),
            ({"service_name": "shop"}, OK, False, True, "another service"),
            ({"service_name": "shop"}, b"HTTP/1.1 200 OK\r\nx-envoy-upstream-healthchecked-cluster: shop-1\r\n"
             b"content-length: 0\r\n\r\n", True, False, ""),
            ({}, b"SSH-2.0-nothing\r\n\r\n", False, True, "status line"),
            ({}, refusal % (200, b"x-envoy-immediate-health-check-fail: true\r\n"), False, True, "immediate"),
        ]
        for options, answer, is_well, is_final, reason in rows:
            found = self.http(answer, **options)
            self.assertEqual((found.is_well, found.is_final), (is_well, is_final), (options, answer))
            self.assertIn(reason, found.reason)
        self.assertTrue(found.is_immediate)

    def test_an_endpoint_may_call_itself_degraded(self):
        found = self.http(b"HTTP/1.1 200 OK\r\nx-envoy-degraded: true\r\ncontent-length: 0\r\n\r\n")
        self.assertEqual(found, Checked(is_well=True, is_degraded=True))

    def test_silence_is_no_answer(self):
        self.assertIsNone(self.http())
        found = []
        self.checker.check(endpoints(1)[0]).addBoth(found.append)
        self.site.streams[-1].receiver.lost("connection refused")
        self.assertEqual(found, [Checked(is_well=False, reason="connection refused")])

    def test_half_an_answer_is_none(self):
        self.http(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
        self.site.streams[0].receiver.lost("closed by the peer")
        self.assertFalse(self.found[0].is_well)

    def test_a_connection_is_kept_and_a_stale_one_replaced(self):
        self.http(OK)
        first = self.site.streams[0]
        self.site.answers.append(OK)
        waiting = self.checker.check(endpoints(1)[0])
        self.assertEqual(first.sent.count(b"GET "), 2)
        first.receiver.lost("closed by the peer")  # just as it was used again
        self.site.advance(0)
        self.assertTrue(waiting.result.is_well)
        self.assertEqual(len(self.site.streams), 2)
        self.site.streams[1].receiver.lost("closed by the peer")  # between two checks
        self.assertEqual(self.checker.kept, {})

    def test_a_connection_is_not_kept_where_that_is_asked_for(self):
        self.http(OK, reuse_connection=False)
        self.assertIn(b"connection: close", self.site.streams[0].sent)
        self.assertTrue(self.site.streams[0].is_closed)

    def test_another_port_may_be_asked(self):
        self.http(alt_port=9000)
        self.assertEqual(self.site.streams[0].address, "192.0.2.1:9000")

    def test_giving_up_and_the_end_close_the_connection(self):
        self.http()
        self.site.streams[0].receiver.answer.addErrback(lambda _: None)
        self.site.streams[0].receiver.answer.cancel()
        self.assertTrue(self.site.streams[0].is_closed)
        self.http(OK)
        self.checker.stop()
        self.assertTrue(self.site.streams[0].is_closed)


class Tcp(Case):
    def tcp(self, *answers, **options):
        self.site = Site(*answers)
        return self.check(self.site.make("health_checker", "tcp", TcpCheckOptions(**options)), self.site)

    def test_to_connect_is_enough_where_nothing_is_expected(self):
        self.assertTrue(self.tcp().is_well)
        self.assertTrue(self.site.streams[0].is_closed)

    def test_texts_and_bytes_are_sent_and_expected(self):
        self.assertTrue(self.tcp(b"+PONG\r\n", send="PING\r\n", receive=("PONG",)).is_well)
        self.assertEqual(self.site.streams[0].sent, b"PING\r\n")
        self.assertTrue(self.tcp(b"\x00\x01\xff", send_hex="00ff", receive_hex=("00", "ff")).is_well)
        self.assertEqual(self.site.streams[0].sent, b"\x00\xff")
        self.assertIsNone(self.tcp(b"-ERR\r\n", send="PING\r\n", receive=("PONG",)))

    def test_an_end_before_the_answer_is_a_failure(self):
        self.tcp(b"-E", receive=("PONG",))
        self.site.streams[0].receiver.lost("connection reset by peer")
        self.assertEqual(self.found, [Checked(is_well=False, reason="connection reset by peer")])

    def test_both_forms_at_once_are_refused(self):
        _, faults = read(TcpCheckOptions, "{send: a, send_hex: 'aa'}")
        self.assertIn("either send or send_hex", str(faults))


class Exec(unittest.TestCase):
    def run_command(self, *command):
        site = Site()
        return wait(site, site.make("health_checker", "exec", ExecCheckOptions(command=command)).check(None))

    def test_only_an_exit_with_0_is_well(self):
        self.assertEqual(self.run_command("true"), Checked(is_well=True))
        self.assertEqual(self.run_command("sh", "-c", "echo no; exit 3").reason, "exit code 3: no")
        self.assertIn("cannot be run", self.run_command("/nonexistent/program").reason)

    def test_what_it_writes_is_not_kept_without_bound(self):
        found = self.run_command("sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x; exit 1")
        self.assertLess(len(found.reason), 600)

    def test_at_the_timeout_it_is_killed_with_what_it_started(self):
        site = Site()
        checker = site.make("health_checker", "exec", ExecCheckOptions(command=("sh", "-c", "sleep 100 & sleep 100")))
        answer = checker.check(None)
        answer.addErrback(lambda _: None)
        answer.cancel()
        until = time.monotonic() + 20
        while site.world.reactor.getDelayedCalls() and time.monotonic() < until:
            time.sleep(0.01)
            site.advance(0.2)
        self.assertEqual(site.world.reactor.getDelayedCalls(), [])
