"""Filter chains in the configuration: their forms, what clashes, and where faults are shown."""

import tempfile
from pathlib import Path

from meshd.errors import ConfigurationError
from meshd.model.plugin import PluginSettings
from meshd.registry import Registry
from tests.config.one_listener import CLUSTERS, HTTP, TCP, ListenerTestCase

DRAWN = """
from meshd.api import PluginType, hookimpl
MESHD_API = ">=1,<2"

@hookimpl
def meshd_plugins():
    return [PluginType(kind="listener_filter", name="drawn", build=lambda config, site: object())]
"""


class FilterChains(ListenerTestCase):
    def load(self, listener, clusters=CLUSTERS):
        """Return the listener of a configuration."""
        return self.read(listener, clusters).snapshot.listeners[0]

    def fault(self, listener, clusters=CLUSTERS):
        """Return (code, path, message) of the one fault; warnings do not count."""
        with self.assertRaises(ConfigurationError) as caught:
            self.load(listener, clusters)
        (fault,) = [one for one in caught.exception.faults if one.is_blocking]
        return fault.code, fault.path, fault.message

    def test_the_short_form_is_one_chain(self):
        for text, protocol in ((HTTP, "http"), (TCP, "tcp")):
            (chain,) = self.load(text + ", timeouts: {idle: 7s}").chains
            self.assertEqual((chain.name, chain.protocol, chain.timeouts.idle_s), ("", protocol, 7.0))

    def test_a_chain_has_the_listeners_rules_unless_it_has_its_own(self):
        listener = self.load("timeouts: {idle: 7s}, limits: {max_fields: 9}, filter_chains: ["
                             f"{{name: x, match: {{server_names: [a.b]}}, {HTTP}, timeouts: {{idle: 3s}}}}], "
                             f"default_filter_chain: {{name: z, {TCP}}}")
        found = [(one.name, one.protocol, one.timeouts.idle_s, one.limits.max_fields) for one in listener.chains]
        self.assertEqual(found, [("x", "http", 3.0, 9), ("z", "tcp", 7.0, 9)])

    def test_one_kind_of_filters(self):
        for text in ("backlog: 5", f"{HTTP}, {TCP}"):
            code, path, message = self.fault(text)
            self.assertEqual(code, "MSH0113")
            self.assertEqual(message, "expected either filters (HTTP) or network_filters (TCP)")
        self.assertEqual(self.fault("filter_chains: [{name: x}]")[:2],
                         ("MSH0113", "listeners[0].filter_chains[0].filters"))

    def test_filters_beside_chains(self):
        self.assertEqual(self.fault(f"{HTTP}, filter_chains: [{{name: x, {TCP}}}]")[:2],
                         ("MSH0113", "listeners[0].filters"))

    def test_two_chains_with_the_same_match(self):
        code, path, message = self.fault(
            f"filter_chains: [{{name: x, match: {{server_names: [a.b]}}, {TCP}}}, "
            f"{{name: z, match: {{server_names: [c.d, A.B]}}, {TCP}}}]")
        self.assertEqual((code, path), ("MSH0113", "listeners[0].filter_chains[1].match"))
        self.assertIn("chain 'z' matches the same as 'x'", message)

    def test_two_chains_of_one_name(self):
        other = f"{{name: x, match: {{destination_port: 1}}, {TCP}}}"
        self.assertEqual(self.fault(f"filter_chains: [{{name: x, {TCP}}}, {other}]")[0], "MSH0111")
        one = f"{{name: x, {TCP}}}"
        self.assertEqual(self.fault(f"filter_chains: [{one}], default_filter_chain: {one}")[:2],
                         ("MSH0113", "listeners[0].default_filter_chain.name"))

    def test_the_default_chain_matches_nothing(self):
        self.assertEqual(self.fault(f"default_filter_chain: {{name: x, match: {{destination_port: 1}}, {TCP}}}")[:2],
                         ("MSH0113", "listeners[0].default_filter_chain.match"))

    def test_bad_values(self):
        for match, path in (
            ("prefix_ranges: [10.0.0.0/8, ten]", "prefix_ranges[1]"), ("server_names: ['a.*']", "server_names[0]"),
            ("source_ports: [0]", "source_ports[0]"), ("transport_protocol: quic", "transport_protocol"),
        ):
            self.assertEqual(self.fault(f"filter_chains: [{{name: x, match: {{{match}}}, {TCP}}}]")[1],
                             f"listeners[0].filter_chains[0].match.{path}")

    def test_upgrades_are_words_of_a_header(self):
        self.load(f"{HTTP}, http: {{upgrades: [websocket, CONNECT, TLS/1.0]}}")
        self.assertEqual(self.fault(f"{HTTP}, http: {{upgrades: ['web socket']}}")[:2],
                         ("MSH0106", "listeners[0].http.upgrades[0]"))

    def test_one_source_address_of_each_version(self):
        clusters = CLUSTERS.replace("}]}]", "}], source_addresses: [127.0.0.6, '::6']}]")
        self.load(HTTP, clusters)
        code, path, _ = self.fault(HTTP, clusters.replace("'::6'", "127.0.0.7"))
        self.assertEqual((code, path), ("MSH0113", "clusters[0].source_addresses[1]"))

    def test_a_chain_ends_in_a_terminal_filter(self):
        for text, path in (("network_filters: [sni_cluster]", "listeners[0].network_filters"),
                           ("filter_chains: [{name: x, network_filters: [sni_cluster]}]",
                            "listeners[0].filter_chains[0].network_filters")):
            code, found, message = self.fault(text)
            self.assertEqual((code, found), ("MSH0202", path))
            self.assertIn("expected one of: codec_proxy, tcp_proxy", message)

    def test_names_are_looked_up(self):
        code, path, message = self.fault("network_filters: [{tcp_proxy: {cluster: b}}]")
        self.assertEqual((code, path), ("MSH0201", "listeners[0].network_filters[0].tcp_proxy.cluster"))

    def test_tcp_proxy_has_a_cluster_or_a_filter_before_it_that_chooses_one(self):
        limit = "{connection_limit: {max_connections: 5}}"
        for text, place in (
            ("tcp_proxy", "[0]"), ("{tcp_proxy: {}}", "[0]"), ("{tcp_proxy: {weighted_clusters: []}}", "[0]"),
            (f"{limit}, {{tcp_proxy: {{idle_timeout: 5s}}}}", "[1]"),
            ("{sni_cluster: , disabled: true}, tcp_proxy", "[1]"),
        ):
            code, path, message = self.fault(f"network_filters: [{text}]")
            self.assertEqual((code, path), ("MSH0103", f"listeners[0].network_filters{place}.tcp_proxy"))
            self.assertIn('missing "cluster"', message)
        self.assertEqual(self.fault(f"default_filter_chain: {{name: z, network_filters: [{limit}, tcp_proxy]}}")[1],
                         "listeners[0].default_filter_chain.network_filters[1].tcp_proxy")

    def test_a_filter_before_tcp_proxy_may_choose_the_cluster(self):
        for text in ("sni_cluster, tcp_proxy",
                     "sni_cluster, {connection_limit: {max_connections: 5}}, {tcp_proxy: {}}"):
            self.load(f"network_filters: [{text}]")

    def test_a_listener_filter_may_choose_the_cluster(self):
        plain = ("listener_filters: [{tls_inspector: }, {http_inspector: }, {original_dst: }, "
                 "{proxy_protocol: {trusted: [10.0.0.0/8]}}], network_filters: [tcp_proxy]")
        self.assertEqual(self.fault(plain)[0], "MSH0103")
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "drawn.py").write_text(DRAWN)
            self.registry = Registry.load(PluginSettings(dir=folder), {})
        self.load("listener_filters: [drawn], network_filters: [tcp_proxy]")
        self.load("listener_filters: [drawn], default_filter_chain: {name: z, network_filters: [tcp_proxy]}")
        self.assertEqual(self.fault("listener_filters: [{drawn: , disabled: true}], network_filters: [tcp_proxy]")[0],
                         "MSH0103")

    def test_overrides_know_the_filters_of_their_own_chain(self):
        router = ("{router: {virtual_hosts: [{name: a, domains: ['*'], routes: [{match: {prefix: /}, cluster: a, "
                  "filters: {cors: {cors: {}, disabled: true}}}]}]}}")
        good = f"{{name: x, filters: [cors, {router}]}}"
        bad = f"{{name: z, match: {{destination_port: 1}}, filters: [{router}]}}"
        self.load(f"filter_chains: [{good}]")
        self.assertIn("filter_chains[1]", self.fault(f"filter_chains: [{good}, {bad}]")[1])
