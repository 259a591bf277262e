"""Names asked of real sockets: a scripted server on loopback, a reactor of the test's own."""

import time
import unittest

from meshd.testing.site import FakeSite
from twisted.internet.epollreactor import EPollReactor
from twisted.python.failure import Failure

from meshd_plugins.discovery.resolver import NoSuchName, Resolver
from meshd_plugins.discovery.source import SourceError
from meshd_plugins.discovery.system import System
from tests.integration.harness.dns import NXDOMAIN, REFUSED, SERVFAIL, SILENT, TRUNCATED, ScriptedDns


class RealClock:
    def __init__(self, reactor):
        self.now = time.monotonic
        self.call_later = reactor.callLater


class Asking(unittest.TestCase):
    def setUp(self):
        self.reactor = EPollReactor()
        self.addCleanup(self.close)
        self.server = ScriptedDns(ttl=30)
        self.addCleanup(self.server.close)
        self.site = FakeSite()
        self.site.clock = RealClock(self.reactor)
        self.site.reactor = self.reactor

    def close(self):
        self.reactor.iterate(0)
        for reader in self.reactor.removeAll():
            reader.connectionLost(Failure(OSError("end of test")))
        self.reactor._poller.close()

    def resolver(self, *servers, system=System(), **options):
        where = [(host, int(port)) for host, port in (one.address.split(":") for one in servers or (self.server,))]
        made = Resolver(self.site, where, read=lambda _: system, **{"timeout_s": 5.0, "tries": 1, **options})
        self.addCleanup(made.stop)
        return made

    def ask(self, name, kind="A", resolver=None):
        found = []
        (resolver or self.resolver()).query(name, kind).addBoth(found.append)
        until = time.monotonic() + 20
        while not found and time.monotonic() < until:
            self.reactor.iterate(0.05)
        if isinstance(found[0], Failure):
            found[0].raiseException()
        return found[0]

    def test_addresses_come_sorted_with_their_time_to_live(self):
        self.server.answers["a.test", "A"] = ["10.0.0.2", "10.0.0.1"]
        self.server.answers["a.test", "AAAA"] = ["fd00::1"]
        found = self.ask("a.test")
        self.assertEqual((found.values, found.ttl_s), (("10.0.0.1", "10.0.0.2"), 30.0))
        self.assertEqual(self.ask("a.test", "AAAA").values, ("fd00::1",))

    def test_srv_records(self):
        self.server.answers["_http._tcp.a.test", "SRV"] = [(1, 5, 8080, "b.test")]
        self.assertEqual(self.ask("_http._tcp.a.test", "SRV").values, ((1, 5, 8080, "b.test"),))

    def test_no_records_is_an_answer_and_no_name_another(self):
        self.server.answers["a.test", "A"] = ["10.0.0.1"]
        self.assertEqual(self.ask("a.test", "AAAA").values, ())
        with self.assertRaises(NoSuchName):
            self.ask("b.test")

    def test_what_goes_wrong_is_named(self):
        for trouble, words in ((SERVFAIL, "SERVFAIL"), (REFUSED, "REFUSED")):
            self.server.trouble = trouble
            with self.assertRaisesRegex(SourceError, f"a.test A: {self.server.address}: {words}"):
                self.ask("a.test")

    def test_a_silent_server_costs_its_time_and_no_more(self):
        self.server.trouble = SILENT
        began = time.monotonic()
        with self.assertRaisesRegex(SourceError, "no answer in 0.2 s"):
            self.ask("a.test", resolver=self.resolver(timeout_s=0.2, tries=2))
        self.assertGreater(time.monotonic() - began, 0.39)
        self.assertEqual(self.server.count("a.test"), 2)

    def test_the_next_server_is_asked_where_one_fails_refuses_or_is_silent(self):
        self.server.answers["a.test", "A"] = ["10.0.0.1"]
        for trouble in (SERVFAIL, REFUSED, SILENT):
            with ScriptedDns() as bad:
                bad.trouble = trouble
                found = self.ask("a.test", resolver=self.resolver(bad, self.server, timeout_s=0.3))
                self.assertEqual((found.values, bad.count("a.test")), (("10.0.0.1",), 1))

    def test_a_name_that_does_not_exist_is_the_last_word(self):
        with ScriptedDns() as other:
            other.trouble = NXDOMAIN
            with self.assertRaises(NoSuchName):
                self.ask("a.test", resolver=self.resolver(other, self.server))
        self.assertEqual(self.server.asked, [])

    def test_a_truncated_answer_is_asked_for_over_tcp(self):
        many = [f"10.0.{number // 200}.{number % 200}" for number in range(400)]
        self.server.answers["a.test", "A"] = (TRUNCATED, many)
        self.assertEqual(len(self.ask("a.test").values), 400)
        self.assertEqual([one[2] for one in self.server.asked], ["udp", "tcp"])

    def test_no_tcp_connection_is_kept(self):
        self.server.answers["a.test", "A"] = (TRUNCATED, ["10.0.0.1"])
        resolver = self.resolver()
        for _ in range(3):
            self.ask("a.test", resolver=resolver)
            (server,) = resolver._servers.values()
            self.assertEqual(server.connections, [])

    def test_the_hosts_file_goes_first(self):
        system = System(hosts={"a.test": ("10.9.9.9", "fd00::9")})
        resolver = self.resolver(system=system)
        self.assertEqual(self.ask("A.test", resolver=resolver).values, ("10.9.9.9",))
        self.assertEqual(self.ask("a.test", "AAAA", resolver).values, ("fd00::9",))
        self.assertEqual(self.server.asked, [])
        self.server.answers["a.test", "A"] = ["10.0.0.1"]
        resolver = self.resolver(system=system, uses_hosts=False)
        self.assertEqual(self.ask("a.test", resolver=resolver).values, ("10.0.0.1",))

    def test_the_search_list_of_the_system_is_tried(self):
        host, port = self.server.address.split(":")
        system = System(servers=((host, int(port)),), search=("x.test", "y.test"))
        self.server.answers["a.y.test", "A"] = ["10.0.0.1"]
        resolver = Resolver(self.site, read=lambda _: system)
        self.assertEqual(self.ask("a", resolver=resolver).values, ("10.0.0.1",))
        self.assertEqual([one[0] for one in self.server.asked], ["a.x.test", "a.y.test"])

    def test_what_is_no_name_is_a_failure_of_that_name(self):
        with self.assertRaises(SourceError):
            self.ask("a" * 70 + ".test")
