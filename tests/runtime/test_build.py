"""From a snapshot to a runtime: what is made, what is refused, and that nothing starts."""

from unittest import TestCase

import attrs

from meshd.api import CONTINUE, STOP, ConfigurationError, Plugin, PluginType
from meshd.model.chain_match import ChainMatch
from meshd.model.listener import FilterChain, Listener
from meshd.registry import Registry
from meshd.runtime.build import build, check
from meshd.runtime.site import finish
from meshd.runtime.state import StateTable
from meshd.testing.exchange import FakeExchange
from meshd_plugins import rate_limit
from tests.runtime import model


class BuildTest(TestCase):
    def setUp(self):
        self.table = StateTable()
        self.world = model.world()
        self.addCleanup(self.world.poller.epoll.close)
        model.Part.journal = self.journal = []

    def build(self, snapshot, previous=None):
        return finish(build(snapshot, model.REGISTRY, self.world, previous, table=self.table, environment={}))

    def start(self, runtime):
        runtime.start()
        self.world.reactor.advance(0)

    def faults(self, snapshot):
        with self.assertRaises(ConfigurationError) as caught:
            self.build(snapshot)
        self.assertEqual(len(self.table), 0)
        return caught.exception.faults

    def test_makes_clusters_with_the_default_balancer_and_breaker(self):
        runtime = self.build(model.snapshot(clusters=[model.cluster()]))
        cluster = runtime.clusters["users"]
        self.assertIsInstance(cluster.balancer, model.Balancer)
        self.assertEqual((cluster.balancer.config.value, cluster.balancer.site.name), (0, "users"))
        self.assertEqual(cluster.breaker.site.owner, "cluster users")
        self.assertEqual([endpoint.address for endpoint in cluster.balancer.endpoints], ["127.0.0.1:9"])

    def test_makes_one_chain_for_each_listener_in_the_order_of_the_file(self):
        spec = model.listener("public", model.plug("one"), model.plug("two"))
        chain = self.build(model.snapshot(spec, model.listener("other"))).chains["public"][""]
        self.assertEqual([use.plugin.name for use in chain.uses], ["one", "two", "router"])
        self.assertEqual([use.object.site.owner for use in chain.uses], ["listener public"] * 3)
        self.assertEqual(chain.uses[0].record.label, "plugin one (filter of test 0)")

    def test_leaves_disabled_filters_out(self):
        off = attrs.evolve(model.plug("one", "broken"), disabled=True)
        chain = self.build(model.snapshot(model.listener("public", off))).chains["public"][""]
        self.assertEqual([use.plugin.name for use in chain.uses], ["router"])

    def test_mesh_wide_sinks_are_one_object_in_all_chains(self):
        snapshot = model.snapshot(model.listener("a"), model.listener("b"), telemetry=(model.plug("sink", "sink"),))
        runtime = self.build(snapshot)
        first, second = (runtime.chains[name][""].all_sinks[0] for name in "ab")
        self.assertIs(first.object, second.object)
        self.assertIsNot(first.record, second.record)

    def test_builds_what_routes_put_in_place_of_a_filter(self):
        runtime = self.build(model.snapshot(model.listener("public", model.plug("filter"), routes=1)))
        first, router = runtime.chains["public"][""].uses
        off, other = (first.overrides[route] for route in router.object.routes)
        self.assertIsNone(off)
        self.assertEqual((other.config.value, other.site.owner), (7, "listener public: route all/b"))

    def test_a_rate_limit_of_one_route_has_tokens_of_its_own(self):
        def limit(rate):
            config = rate_limit.RateLimit(rate=rate, per_s=60.0)
            return Plugin(kind="http_filter", type="rate_limit", name="filter", config=config)

        def router(config, site):
            made = model.Terminal(None, site)
            made.routes = (model.Route("own", {"filter": limit(2)}), model.Route("common", {}))
            return made

        types = [one for one in model.TYPES if one.name != "router"]
        types.append(PluginType(kind="http_filter", name="router", config=model.Tag, build=router, terminal=True))
        registry = Registry.of(*types, *rate_limit.meshd_plugins())
        snapshot = model.snapshot(model.listener("public", limit(1)))
        runtime = finish(build(snapshot, registry, self.world, table=self.table, environment={}))
        use, last = runtime.chains["public"][""].uses
        base, own = use.object, use.overrides[last.object.routes[0]]
        answers = [FakeExchange().request_phase(limiter) for limiter in (base, own, own, own, base)]
        self.assertEqual(answers, [CONTINUE, CONTINUE, CONTINUE, STOP, STOP])

    def test_refuses_an_override_of_a_filter_that_is_not_there(self):
        (fault, _) = self.faults(model.snapshot(model.listener("public", routes=1)))
        self.assertIn("listener public: route a: override 'filter': no such filter", fault.message)

    def test_yields_where_a_plugin_yields(self):
        snapshot = model.snapshot(model.listener("public", model.plug("slow", "slow")))
        work = build(snapshot, model.REGISTRY, self.world, table=self.table, environment={})
        plain = build(model.snapshot(model.listener()), model.REGISTRY, self.world, table=self.table, environment={})
        self.assertEqual(len(list(work)) - len(list(plain)), 3)

    def test_shows_every_fault_with_its_place_and_its_distribution(self):
        faults = self.faults(model.snapshot(
            model.listener("public", model.plug("one", "broken", where="m.yaml:3:5"), model.plug("two", "formless"))
        ))
        text = "m.yaml:3:5: listener public: http_filter one (broken): test 0: RuntimeError: cannot be built"
        self.assertEqual(str(faults[0]), text)
        self.assertIn("object is no http_filter: no method: expected one of on_request", faults[1].message)

    def test_refuses_a_chain_without_a_terminal_filter_at_its_end(self):
        spec = model.listener("public", model.plug("again", "router", model.Tag()))
        (fault,) = self.faults(model.snapshot(spec))
        self.assertEqual((fault.code, fault.message.split(": ")[:2]), ("MSH0202", ["listener public", "filters"]))

    def test_makes_the_filters_of_a_listener_and_a_chain_for_each_of_its_filter_chains(self):
        router = model.plug("router", "router")
        chains = (FilterChain(name="a", filters=(router,), telemetry=(model.plug("s", "sink"),)),
                  FilterChain(name="b", filters=(model.plug("x"), router)))
        spec = Listener(name="public", address="127.0.0.1:0", listener_filters=(model.plug("looker", "looker"),),
                        filter_chains=(chains[0], attrs.evolve(chains[1], match=ChainMatch(destination_port=1))))
        runtime = self.build(model.snapshot(spec))
        self.assertEqual([use.plugin.name for use in runtime.listener_filters["public"].uses], ["looker"])
        self.assertEqual(list(runtime.chains["public"]), ["a", "b"])
        self.assertEqual([use.plugin.name for use in runtime.chains["public"]["b"].uses], ["x", "router"])
        self.assertEqual([len(one.all_sinks) for one in runtime.chains["public"].values()], [1, 0])
        self.assertIn("filter chain b", runtime.chains["public"]["b"].uses[0].object.site.owner)

    def test_refuses_an_unknown_type(self):
        spec = model.listener("public", attrs.evolve(model.plug("one"), type="ghost"))
        self.assertIn("unknown type: expected one of: broken, filter", self.faults(model.snapshot(spec))[0].message)

    def test_starts_nothing(self):
        runtime = self.build(model.snapshot(model.listener("public", model.plug("one")), clusters=[model.cluster()]))
        self.assertEqual((self.journal, self.world.reactor.getDelayedCalls()), ([], []))
        self.start(runtime)
        self.assertEqual({name for event, name in self.journal}, {"one", "router", "users"})

    def test_stop_ends_plugins_in_reverse_order(self):
        runtime = self.build(model.snapshot(model.listener("public", model.plug("one"))))
        self.start(runtime)
        finish(runtime.stop())
        self.assertEqual(self.journal, [("start", "one"), ("start", "router"), ("stop", "router"), ("stop", "one")])

    def test_stop_of_a_runtime_that_never_started_stops_no_plugin(self):
        finish(self.build(model.snapshot(model.listener("public", model.plug("one")))).stop())
        self.assertEqual(self.journal, [])

    def test_a_discovered_cluster_has_its_endpoints_once_started(self):
        runtime = self.build(model.snapshot(clusters=[model.cluster(discovery=model.plug("found", "found"))]))
        self.assertEqual(runtime.clusters["users"].endpoints, ())
        self.start(runtime)
        self.assertEqual(len(runtime.clusters["users"].endpoints), 1)

    def test_keeps_pools_of_addresses_that_stay(self):
        snapshot = model.snapshot(clusters=[model.cluster()])
        first = self.build(snapshot)
        second = self.build(snapshot, first)
        pools = [runtime.clusters["users"].endpoints[0].pool for runtime in (first, second)]
        self.assertIs(*pools)

    def test_a_kept_discovery_starts_with_the_endpoints_it_had(self):
        snapshot = model.snapshot(clusters=[model.cluster(discovery=model.plug("found", "found"))])
        first = self.build(snapshot)
        self.start(first)
        self.assertEqual(len(self.build(snapshot, first).clusters["users"].endpoints), 1)

    def test_state_is_given_back_when_building_fails(self):
        self.faults(model.snapshot(model.listener("public", model.plug("one", "broken"))))

    def test_a_strike_hits_the_uses_of_one_plugin_or_the_one_object_that_is_known(self):
        runtime = self.build(model.snapshot(model.listener("public", model.plug("one"), model.plug("two"))))
        one, two, _ = runtime.chains["public"][""].uses
        entry = model.REGISTRY.plugins[0]
        runtime.strike(entry, frozenset([id(two.object)]))
        self.assertEqual((one.record.late_times, two.record.late_times), (0, 1))
        runtime.strike(entry)
        self.assertEqual((one.record.late_times, two.record.late_times), (1, 2))


class CheckTest(TestCase):
    def test_passes_what_can_be_built(self):
        check(model.snapshot(model.listener(), clusters=[model.cluster()]), model.REGISTRY)

    def test_refuses_what_cannot(self):
        with self.assertRaises(ConfigurationError):
            check(model.snapshot(model.listener("public", model.plug("one", "broken"))), model.REGISTRY)
