"""The shipped network filters: the contract, configuration, and what each decides."""

from unittest import TestCase

from twisted.internet.defer import Deferred

from meshd.api import CONTINUE, STOP, flag
from meshd.testing.contract.connection import NetworkFilterContract, Session
from meshd.testing.site import FakeSite
from meshd_plugins.tcp.connection_limit import ConnectionLimit, ConnectionLimitOptions
from meshd_plugins.tcp.local_ratelimit import ConnectionBucket, LocalRateLimit, LocalRateLimitOptions
from meshd_plugins.tcp.proxy import TcpProxy, TcpProxyOptions, WeightedCluster, references
from meshd_plugins.tcp.sni_cluster import SniCluster


class SiteCase(TestCase):
    def setUp(self):
        self.site = FakeSite(clusters={"a": "A", "b": "B"})


class Proxying(NetworkFilterContract, SiteCase):
    def make(self, **options):
        return TcpProxy(TcpProxyOptions(**(options or {"cluster": "a"})), self.site)

    def plan(self, session=None, **options):
        """Return the plan of a connection."""
        session = session or Session()
        self.assertIs(self.make(**options).on_open(session), STOP)
        return session.plan

    def test_one_cluster_with_envoys_defaults(self):
        plan = self.plan(cluster="a")
        self.assertEqual((plan.clusters, plan.idle_timeout_s, plan.max_connect_attempts, plan.max_duration_s),
                         (((1, "A"),), 3600.0, 1, 0.0))

    def test_several_by_weight(self):
        weighted = (WeightedCluster(cluster="a", weight=3), WeightedCluster(cluster="b", weight=1))
        self.assertEqual(self.plan(weighted_clusters=weighted).clusters, ((3, "A"), (4, "B")))
        self.assertEqual([need.name for need in references(TcpProxyOptions(weighted_clusters=weighted))], ["a", "b"])

    def test_both_are_a_fault(self):
        options = TcpProxyOptions(cluster="a", weighted_clusters=(WeightedCluster(cluster="b"),))
        self.assertEqual([key for key, _ in options.check()], ["weighted_clusters"])

    def test_the_cluster_of_the_server_name(self):
        session = Session(server_name="b.example")
        self.assertIs(SniCluster(None, self.site).on_open(session), CONTINUE)
        self.assertEqual(self.plan(session, cluster="a").cluster_name, "b.example")
        session = Session()
        SniCluster(None, self.site).on_open(session)
        self.assertEqual(self.plan(session, cluster="a").clusters, ((1, "A"),))


class Naming(NetworkFilterContract, SiteCase):
    def make(self):
        return SniCluster(None, self.site)


class Limiting(NetworkFilterContract, SiteCase):
    def make(self, **options):
        return ConnectionLimit(ConnectionLimitOptions(max_connections=2, **options), self.site)

    def test_beyond_the_limit_connections_are_refused_until_one_ends(self):
        plugin, sessions = self.make(), [Session() for _ in range(4)]
        self.assertEqual([plugin.on_open(one) for one in sessions[:3]], [CONTINUE, CONTINUE, STOP])
        self.assertEqual(sessions[2].refused, (0, "over_connection_limit"))
        sessions[0].end()
        self.assertIs(plugin.on_open(sessions[3]), CONTINUE)

    def test_the_count_outlives_a_reload(self):
        first = self.make()
        session = Session()
        first.on_open(session)
        second = self.make()
        self.assertEqual([second.on_open(Session()) for _ in range(2)], [CONTINUE, STOP])

    def test_a_refusal_may_wait(self):
        plugin = self.make(delay_s=2.0)
        for _ in range(2):
            plugin.on_open(Session())
        answer, verdicts = plugin.on_open(Session()), []
        self.assertIsInstance(answer, Deferred)
        answer.addCallback(verdicts.append)
        self.site.advance(1.9)
        self.assertEqual(verdicts, [])
        self.site.advance(0.2)
        self.assertEqual(verdicts, [STOP])


class Rating(NetworkFilterContract, SiteCase):
    def make(self):
        bucket = ConnectionBucket(max_tokens=2, tokens_per_fill=1, fill_interval_s=10.0)
        return LocalRateLimit(LocalRateLimitOptions(token_bucket=bucket), self.site)

    def test_takes_a_token_for_each_connection(self):
        plugin, last = self.make(), Session()
        self.assertEqual([plugin.on_open(one) for one in (Session(), Session(), last)], [CONTINUE, CONTINUE, STOP])
        self.assertEqual(last.refused, (flag.RL, "local_ratelimit_close"))
        self.site.advance(10.0)
        self.assertEqual([plugin.on_open(Session()) for _ in range(2)], [CONTINUE, STOP])
