"""What a plugin gets handed: its own name and log, shared state and clock, bounded threads."""

import threading
from unittest import TestCase

from twisted.internet.defer import Deferred
from twisted.python.threadpool import ThreadPool
from zope.interface.verify import verifyObject

from meshd.api import CallRequest, IBuckets, ILedger, ISite, PluginError
from meshd.hot.ledger import LOCKING
from meshd.isolated.site import NoClusters
from meshd.model.cluster import Cluster as ClusterSpec
from meshd.model.snapshot import Node
from meshd.runtime import site as module
from meshd.runtime.site import Ground
from meshd.runtime.state import Claims, StateTable
from meshd.testing.site import EPOCH_S, FakeSite, FakeWorld
from meshd.upstream.cluster import Cluster
from meshd_plugins.limits import Limits
from meshd_plugins.round_robin.balancer import RoundRobin

from tests.host.workers import Host
from tests.runtime import model


class Reactor:
    """The part of a reactor that threads need: what they bring back is kept until ``turn``."""

    def __init__(self, pool):
        self.pool = pool
        self.calls = []
        self.came = threading.Event()

    def getThreadPool(self):
        return self.pool

    def callFromThread(self, function, *args):
        self.calls.append((function, args))
        self.came.set()

    def turn(self):
        assert self.came.wait(10)
        self.came.clear()
        function, args = self.calls.pop(0)
        function(*args)


class SiteCase:
    def setUp(self):
        self.world = model.world()
        self.addCleanup(self.world.poller.epoll.close)
        self.events = []
        self.ground = Ground(
            self.world, node=Node(id="one"), claims=Claims(StateTable()), environment={"HOME": "/"},
            build=model.REGISTRY, observer=self.events.append,
        )
        self.site = self.ground.site("greeter", "listener public")


class SiteTest(SiteCase, TestCase):
    def test_provides_its_interface(self):
        verifyObject(ISite, self.site)

    def test_knows_its_name_owner_node_and_environment(self):
        site = self.site
        self.assertEqual((site.name, site.owner), ("greeter", "listener public"))
        self.assertEqual((site.node.id, site.environment["HOME"]), ("one", "/"))

    def test_logs_under_its_name(self):
        self.site.log.info("hello")
        self.assertEqual(self.events[0]["log_namespace"], "meshd.plugin.greeter")

    def test_finds_live_clusters_by_name(self):
        self.ground.clusters["users"] = cluster = object()
        self.assertIs(self.site.cluster("users"), cluster)
        with self.assertRaises(KeyError):
            self.site.cluster("ghosts")

    def test_calls_that_fall_due_run_with_the_heartbeat_on(self):
        beats = []
        self.site.clock.call_later(5, lambda: beats.append(self.world.beat))
        self.world.reactor.advance(5)
        self.assertGreater(beats[0], 0.0)
        self.assertEqual(self.world.beat, 0.0)


class CallTest(SiteCase, TestCase):
    """Which cluster of the name a call goes to; ``missing`` ones fail at once."""

    def called(self):
        """Return why a call failed."""
        faults = []
        self.site.call("users", CallRequest()).addErrback(lambda why: faults.append(why.value))
        return str(faults[0])

    def test_an_unknown_name_fails(self):
        self.assertEqual(self.called(), "cluster users: no such cluster")

    def test_goes_to_the_own_runtimes_until_another_has_taken_over(self):
        self.ground.clusters["users"] = self.cluster("ours")
        self.world.clusters = {"users": self.cluster("theirs")}
        self.assertEqual(self.called(), "cluster ours: no endpoint can be used")
        self.ground.is_past = True
        self.assertEqual(self.called(), "cluster theirs: no endpoint can be used")

    def test_goes_to_the_own_where_the_other_runtime_has_none(self):
        self.ground.clusters["users"] = self.cluster("ours")
        self.ground.is_past = True
        self.assertEqual(self.called(), "cluster ours: no endpoint can be used")

    def test_an_isolated_filter_has_no_calls(self):
        self.ground.clusters = NoClusters()
        self.assertIn("clusters live in meshd's own process", self.called())

    def cluster(self, name):
        """Return a live cluster without endpoints."""
        breaker = FakeSite(world=self.world).make("circuit_breaker", "limits", Limits())
        cluster = Cluster(ClusterSpec(name=name, endpoints=()), RoundRobin(self.world.random), breaker, self.world)
        cluster.set_endpoints(())
        return cluster


class ThreadTest(SiteCase, TestCase):
    def setUp(self):
        super().setUp()
        pool = ThreadPool(1, 1)
        pool.start()
        self.addCleanup(pool.stop)
        self.reactor = self.world.reactor = Reactor(pool)

    def test_runs_in_another_thread_and_answers_in_this_one(self):
        answers = []
        found = self.site.in_thread(threading.get_ident)
        found.addCallback(lambda ident: answers.append((ident, threading.get_ident(), self.world.beat)))
        self.reactor.turn()
        self.assertNotEqual(answers[0][0], threading.get_ident())
        self.assertEqual(answers[0][1], threading.get_ident())
        self.assertGreater(answers[0][2], 0.0)

    def test_a_fault_of_the_function_is_the_deferreds(self):
        found = self.site.in_thread(lambda: 1 / 0)
        self.reactor.turn()
        faults = []
        found.addErrback(lambda why: faults.append(why.type))
        self.assertEqual(faults, [ZeroDivisionError])

    def test_the_number_that_wait_is_bounded(self):
        go = threading.Event()
        self.addCleanup(go.set)
        limit, module.MAX_THREAD_CALLS = module.MAX_THREAD_CALLS, 1
        self.addCleanup(setattr, module, "MAX_THREAD_CALLS", limit)
        self.site.in_thread(go.wait, 10)
        faults = []
        self.site.in_thread(print).addErrback(lambda why: faults.append(why.type))
        self.assertEqual(faults, [PluginError])
        go.set()
        self.reactor.turn()
        self.assertIsInstance(self.site.in_thread(int), Deferred)
        self.reactor.turn()

    def test_resolves_an_address_to_itself(self):
        found = []
        self.site.resolve("192.0.2.7").addCallback(found.append)
        self.reactor.turn()
        self.assertEqual(found, [["192.0.2.7"]])


