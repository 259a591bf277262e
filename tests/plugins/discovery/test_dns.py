"""When names are looked up, what is kept, and what endpoints they come to."""

import unittest

from meshd.testing.contract.cluster import DiscoveryContract
from meshd.testing.site import FakeSite
from twisted.internet.defer import Deferred, fail, succeed

from meshd_plugins.discovery.dns import DnsName, DnsOptions, DnsSource
from meshd_plugins.discovery.resolver import NoSuchName, Records
from meshd_plugins.discovery.source import Discovery, SourceError


class ScriptedResolver:
    """``answers[name, type]`` is a list of values, an exception, or None for an answer that does not come."""

    def __init__(self):
        self.answers = {}
        self.ttl_s = 30.0
        self.asked = []
        self.is_stopped = False

    def query(self, name, kind):
        self.asked.append((name, kind))
        found = self.answers.get((name, kind), NoSuchName(f"{name}: no such name (NXDOMAIN)"))
        if found is None:
            return Deferred()
        return fail(found) if isinstance(found, Exception) else succeed(Records(tuple(found), self.ttl_s))

    def stop(self):
        self.is_stopped = True


class DnsCase(unittest.TestCase):
    def setUp(self):
        self.resolver = ScriptedResolver()
        self.site = FakeSite("users")
        self.reports = []

    def watch(self, *names, site=None, **options):
        names = tuple(DnsName(name=one) if isinstance(one, str) else one for one in names or ("a.test:80",))
        config = DnsOptions(names=names, **{"dns_jitter_s": 0.0, **options})
        self.assertEqual(list(config.check()), [])
        site = site or self.site
        source = DnsSource(config, site, site.state("worker", "dns memory", dict), self.resolver)
        self.discovery = Discovery("dns", source, config, site, key="dns")
        self.addCleanup(self.discovery.stop)
        self.discovery.watch(lambda specs: self.reports.append([spec.address for spec in specs]))
        return self.discovery

    def say(self, *values, name="a.test", kind="A"):
        self.resolver.answers[name, kind] = values[0] if isinstance(values[0], Exception | None) else list(values)

    def pass_time(self, seconds):
        for _ in range(int(seconds * 10)):
            self.site.advance(0.1)


class Strict(DnsCase):
    def test_every_address_is_an_endpoint(self):
        self.say("10.0.0.1", "10.0.0.2")
        spec = self.watch(DnsName(name="a.test:80", weight=3, locality="r/z", priority=1, labels=(("v", "1"),)))
        self.assertEqual(self.reports, [["10.0.0.1:80", "10.0.0.2:80"]])
        spec = self.discovery.endpoints()[0]
        self.assertEqual((spec.weight, spec.locality, spec.priority, spec.labels, spec.source),
                         (3, "r/z", 1, (("v", "1"),), "dns a.test:80"))

    def test_names_are_asked_for_again_when_their_time_to_live_ends(self):
        self.say("10.0.0.1")
        self.watch()
        self.say("10.0.0.2")
        self.pass_time(29)
        self.assertEqual(len(self.resolver.asked), 1)
        self.pass_time(2)
        self.assertEqual(self.reports, [["10.0.0.1:80"], ["10.0.0.2:80"]])

    def test_a_time_to_live_of_nothing_is_a_second(self):
        self.resolver.ttl_s = 0.0
        self.say("10.0.0.1")
        self.watch()
        self.pass_time(10)
        self.assertIn(len(self.resolver.asked), (9, 10, 11))

    def test_the_jitter_is_added(self):
        self.say("10.0.0.1")
        self.site.random.random = lambda: 0.5
        self.watch(dns_jitter_s=4.0)
        self.pass_time(31)
        self.assertEqual(len(self.resolver.asked), 1)
        self.pass_time(2)
        self.assertEqual(len(self.resolver.asked), 2)

    def test_names_with_one_host_share_a_query(self):
        self.say(None)
        self.watch("a.test:80", "a.test:81")
        self.assertEqual(self.resolver.asked, [("a.test", "A")])
        waiting = Deferred()
        self.resolver.answers["a.test", "A"] = waiting
        self.discovery.stop()

    def test_both_get_what_the_shared_query_says(self):
        waiting = Deferred()
        self.resolver.query = lambda name, kind: waiting
        self.watch("a.test:80", "a.test:81")
        waiting.callback(Records(("10.0.0.1",), 30.0))
        self.assertEqual(self.reports, [["10.0.0.1:80", "10.0.0.1:81"]])

    def test_addresses_are_taken_as_they_are(self):
        self.watch("10.0.0.1:80", "[::1]:81")
        self.assertEqual((self.reports, self.resolver.asked), ([["10.0.0.1:80", "[::1]:81"]], []))

    def test_families(self):
        for family, has, expected in (
            ("v4_preferred", "A AAAA", ["10.0.0.1:80"]), ("v4_preferred", "AAAA", ["[::1]:80"]),
            ("auto", "A AAAA", ["[::1]:80"]), ("auto", "A", ["10.0.0.1:80"]), ("v4_only", "A AAAA", ["10.0.0.1:80"]),
            ("v6_only", "A AAAA", ["[::1]:80"]), ("all", "A AAAA", ["10.0.0.1:80", "[::1]:80"]),
        ):
            with self.subTest(family=family, has=has):
                self.setUp()
                self.resolver.answers["a.test", "A"] = ["10.0.0.1"] if "A" in has.split() else []
                self.resolver.answers["a.test", "AAAA"] = ["::1"] if "AAAA" in has else []
                self.watch(dns_lookup_family=family)
                self.assertEqual(self.reports, [expected])

    def test_a_failure_of_the_first_family_does_not_fall_back_to_the_other(self):
        self.say("10.0.0.1")
        self.watch()
        self.say(SourceError("SERVFAIL"))
        self.say("::1", kind="AAAA")
        self.pass_time(40)
        self.assertEqual(self.reports, [["10.0.0.1:80"]])


