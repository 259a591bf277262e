"""Reloads: all or nothing, what is open stays open, the old runtime ends after its last request."""

import gc
import socket
import weakref
from unittest import TestCase

import attrs
from twisted.internet.defer import Deferred, fail, succeed

from meshd.api import ConfigurationError, PluginType
from meshd.hot.ledger import LOCKING
from meshd.registry import Registry
from meshd.runtime.build import build
from meshd.runtime.reload import START_TIMEOUT_S, Reloader
from meshd.runtime.site import finish
from tests.downstream.backlog import backlog
from tests.host.workers import Host
from tests.runtime import model


class ReloadTest(TestCase):
    def setUp(self):
        self.events = []
        self.world = model.world(self.events)
        self.reads = []
        self.config = model.loaded(model.listener(), clusters=[model.cluster()])
        self.reloader = self.make(model.REGISTRY)
        self.addCleanup(self.world.poller.epoll.close)
        self.addCleanup(self.close)
        model.Part.journal = self.journal = []

    def make(self, registry):
        def read():
            self.reads.append(self.config)
            return self.config if isinstance(self.config, Deferred) else succeed(self.config)

        return Reloader(self.world, registry, read, environment={})

    def close(self):
        for listener in self.reloader.listeners.values():
            listener.close()

    def settle(self, deferred):
        """Let the reactor turn until ``deferred`` has fired; return its result."""
        found = []
        deferred.addBoth(found.append)
        self.turn(lambda: found)
        return found[0]

    def turn(self, until):
        for _ in range(1000):
            if until():
                return
            self.world.reactor.advance(0)
        self.fail("it never ended")

    def begin(self, *listeners, **more):
        if listeners:
            self.config = model.loaded(*listeners, **more)
        outcome = self.settle(self.reloader.begin(self.config))
        self.assertTrue(outcome.is_accepted, outcome.text)
        return outcome

    def reload(self, *listeners, waits=False, **more):
        if listeners:
            self.config = model.loaded(*listeners, **more)
        outcome = self.settle(self.reloader.reload())
        self.turn(lambda: not self.reloader.retiring or waits)
        return outcome

    def metric(self, name, *labels):
        return self.world.metrics.value(name, *labels)


class BeginTest(ReloadTest):
    def test_serves_the_first_configuration(self):
        outcome = self.begin()
        self.assertEqual(outcome.text, "+1 ~0 -0 listeners, +1 ~0 -0 clusters")
        self.assertEqual((outcome.generation, outcome.digest), (1, "d"))
        listener = self.reloader.listeners["public"]
        self.assertTrue(listener.is_accepting)
        self.assertIs(listener.whole.chain, self.reloader.runtime.chains["public"][""])
        self.assertTrue(self.reloader.runtime.clusters["users"].is_started)
        self.assertEqual(self.metric("meshd_config_generation"), 1)
        self.assertEqual(self.metric("meshd_config_last_reload_successful"), 1)
        self.assertGreater(self.metric("meshd_config_last_reload_success_timestamp_seconds"), 1.6e9)
        self.assertIs(self.world.node, self.reloader.runtime.snapshot.node)

    def test_a_configuration_that_cannot_be_built_serves_nothing(self):
        bad = model.loaded(model.listener("public", model.plug("one", "broken")))
        outcome = self.settle(self.reloader.begin(bad))
        self.assertFalse(outcome.is_accepted)
        self.assertEqual((self.reloader.runtime, self.reloader.listeners, outcome.generation), (None, {}, 0))
        self.assertEqual(self.events[-1]["kept"], "nothing is served")