class CellTest(TestCase):
    """Two sites on one table play two runtimes of a worker; a second host is another worker."""

    def site(self, world=None, table=None):
        return FakeSite(registry=model.REGISTRY, world=world, table=table)

    def test_counts_and_tokens_outlive_a_runtime(self):
        old = self.site()
        new = self.site(table=old.table)
        self.assertIs(old.ledger("a", 2), new.ledger("a", 2))
        self.assertIs(old.buckets("a", 10), new.buckets("a", 10))
        self.assertIsNot(old.buckets("a", 10), new.buckets("a", 20))
        old.release()
        new.release()
        self.assertEqual(len(old.table), 0)

    def test_they_provide_their_interfaces(self):
        site = self.site()
        for arena in (None, Host(self, locking=LOCKING).worker()):
            site.world.arena = arena
            verifyObject(ILedger, site.ledger(("a", arena is None), 2))
            verifyObject(IBuckets, site.buckets(("a", arena is None), 2))
        site.release()

    def test_workers_share_them_until_the_last_runtime_that_asks(self):
        host = Host(self, locking=LOCKING)
        sites = [self.site(world=FakeWorld()) for _ in range(2)]
        for site in sites:
            site.world.arena = host.worker()
        one, other = (site.ledger("a", 1) for site in sites)
        self.assertEqual((one.take(0, 1), other.take(0, 1)), (True, False))
        sites[0].release()
        self.assertEqual((other.take(0, 1), host.supervisor.used()), (True, 1))
        sites[1].release()
        self.assertEqual(host.supervisor.used(), 0)


class FakeSiteTest(TestCase):
    def setUp(self):
        self.site = FakeSite(registry=model.REGISTRY, hosts={"db": ["192.0.2.1"]})

    def test_provides_the_interface(self):
        verifyObject(ISite, self.site)

    def test_time_is_in_the_tests_hand(self):
        fired = []
        self.site.clock.call_later(10, fired.append, "due")
        self.site.advance(9)
        self.assertEqual((self.site.clock.wall(), fired), (EPOCH_S + 9, []))
        self.site.advance(1)
        self.assertEqual(fired, ["due"])

    def test_chance_is_the_same_each_time(self):
        self.assertEqual(FakeSite().random.random(), FakeSite().random.random())

    def test_builds_with_the_contract_check(self):
        made = self.site.make("http_filter", "filter", model.Tag(value=3), name="mine")
        self.assertEqual((made.config.value, made.site.name, self.site.built), (3, "mine", [made]))
        with self.assertRaisesRegex(Exception, "no http_filter"):
            self.site.make("http_filter", "formless")

    def test_resolves_the_names_that_were_given(self):
        found = []
        self.site.resolve("db").addCallback(found.append)
        self.site.resolve("nobody").addErrback(lambda why: found.append(why.type))
        self.assertEqual(found, [["192.0.2.1"], OSError])

    def test_calls_are_answered_by_the_test(self):
        found, pieces = [], []
        self.site.call("api", CallRequest(target=b"/a", headers=((b"X-A", b"1"),))).addCallback(found.append)
        self.site.call("api", CallRequest(on_data=pieces.append)).addErrback(lambda why: found.append(str(why.value)))
        self.site.call("api", CallRequest()).addErrback(lambda why: None).cancel()
        whole, streamed, unwanted = self.site.calls
        whole.answer(201, b"x", [(b"etag", b"7")])
        streamed.send(b"one")
        streamed.fail("reset")
        self.assertEqual((found[0].status, found[0].body, found[0].headers.get(b"etag")), (201, b"x", b"7"))
        self.assertEqual((found[1:], pieces), (["cluster api: reset"], [b"one"]))
        self.assertEqual((whole.cluster, whole.request.target, whole.header(b"x-a")), ("api", b"/a", b"1"))
        self.assertEqual((streamed.is_cancelled, unwanted.is_cancelled), (False, True))

    def test_what_it_builds_calls_the_test_too(self):
        made = self.site.make("http_filter", "filter", model.Tag(value=3), name="mine")
        made.site.call("api", CallRequest())
        self.assertEqual(self.site.calls[0].cluster, "api")

    def test_two_sites_can_play_two_runtimes(self):
        first = FakeSite(registry=model.REGISTRY)
        second = FakeSite(registry=model.REGISTRY, table=first.table)
        cell = first.state("worker", "key", dict)
        self.assertIs(second.state("worker", "key", dict), cell)
        first.release()
        self.assertEqual(len(first.table), 1)

    def test_reopen_plays_sigusr1(self):
        calls = []
        self.site.on_reopen(lambda: calls.append(1))
        self.site.reopen()
        self.assertEqual(calls, [1])
