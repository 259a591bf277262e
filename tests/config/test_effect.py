"""Keys without an effect where they stand are warned of, each at its place; those with one are not."""

from tests.config.one_listener import CLUSTERS, HTTP, TCP, ListenerTestCase

UDP = "protocol: udp, udp: {cluster: a}"
SOME = "http: {accept_http_10: false}, timeouts: {idle: 7s}, limits: {max_fields: 9, buffer_high: 128KiB}"


class Effect(ListenerTestCase):
    def warned(self, listener, before=CLUSTERS):
        """Return the paths that are warned of, below the listener or others."""
        self.found = self.read(listener, before).warnings
        self.assertEqual({(one.code, one.severity) for one in self.found} - {("MSH0124", "warning")}, set())
        return sorted(one.path.removeprefix("listeners[0].") for one in self.found)

    def test_settings_of_http_in_a_listener_of_tcp(self):
        self.assertEqual(self.warned(f"{TCP}, {SOME}"), ["http", "limits.max_fields", "timeouts"])
        self.assertEqual(self.found[0].message, "http has no effect: no chain here speaks HTTP")
        self.assertEqual((self.found[0].mark.line, self.found[0].mark.column), (3, 94))
        self.assertEqual(self.found[0].hint, "remove it, or write filters in place of network_filters")
        self.assertEqual(self.warned(f"{HTTP}, {SOME}"), [])

    def test_settings_of_http_in_a_chain_of_tcp(self):
        self.assertEqual(
            self.warned(f"filter_chains: [{{name: x, {TCP}, {SOME}}}], "
                        f"default_filter_chain: {{name: z, {HTTP}, {SOME}}}"),
            ["filter_chains[0].http", "filter_chains[0].limits.max_fields", "filter_chains[0].timeouts"])

    def test_the_listeners_settings_are_those_of_any_chain_of_http(self):
        chains = f"filter_chains: [{{name: x, match: {{destination_port: 1}}, {TCP}}}, {{name: w, {HTTP}}}]"
        self.assertEqual(self.warned(f"{chains}, {SOME}"), [])
        own = f"default_filter_chain: {{name: w, {HTTP}, http: {{}}, limits: {{}}}}"
        self.assertEqual(self.warned(f"{own}, {SOME}"), ["http", "limits.max_fields"])
        self.assertEqual(self.warned(f"default_filter_chain: {{name: z, {TCP}}}, {SOME}"),
                         ["http", "limits.max_fields", "timeouts"])

    def test_names_that_nobody_looks_at(self):
        filters = "network_filters: [sni_cluster, {tcp_proxy: {cluster: a}}]"
        self.assertEqual(self.warned(filters), ["network_filters[0].sni_cluster"])
        self.assertEqual(self.warned(f"filter_chains: [{{name: x, {filters}}}]"),
                         ["filter_chains[0].network_filters[0].sni_cluster"])
        self.assertEqual(self.warned(f"default_filter_chain: {{name: x, {filters}}}"),
                         ["default_filter_chain.network_filters[0].sni_cluster"])
        self.assertEqual(self.warned(f"{filters}, listener_filters: [tls_inspector]"), [])

    def test_options_of_http_that_others_switch_off(self):
        for codec in ("auto", "http1"):
            text = f"http: {{codec: {codec}, http2: {{}}, set_current_client_cert_details: {{uri: true}}}}"
            self.assertEqual(self.warned(f"{HTTP}, {text}"), ["http.http2"] * (codec == "http1") + [
                "http.set_current_client_cert_details"])
            found = self.warned(f"default_filter_chain: {{name: w, {HTTP}, {text}}}")
            self.assertEqual(len(found), 1 + (codec == "http1"))
        self.assertEqual(self.warned(f"{HTTP}, http: {{codec: http2, accept_http_10: true, http2: {{}}}}"),
                         ["http.accept_http_10"])
        self.assertEqual(self.warned(f"{HTTP}, http: {{forward_client_cert_details: sanitize_set, "
                                     "set_current_client_cert_details: {uri: true}}"), [])

    def test_clusters(self):
        for text, paths in (
            ("http2: {max_concurrent_streams: 4}", ["clusters[0].http2"]),
            ("http2: {max_concurrent_streams: 4}, protocol: auto", []),
            ("load_balancer: {original_destination: {allow: [10.0.0.0/8]}}", ["clusters[0].endpoints"]),
        ):
            clusters = "clusters: [{name: a, endpoints: [{address: '127.0.0.1:80'}], " + text + "}]\n"
            self.assertEqual(self.warned(HTTP, clusters), paths)

    def test_tls_of_a_cluster_of_datagrams(self):
        clusters = CLUSTERS.replace("}]}]", "}], tls: {insecure_skip_verify: true}}]")
        self.assertEqual(self.warned(UDP, clusters), ["udp.cluster"])
        self.assertEqual(self.found[0].message, 'tls of cluster "a" has no effect: datagrams go as they are')
        self.assertEqual(self.warned(TCP, clusters), [])

    def test_the_whole(self):
        for text, paths in (
            ("dns: {ttl: 5s}", ["dns"]), ("dns_hosts: [{name: a.b, addresses: [10.0.0.1]}]", ["dns_hosts"]),
            ("dns: {ttl: 5s}\nnode: {dns_capture: true}", []), ("supervisor: {affinity: true}", ["supervisor"]),
            ("supervisor: {affinity: true}\nworkers: 2", []), ("supervisor: {affinity: true}\nworkers: auto", []),
        ):
            self.assertEqual(self.warned(HTTP, f"{text}\n{CLUSTERS}"), paths)

    def test_connections_are_counted_by_listener(self):
        self.assertEqual(self.warned(f"default_filter_chain: {{name: w, {HTTP}, limits: {{max_connections: 4}}}}"),
                         ["default_filter_chain.limits.max_connections"])
        self.assertEqual(self.warned(f"{TCP}, limits: {{max_connections: 4}}"), [])

    def test_datagrams(self):
        self.assertEqual(
            self.warned(f"{UDP}, {SOME}, backlog: 5, transparent: true, use_original_dst: true, "
                        "listener_filters_timeout: 3s, telemetry: []"),
            ["backlog", "http", "limits", "listener_filters_timeout", "timeouts", "transparent", "use_original_dst"])
        self.assertEqual(self.warned(UDP), [])

    def test_time_for_listener_filters_that_are_not_there(self):
        rest = "listener_filters_timeout: 3s, continue_on_listener_filters_timeout: true"
        self.assertEqual(self.warned(f"{HTTP}, {rest}"),
                         ["continue_on_listener_filters_timeout", "listener_filters_timeout"])
        self.assertEqual(self.warned(f"{HTTP}, {rest}, listener_filters: [tls_inspector]"), [])

    def test_criteria_of_tls_that_nobody_looks_at(self):
        chains = (f"filter_chains: [{{name: x, match: {{server_names: [a.b], transport_protocol: tls}}, {TCP}}}, "
                  f"{{name: w, match: {{transport_protocol: raw_buffer, application_protocols: [h2c]}}, {TCP}}}]")
        names = ["filter_chains[0].match.server_names", "filter_chains[0].match.transport_protocol"]
        protocols = ["filter_chains[1].match.application_protocols"]
        self.assertEqual(self.warned(chains), names + protocols)
        self.assertEqual(self.warned(f"{chains}, listener_filters: [http_inspector]"), names)
        self.assertEqual(self.warned(f"{chains}, listener_filters: [original_dst]"), names + protocols)
        self.assertEqual(self.warned(f"{chains}, listener_filters: [tls_inspector]"), [])
        self.assertEqual(self.warned(f"{chains}, listener_filters: [{{tls_inspector: , disabled: true}}]"),
                         names + protocols)