class SwapTest(ReloadTest):
    def test_an_unchanged_listener_keeps_its_socket_and_gets_the_new_chain(self):
        self.begin()
        listener = self.reloader.listeners["public"]
        before, old = listener.socket, self.reloader.runtime
        self.reload(model.listener("public", model.plug("more")))
        self.assertIs(self.reloader.listeners["public"], listener)
        self.assertIs(listener.socket, before)
        self.assertIsNot(self.reloader.runtime, old)
        self.assertEqual([use.plugin.name for use in listener.whole.chain.uses], ["more", "router"])

    def test_says_what_has_changed(self):
        self.begin(model.listener("a"), model.listener("b"), clusters=[model.cluster("one"), model.cluster("two")])
        changed = model.listener("b", model.plug("new"))
        outcome = self.reload(changed, model.listener("c"), clusters=[model.cluster("two")])
        self.assertEqual(outcome.text, "+1 ~1 -1 listeners, +0 ~0 -1 clusters")
        self.assertEqual(outcome.as_dict()["changed"]["listeners"], {"added": 1, "changed": 1, "removed": 1})
        self.assertEqual(self.reload().text, "nothing changed")

    def test_an_unchanged_configuration_is_built_again(self):
        self.begin()
        old = self.reloader.runtime
        outcome = self.reload()
        self.assertTrue(outcome.is_accepted)
        self.assertIsNot(self.reloader.runtime, old)

    def test_a_renamed_listener_passes_its_socket_on(self):
        self.begin(model.listener("old"))
        before = self.reloader.listeners["old"].socket
        self.assertTrue(self.reload(model.listener("new")).is_accepted)
        self.assertEqual(list(self.reloader.listeners), ["new"])
        self.assertIs(self.reloader.listeners["new"].socket, before)
        self.assertTrue(self.reloader.listeners["new"].is_accepting)

    def test_a_listener_that_was_closed_stays_closed_under_another_name(self):
        self.begin(model.listener("old"))
        self.reloader.listeners["old"].close()
        self.assertTrue(self.reload(model.listener("new")).is_accepted)
        new = self.reloader.listeners["new"]
        self.assertEqual((list(self.reloader.listeners), new.socket, new.is_accepting), (["new"], None, False))

    def test_a_socket_that_is_passed_on_gets_the_backlog_of_its_new_listener(self):
        self.begin(model.listener("old"))
        self.reload(attrs.evolve(model.listener("new"), backlog=7))
        self.assertEqual(backlog(self.reloader.listeners["new"].socket), 7)

    def test_a_listener_that_is_gone_is_closed(self):
        self.begin(model.listener("a"), model.listener("b"))
        gone = self.reloader.listeners["b"]
        self.reload(model.listener("a"))
        self.assertEqual((list(self.reloader.listeners), gone.socket), (["a"], None))

    def test_a_listener_with_another_address_is_bound_anew(self):
        self.begin()
        taken = socket.create_server(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        taken.close()
        old = self.reloader.listeners["public"]
        self.assertTrue(self.reload(model.listener(address=address)).is_accepted)
        self.assertIsNot(self.reloader.listeners["public"], old)
        self.assertEqual(self.reloader.listeners["public"].local, address)

    def test_the_old_runtime_stops_after_its_last_request(self):
        self.begin()
        old = self.reloader.runtime.chains["public"][""]
        old.active = 1
        self.reload(waits=True)
        for _ in range(10):
            self.world.reactor.advance(0)
        self.assertEqual(([row for row in self.journal if row[0] == "stop"], self.reloader.retiring), ([], 1))
        old.complete(None)
        self.turn(lambda: not self.reloader.retiring)
        self.assertEqual({row for row in self.journal if row[0] == "stop"}, {("stop", "router"), ("stop", "users")})

    def test_the_old_discovery_ends_at_the_swap_and_cannot_take_the_pools_back(self):
        found = model.cluster(discovery=model.plug("found", "found"))
        self.begin(model.listener(), clusters=[found])
        self.reloader.runtime.chains["public"][""].active = 1
        pool = self.reloader.runtime.clusters["users"].endpoints[0].pool
        before = [row for row in self.journal if row[0] == "stop"]
        self.reload(model.listener(), clusters=[found], waits=True)
        self.assertEqual(before, [])
        self.assertEqual([row for row in self.journal if row[0] == "stop"], [("stop", "users")])
        self.assertIs(self.reloader.runtime.clusters["users"].endpoints[0].pool, pool)
        self.assertIs(pool.cluster, self.reloader.runtime.clusters["users"])

    def test_the_old_runtime_is_freed_without_the_collector(self):
        self.begin(model.listener("public", model.plug("one"), routes=0), clusters=[model.cluster()])
        runtime = self.reloader.runtime
        chain = runtime.chains["public"][""]
        traces = [weakref.ref(one) for one in (runtime, chain, runtime.clusters["users"], chain.uses[0].object)]
        del runtime, chain
        self.addCleanup(gc.enable)
        self.reload()
        self.world.reactor.advance(0)
        gc.disable()
        self.assertEqual([trace() for trace in traces], [None] * 4)

    def test_collections_are_on_again_after_a_reload(self):
        self.begin()
        before = gc.get_threshold()
        self.reload()
        self.assertEqual((gc.get_threshold(), gc.isenabled()), (before, True))

    def test_tells_those_who_listen(self):
        seen = []
        self.reloader.on_swap.append(seen.append)
        self.begin()
        self.assertEqual(seen, [self.reloader.runtime])

    def test_sigusr1_reaches_the_plugins_of_the_runtime_in_force_only(self):
        self.begin()
        calls = []
        self.reloader.runtime.ground.reopeners.append(lambda: calls.append("old"))
        self.reload()
        self.reloader.runtime.ground.reopeners.append(lambda: calls.append("new"))
        self.world.reopen()
        self.assertEqual(calls, ["new"])

    def test_stop_ends_the_runtime_and_its_state(self):
        self.begin()
        self.reloader.runtime.ground.claims.state("worker", "key", dict)
        self.settle(self.reloader.drain(1.0))
        self.settle(self.reloader.stop())
        self.assertEqual((self.reloader.runtime, len(self.reloader.table)), (None, 0))


class RefusalTest(ReloadTest):
    def setUp(self):
        super().setUp()
        self.thresholds = gc.get_threshold()
        self.begin(model.listener("public"), model.listener("other"))
        self.before = (self.reloader.runtime, dict(self.reloader.listeners))
        self.journal.clear()

    def refused(self, outcome, *texts):
        self.assertFalse(outcome.is_accepted)
        for text in texts:
            self.assertIn(text, outcome.text)
        self.assertEqual((self.reloader.runtime, self.reloader.listeners), self.before)
        self.assertEqual((outcome.generation, outcome.digest), (1, "d"))
        self.assertTrue(all(one.is_accepting for one in self.reloader.listeners.values()))
        self.assertEqual(self.metric("meshd_config_last_reload_successful"), 0)
        self.assertEqual(self.metric("meshd_config_generation"), 1)
        self.assertEqual(self.events[-1]["kept"], "configuration 1 stays in force")
        self.assertEqual(self.reloader.retiring, 0)
        self.assertEqual(gc.get_threshold(), self.thresholds)

    def test_a_configuration_that_cannot_be_read(self):
        self.config = fail(ConfigurationError("m.yaml:1:1: bad", (attrs.make_class("F", ["code"])("MSH0104"),)))
        self.refused(self.settle(self.reloader.reload()), "m.yaml:1:1: bad")
        self.assertEqual(self.metric("meshd_config_errors_total", "MSH0104"), 1)

    def test_a_plugin_that_cannot_be_built(self):
        outcome = self.reload(model.listener("public", model.plug("one", "broken")))
        self.refused(outcome, "RuntimeError: cannot be built")
        self.assertEqual(self.journal, [])

    def test_an_address_that_is_taken_frees_what_was_bound(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = "127.0.0.1:%d" % taken.getsockname()[1]
            names = len(self.world.poller.owners)
            third = model.listener("third", address=address)
            outcome = self.reload(model.listener("first"), model.listener("second"), third)
            self.refused(outcome, f"listener third: {address}: cannot bind")
            self.assertEqual(len(self.world.poller.owners), names)

    def test_code_that_was_installed_since_the_start(self):
        outcome = self.reload(model.listener(), fingerprint=(("acme-hello", "1.3", ""),))
        self.refused(outcome, "installed code has changed: acme-hello: expected a restart")

    def test_a_bug_of_the_reader(self):
        self.config = fail(ZeroDivisionError("oops"))
        self.refused(self.settle(self.reloader.reload()), "bug: ZeroDivisionError: oops")

    def test_and_the_next_good_one_is_accepted(self):
        self.reload(model.listener("public", model.plug("one", "broken")))
        self.assertTrue(self.reload(model.listener("public")).is_accepted)
        self.assertEqual(self.metric("meshd_config_last_reload_successful"), 1)


class StartTest(ReloadTest):
    def registry(self, start):
        class Starts(model.Filter):
            def start(self):
                self.journal.append(("start", self.site.name))
                return start()

        return Registry.of(*model.TYPES, PluginType(kind="http_filter", name="starts", build=Starts))

    def attempt(self, start):
        self.reloader = self.make(self.registry(start))
        plugin = attrs.evolve(model.plug("one"), type="starts", config=None)
        self.config = model.loaded(model.listener("public", plugin))
        return self.reloader.begin(self.config)

    def test_a_start_that_raises_refuses_the_configuration_and_stops_what_was_started(self):
        outcome = self.settle(self.attempt(lambda: 1 / 0))
        self.assertEqual(outcome.text, "http_filter one (starts): start: ZeroDivisionError: division by zero")
        self.assertEqual(self.reloader.listeners, {})
        self.assertEqual(self.journal[-2:], [("stop", "router"), ("stop", "one")])

    def test_the_swap_waits_for_a_start_that_takes_its_time(self):
        started = Deferred()
        answer = self.attempt(lambda: started)
        self.turn(lambda: self.journal)
        self.assertIsNone(self.reloader.runtime)
        started.callback(None)
        self.assertTrue(self.settle(answer).is_accepted)

    def test_a_start_that_never_ends_refuses_the_configuration(self):
        answer = self.attempt(Deferred)
        self.turn(lambda: self.journal)
        self.world.reactor.advance(START_TIMEOUT_S)
        self.assertIn(f"not done after {START_TIMEOUT_S:g} s", self.settle(answer).text)

    def unstarted(self, start, *names):
        """Return a runtime with a filter of each name, before its start."""
        self.reloader = self.make(self.registry(start))
        plugins = [attrs.evolve(model.plug(name), type="starts", config=None) for name in names]
        return finish(build(
            model.snapshot(model.listener("public", *plugins)), self.reloader.registry, self.world,
            table=self.reloader.table, environment={}))

    def test_starts_run_one_after_another_in_turns_of_the_reactor(self):
        runtime = self.unstarted(lambda: None, "one", "two", "three")
        self.assertEqual([len(self.journal) for _ in runtime._begin()], [1, 2, 3, 4])
        self.journal.clear()
        started = runtime.start()
        self.assertEqual(self.journal, [])
        self.settle(started)
        self.assertEqual(len(self.journal), 4)

    def test_a_start_that_is_given_up_begins_no_more(self):
        waits, cut = [], []
        runtime = self.unstarted(lambda: waits.append(Deferred(cut.append)) or waits[-1], "one", "two")
        work = runtime._begin()
        next(work)
        work.close()
        self.assertEqual((cut, self.journal), (waits, [("start", "one")]))

    def test_a_refusal_says_whose_fault_it_is(self):
        self.assertTrue(self.settle(self.attempt(lambda: 1 / 0)).is_configuration)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = "127.0.0.1:%d" % taken.getsockname()[1]
            self.config = model.loaded(model.listener(address=address))
            self.assertFalse(self.settle(self.reloader.begin(self.config)).is_configuration)


class CollapseTest(ReloadTest):
    def test_signals_during_a_reload_lead_to_one_more(self):
        self.begin()
        answers = [self.reloader.reload() for _ in range(5)]
        outcomes = [self.settle(answer) for answer in answers]
        self.assertEqual(len(self.reads), 2)
        self.assertEqual([outcome.generation for outcome in outcomes], [2, 3, 3, 3, 3])

    def test_the_one_more_reads_what_stands_there_then(self):
        self.begin()
        waiting = self.config = Deferred()
        first = self.reloader.reload()
        second = self.reloader.reload()
        self.config = model.loaded(model.listener("public", model.plug("late")), digest="late")
        waiting.callback(model.loaded(model.listener("public"), digest="early"))
        self.assertEqual([self.settle(one).digest for one in (first, second)], ["early", "late"])


class ArenaTest(ReloadTest):
    def setUp(self):
        super().setUp()
        self.host = Host(self, locking=LOCKING)
        self.world.arena = self.host.worker()
        self.addCleanup(self.close)
        self.begin(model.listener("a"))

    def test_a_refused_reload_leaves_no_claim(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            third = model.listener("c", address="127.0.0.1:%d" % taken.getsockname()[1])
            moved, new = model.listener("moved"), model.listener("b", address="127.0.0.2:0")
            self.assertFalse(self.reload(moved, new, third).is_accepted)
        self.assertEqual(self.host.supervisor.used(), 1)

    def test_claims_follow_the_listeners(self):
        self.assertTrue(self.reload(model.listener("moved"), model.listener("b", address="127.0.0.2:0")).is_accepted)
        self.assertEqual(self.host.supervisor.used(), 2)
        self.assertTrue(self.reload(model.listener("moved")).is_accepted)
        self.assertEqual(self.host.supervisor.used(), 1)
