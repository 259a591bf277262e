"""The shipped network filters: the contract, configuration, and what each decides."""

from unittest import TestCase

from twisted.internet.defer import Deferred
from xxhash import xxh64_intdigest as xxh64

from meshd.api import CONTINUE, STOP, flag
from meshd.testing.contract.connection import NetworkFilterContract, Session
from meshd.testing.site import FakeSite
from meshd_plugins.tcp.connection_limit import ConnectionLimit, ConnectionLimitOptions
from meshd_plugins.tcp.local_ratelimit import ConnectionBucket, LocalRateLimit, LocalRateLimitOptions
from meshd_plugins.tcp.hash_policy import FilterState, HashPolicy, SourceIp
from meshd_plugins.tcp.proxy import TcpProxy, TcpProxyOptions, WeightedCluster, references
from meshd_plugins.tcp.sni_cluster import SniCluster
from meshd_plugins.tcp.tunneling import Tunneling


class Saying:
    """An operator that says one thing."""

    def __init__(self, value):
        self.value = value

    def compile(self, argument, length):
        """Return what reads it."""
        return lambda exchange: self.value


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

    def test_a_connections_key_is_of_its_address_or_of_a_note(self):
        self.assertIsNone(self.plan(cluster="a").hash_key)
        key = self.plan(cluster="a", hash_policy=(HashPolicy(source_ip=SourceIp()),)).hash_key
        session = Session()
        session.client, session.peer = "192.0.2.1", "192.0.2.1:5"
        self.assertEqual(key(session), xxh64(b"192.0.2.1"))
        session.client, session.peer = "unix", "unix:"
        self.assertIsNone(key(session))
        key = self.plan(cluster="a", hash_policy=(HashPolicy(filter_state=FilterState(key="user")),)).hash_key
        self.assertIsNone(key(session))
        session.metadata["user"] = "alice"
        self.assertEqual(key(session), xxh64(b"alice"))
        self.assertEqual(len(list(HashPolicy().check())), 1)

    def test_a_tunnels_host_and_fields_may_be_the_connections(self):
        options = Tunneling(hostname="%REQUESTED_SERVER_NAME%:443", headers_to_add=(("x-from", "a %CONNECTION_ID%"),),
                            use_post=True, post_path="/t")
        operators = {"REQUESTED_SERVER_NAME": Saying("db.test"), "CONNECTION_ID": Saying(7)}
        self.site.build = lambda plugin: operators[plugin.type]
        tunnel = self.plan(cluster="a", tunneling_config=options).tunnel
        self.assertEqual((tunnel.host(None), tunnel.use_post, tunnel.post_path), (b"db.test:443", True, b"/t"))
        self.assertEqual([(name, render(None)) for name, render in tunnel.fields], [(b"x-from", b"a 7")])

    def test_tunnels_that_cannot_be_are_faults(self):
        for key, options in (("hostname", {"hostname": "no-port"}), ("hostname", {"hostname": "%UNENDED:1"}),
                             ("hostname", {"hostname": "a:99999"}), ("hostname", {"hostname": "a:0"}),
                             ("post_path", {"hostname": "a:1", "post_path": "/x"}),
                             ("headers_to_add", {"hostname": "a:1", "headers_to_add": (("host", "x"),)}),
                             ("headers_to_add", {"hostname": "a:1", "headers_to_add": (("x", "a\rb"),)})):
            self.assertEqual([one for one, _ in Tunneling(**options).check()], [key], options)
        self.assertEqual(list(Tunneling(hostname="[2001:db8::1]:1").check()), [])

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