class Srv(DnsCase):
    NAME = "_http._tcp.a.test"

    def test_ports_weights_and_priorities_come_from_the_records(self):
        self.say((10, 5, 8080, "b.test"), (20, 0, 8081, "c.test."), name=self.NAME, kind="SRV")
        self.say("10.0.0.1", name="b.test.")
        self.say("10.0.0.2", name="c.test.")
        found = self.watch(self.NAME).endpoints()
        self.assertEqual([(spec.address, spec.weight, spec.priority) for spec in found],
                         [("10.0.0.1:8080", 5, 0), ("10.0.0.2:8081", 1, 1)])

    def test_a_dot_says_that_there_is_no_service(self):
        self.say((0, 0, 0, "."), name=self.NAME, kind="SRV")
        self.watch(self.NAME)
        self.assertEqual(self.reports, [[]])

    def test_each_name_is_due_by_itself(self):
        self.say((0, 1, 80, "b.test"), name=self.NAME, kind="SRV")
        self.say("10.0.0.1", name="b.test.")
        self.watch(self.NAME)
        self.resolver.ttl_s = 5.0
        self.pass_time(31)
        self.pass_time(6)
        self.assertEqual(self.resolver.asked.count(("b.test.", "A")), 3)

    def test_targets_that_went_are_forgotten(self):
        self.say((0, 1, 80, "b.test"), name=self.NAME, kind="SRV")
        self.say("10.0.0.1", name="b.test.")
        self.say("10.0.0.2", name="c.test.")
        self.watch(self.NAME)
        self.say((0, 1, 80, "c.test"), name=self.NAME, kind="SRV")
        self.pass_time(31)
        memory = self.site.state("worker", "dns memory", dict)
        self.assertEqual(set(memory), {(self.NAME, "SRV"), ("c.test.", "A")})


class Trouble(DnsCase):
    def test_the_last_addresses_are_kept_on_failures_for_ever(self):
        self.say("10.0.0.1")
        self.watch()
        self.say(SourceError("a.test A: 10.0.0.53:53: SERVFAIL"))
        self.pass_time(1000)
        self.assertEqual(self.reports, [["10.0.0.1:80"]])
        self.assertEqual(self.site.metrics.value("meshd_discovery_stale", "users", "dns"), 1)
        self.assertIn("SERVFAIL", self.discovery.fact()["last_look"]["error"])
        self.assertGreater(len(self.resolver.asked), 10)
        self.say("10.0.0.2")
        self.pass_time(61)
        self.assertEqual(self.reports[1:], [["10.0.0.2:80"]])

    def test_a_name_that_is_gone_is_believed_the_third_time_and_then_held(self):
        self.say("10.0.0.1")
        self.site.random.uniform = lambda low, high: 2.0
        self.watch(empty_hold_s=5.0)
        self.say(NoSuchName("a.test: no such name (NXDOMAIN)"))
        self.pass_time(33)
        self.assertEqual((len(self.resolver.asked), self.discovery.fact()["state"]), (3, "stale"))
        self.pass_time(2)
        self.assertEqual((len(self.resolver.asked), self.discovery.fact()["state"]), (4, "held"))
        self.assertEqual(self.reports, [["10.0.0.1:80"]])
        self.pass_time(6)
        self.assertEqual(self.reports, [["10.0.0.1:80"], []])

    def test_two_times_in_a_row_are_not_three(self):
        self.say("10.0.0.1")
        self.watch(empty_hold_s=0.0)
        for _ in range(5):
            self.resolver.answers["a.test", "A"] = NoSuchName("gone")
            asked = len(self.resolver.asked)
            while len(self.resolver.asked) < asked + 2:
                self.pass_time(1)
            self.say("10.0.0.1")
            while len(self.resolver.asked) < asked + 3:
                self.pass_time(1)
        self.assertEqual(self.reports, [["10.0.0.1:80"]])

    def test_an_empty_answer_is_one_that_there_is_nothing(self):
        self.say("10.0.0.1")
        self.say("10.0.0.2", name="b.test")
        self.watch("a.test:80", "b.test:80", dns_lookup_family="v4_only")
        self.resolver.answers["a.test", "A"] = []
        self.pass_time(31)
        self.assertEqual(len(self.reports), 1)
        self.pass_time(10)
        self.assertEqual(self.reports[1:], [["10.0.0.2:80"]])

    def test_one_name_that_fails_leaves_the_others_alone(self):
        self.say("10.0.0.1")
        self.say(SourceError("SERVFAIL"), name="b.test")
        self.watch("a.test:80", "b.test:80")
        self.assertEqual(self.reports, [["10.0.0.1:80"]])

    def test_failures_are_followed_up_at_least_a_second_later_and_a_minute_at_most(self):
        self.say(SourceError("SERVFAIL"))
        times = []
        query = self.resolver.query
        self.resolver.query = lambda *args: times.append(self.site.clock.now()) or query(*args)
        self.watch()
        self.pass_time(1000)
        gaps = [after - before for before, after in zip(times, times[1:])]
        self.assertGreater(min(gaps), 0.99)
        self.assertLess(max(gaps), 61)
        self.assertGreater(len(set(round(gap) for gap in gaps)), 5)

    def test_a_reload_while_the_servers_fail_loses_nothing(self):
        self.say("10.0.0.1")
        self.watch()
        self.say(SourceError("SERVFAIL"))
        self.pass_time(40)
        self.discovery.stop()
        self.watch(site=FakeSite("users", table=self.site.table, world=self.site.world))
        self.pass_time(40)
        self.assertEqual(self.reports, [["10.0.0.1:80"], ["10.0.0.1:80"]])

    def test_flapping_is_no_more_than_a_change_a_second(self):
        self.resolver.ttl_s = 0.0
        self.say("10.0.0.1")
        self.watch()
        for number in range(200):
            self.say(f"10.0.0.{1 + number % 2}")
            self.pass_time(0.1)
        self.assertLessEqual(len(self.reports), 21)
        self.assertGreater(len(self.reports), 3)


class Logical(DnsCase):
    def test_the_name_itself_is_the_endpoint(self):
        self.watch(mode="logical")
        self.assertEqual((self.reports, self.resolver.asked), ([["a.test:80"]], []))


class Options(unittest.TestCase):
    def test_faults_between_fields(self):
        for config, words in (
            (DnsName(name="a.test"), "expected HOST:PORT, or a name of SRV"),
            (DnsOptions(names=(DnsName(name="_a._tcp.b"),), mode="logical"), "expected HOST:PORT in the mode"),
            (DnsOptions(names=(DnsName(name="a:1"),), resolvers=("a.test:53",)), "expected IP:PORT"),
        ):
            self.assertIn(words, " ".join(text for _, text in config.check()))


class Contract(DiscoveryContract, unittest.TestCase):
    type = "dns"
    plugins = ()

    def make(self):
        config = DnsOptions(names=(DnsName(name="10.0.0.1:80"), DnsName(name="10.0.0.2:80")))
        return FakeSite().make("discovery", "dns", config)
