"""The virtual listeners of a sidecar to which connections are led."""

import pathlib
import tempfile
from unittest import TestCase

from meshd.model.snapshot import Node
from meshd_plugins.istio.translate.family import families
from tests.istio.view import document, service, sidecar, view

CLOSED = {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}
HTTP, TCP = (80, "http"), (5432, "tcp")


def seen(*texts, **node):
    """Return a captured sidecar's snapshot."""
    return view(*texts, **{"role": "sidecar", "interception_mode": "redirect", **node}).snapshot


def mesh_config(**spec):
    """Return a MeshConfig."""
    return document("MeshConfig", "mesh", spec)


def listener(snapshot, name):
    """Return a listener by name."""
    return next(one for one in snapshot.listeners if one.name == name)


def chains(snapshot, name="virtualOutbound"):
    """Return {chain: (port, networks, where it goes)} of a listener; of HTTP the domains in place of a cluster."""
    return {one.name: (one.match.destination_port, one.match.prefix_ranges, target(one))
            for one in listener(snapshot, name).chains}


def target(chain):
    """Return the cluster of a TCP chain, or {domain: cluster or status} of one of HTTP."""
    if chain.network_filters:
        return chain.network_filters[-1].config.cluster
    return {domain: route.cluster or route.direct_response.status for host in chain.filters[-1].config.virtual_hosts
            for domain in host.domains for route in host.routes}


class Outbound(TestCase):
    def test_only_a_captured_node_has_them(self):
        self.assertEqual(view(service("a.test"), role="sidecar").snapshot.listeners, ())
        names = [one.name for one in seen(service("a.test")).listeners]
        self.assertEqual(names, ["virtualOutbound", "virtualInbound"])
        self.assertEqual(seen(service("a.test"), role="ingress").listeners, ())

    def test_they_take_captured_connections_alone(self):
        for one in seen(mesh_config()).listeners:
            self.assertTrue(one.use_original_dst)
            self.assertEqual([filter.type for filter in one.listener_filters],
                             ["original_dst", "tls_inspector", "http_inspector"])
        self.assertEqual([one.address for one in seen(mesh_config()).listeners], ["0.0.0.0:15001", "0.0.0.0:15006"])
        ports = mesh_config(proxyListenPort=16001, proxyInboundListenPort=16006)
        self.assertEqual([one.address for one in seen(ports).listeners], ["0.0.0.0:16001", "0.0.0.0:16006"])

    def test_services_of_http_share_the_chain_of_their_port(self):
        found = chains(seen(service("a.test"), service("b.test"), service("c.test", ports=((81, "http"),))))
        self.assertEqual({name: (port, nets) for name, (port, nets, _) in found.items()},
                         {"0.0.0.0_80": (80, ()), "0.0.0.0_81": (81, ()), "rest": (0, ())})
        self.assertEqual(found["0.0.0.0_80"][2]["a.test"], "outbound|80||a.test")
        self.assertEqual(found["0.0.0.0_80"][2]["*"], "PassthroughCluster")

    def test_a_port_of_grpc_web_translates_it(self):
        mine = document("Service", "web", {"selector": {"app": "web"}, "ports": [
            {"port": 9000, "name": "grpc-web"}, {"port": 9001, "name": "grpc"}]})
        port = {"number": 9002, "name": "a", "protocol": "GRPC-WEB"}
        bound = {"port": port, "hosts": ["*/*"]}, {"hosts": ["*/*"]}
        snapshot = seen(mine, service("a.test", ports=((9002, "http"),)), sidecar(list(bound)), labels={"app": "web"})
        found = {(name, one.name): [filter.type for filter in one.filters[:-1]]
                 for name in ("virtualInbound", "virtualOutbound") for one in listener(snapshot, name).chains}
        for place in (("virtualInbound", "0.0.0.0_9000"), ("virtualOutbound", "0.0.0.0_9002")):
            self.assertEqual(found[place], ["grpc_web", "grpc_stats"])
        self.assertEqual(found["virtualInbound", "0.0.0.0_9001"], ["grpc_stats"])

    def test_others_have_a_chain_for_each_address(self):
        found = chains(seen(service("db.test", ports=(TCP,), addresses=["10.9.0.1", "10.9.0.2"]),
                            service("mq.test", ports=(TCP,), addresses=["10.9.0.3"])))
        self.assertEqual(found["10.9.0.1_5432"],
                         (5432, ("10.9.0.1/32", "10.9.0.2/32"), "outbound|5432||db.test"))
        self.assertEqual(found["10.9.0.3_5432"][2], "outbound|5432||mq.test")

    def test_a_network_takes_the_connections_to_its_addresses_alone(self):
        found = chains(seen(service("net.test", ports=(TCP,), addresses=["10.8.0.0/16", "10.9.0.1"])))
        self.assertEqual({name: row[1] for name, row in found.items()},
                         {"10.8.0.0_16_5432": ("10.8.0.0/16", "10.9.0.1/32"), "rest": ()})

    def test_without_an_address_the_first_has_the_port_unless_names_are_answered(self):
        texts = service("db.test", ports=(TCP,)), service("mq.test", ports=(TCP,))
        self.assertEqual(chains(seen(*texts))["0.0.0.0_5432"], (5432, (), "outbound|5432||db.test"))
        found = chains(seen(*texts, dns_capture=True))
        self.assertEqual(len(found), 3)
        self.assertTrue(all(name.startswith("240.240.") for name in found if name != "rest"))

    def test_what_nobody_knows_is_passed_on_or_closed(self):
        for text, cluster, answer in ((mesh_config(), "PassthroughCluster", "PassthroughCluster"),
                                      (mesh_config(**CLOSED), "BlackHoleCluster", 502),
                                      (sidecar([{"hosts": ["*/*"]}], **CLOSED), "BlackHoleCluster", 502)):
            found = chains(seen(service("a.test"), text))
            self.assertEqual((found["rest"][2], found["0.0.0.0_80"][2]["*"]), (cluster, answer))

    def test_the_pass_through_goes_where_the_client_meant(self):
        snapshot = seen(service("a.test"))
        (found,) = [one for one in snapshot.clusters if one.name == "PassthroughCluster"]
        self.assertEqual((found.load_balancer.type, found.endpoints, found.source_addresses),
                         ("original_destination", (), ()))

    def test_what_is_passed_on_has_istios_limits_and_timeout(self):
        snapshot = seen(service("a.test"), mesh_config(connectTimeout="3s"))
        for name in ("PassthroughCluster", "InboundPassthroughCluster"):
            found = next(one for one in snapshot.clusters if one.name == name)
            self.assertEqual(found.connect_timeout_s, 3.0)
            limits = found.circuit_breaker.config
            self.assertEqual({limits.max_connections, limits.max_pending, limits.max_requests}, {2 ** 32 - 1})
            self.assertGreater(found.load_balancer.config.max_endpoints, 10_000)

    def test_resolution_none_goes_where_the_client_meant(self):
        text = service("n.test", ports=(TCP,), endpoints=(), resolution="NONE", addresses=["10.8.0.0/16"])
        snapshot = seen(text)
        (found,) = [one for one in snapshot.clusters if one.name == "outbound|5432||n.test"]
        self.assertEqual(found.load_balancer.type, "original_destination")

    def test_a_port_of_the_document_has_its_hosts_alone(self):
        egress = [{"port": {"number": 80, "protocol": "HTTP", "name": "http"}, "hosts": ["*/a.test"]},
                  {"hosts": ["*/c.test"]}]
        texts = service("a.test"), service("b.test"), service("c.test", ports=((81, "http"),))
        found = chains(seen(*texts, sidecar(egress)))
        self.assertEqual(set(found), {"0.0.0.0_80", "0.0.0.0_81", "rest"})
        self.assertIn("a.test", found["0.0.0.0_80"][2])
        self.assertNotIn("b.test", found["0.0.0.0_80"][2])

    def test_a_port_that_is_not_captured_is_a_listener_of_its_own(self):
        egress = [{"port": {"number": 8001, "protocol": "HTTP", "name": "http"}, "hosts": ["*/*"],
                   "captureMode": "NONE"}]
        snapshot = seen(service("a.test"), sidecar(egress))
        self.assertEqual(listener(snapshot, "127.0.0.1_8001").address, "127.0.0.1:8001")
        self.assertEqual(set(chains(snapshot)), {"rest"})


class Families(TestCase):
    """Of IP: each has listeners of its own."""

    TEXTS = (service("a.test"), service("db.test", ports=(TCP,), addresses=["10.9.0.1", "2001:db8::1"]),
             service("v6.test", ports=(TCP,), addresses=["2001:db8::2"]))

    def test_each_has_the_chains_of_its_networks_and_those_of_any(self):
        snapshot = seen(*self.TEXTS, ip_families=["ipv6", "ipv4"])
        self.assertEqual([(one.name, one.address) for one in snapshot.listeners], [
            ("virtualOutbound", "0.0.0.0:15001"), ("virtualInbound", "0.0.0.0:15006"),
            ("virtualOutbound6", "[::]:15001"), ("virtualInbound6", "[::]:15006")])
        four, six = chains(snapshot), chains(snapshot, "virtualOutbound6")
        self.assertEqual({name: row[1] for name, row in four.items()},
                         {"0.0.0.0_80": (), "10.9.0.1_5432": ("10.9.0.1/32",), "rest": ()})
        self.assertEqual({name: row[1] for name, row in six.items()}, {
            "0.0.0.0_80": (), "10.9.0.1_5432": ("2001:db8::1/128",), "2001_db8_2_5432": ("2001:db8::2/128",),
            "rest": ()})

    def test_without_word_it_is_the_kernel_that_says_so(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "if_inet6")
            node = Node()
            self.assertEqual(families(node, path), ("ipv4",))
            path.write_text("")
            self.assertEqual(families(node, path), ("ipv4",))
            path.write_text("00000000000000000000000000000001 01 80 10 80       lo\n")
            self.assertEqual(families(node, path), ("ipv4", "ipv6"))
            self.assertEqual(families(Node(ip_families=("ipv6",)), path), ("ipv6",))


class Detected(TestCase):
    """Ports without a protocol."""

    HTTP = ("raw_buffer", ("http/1.0", "http/1.1", "h2c"))

    def criteria(self, snapshot, name="virtualOutbound"):
        """Return {chain: (transport protocol, application protocols)} of chains that ask for any."""
        return {one.name: (one.match.transport_protocol, one.match.application_protocols)
                for one in listener(snapshot, name).chains
                if one.match.transport_protocol or one.match.application_protocols}

    def bare(self, name, **more):
        """Return a service whose port says nothing."""
        return document("ServiceEntry", name, {
            "hosts": [name], "resolution": "STATIC", "location": "MESH_INTERNAL",
            "ports": [{"number": 80, "name": "anything"}], "endpoints": [{"address": "10.0.0.1"}], **more})

    def test_one_with_an_address_has_requests_of_any_host_routed_and_the_rest_relayed(self):
        snapshot = seen(self.bare("a.test", addresses=["10.9.0.1"]), service("b.test"))
        self.assertEqual(self.criteria(snapshot), {"10.9.0.1_80": self.HTTP, "10.9.0.1_80|raw": ("raw_buffer", ())})
        found = chains(snapshot)
        self.assertEqual(found["10.9.0.1_80"], (80, ("10.9.0.1/32",), {"*": "outbound|80||a.test"}))
        self.assertEqual(found["10.9.0.1_80|raw"], found["10.9.0.1_80|tcp"])
        self.assertEqual(found["10.9.0.1_80|tcp"], (80, ("10.9.0.1/32",), "outbound|80||a.test"))
        self.assertEqual(found["0.0.0.0_80"][2]["b.test"], "outbound|80||b.test")

    def test_one_without_an_address_shares_the_chain_of_requests_of_its_port(self):
        snapshot = seen(self.bare("a.test"), service("b.test"))
        self.assertEqual(self.criteria(snapshot), {"0.0.0.0_80": self.HTTP, "0.0.0.0_80|raw": ("raw_buffer", ())})
        found = chains(snapshot)
        self.assertEqual(found["0.0.0.0_80"][2]["b.test"], "outbound|80||b.test")
        self.assertEqual(found["0.0.0.0_80|tcp"][2], "outbound|80||a.test")

    def test_rules_for_server_names_take_tls(self):
        rule = document("VirtualService", "a", {"hosts": ["a.test"], "tls": [
            {"match": [{"port": 80, "sniHosts": ["a.test"]}], "route": [{"destination": {"host": "a.test"}}]}]})
        found = listener(seen(self.bare("a.test", addresses=["10.9.0.1"]), rule), "virtualOutbound").chains
        names = {one.name: one.match.server_names for one in found if one.match.server_names}
        self.assertEqual(names, {"10.9.0.1_80|a.test|10.9.0.1/32": ("a.test",)})

    def test_endpoints_are_spoken_to_as_the_client_speaks(self):
        (found,) = [one for one in seen(self.bare("a.test")).clusters if one.name.startswith("outbound")]
        self.assertEqual(found.protocol, "use_downstream_protocol")

    def test_ports_of_the_workload_and_all_that_nobody_names(self):
        mine = document("Service", "web", {"selector": {"app": "web"}, "ports": [{"port": 9000, "name": "x"}]})
        snapshot = seen(mine, labels={"app": "web"})
        self.assertEqual(self.criteria(snapshot, "virtualInbound"), {
            "0.0.0.0_9000": self.HTTP, "0.0.0.0_9000|raw": ("raw_buffer", ()), "rest_http": self.HTTP})
        found = chains(snapshot, "virtualInbound")
        self.assertEqual(found["0.0.0.0_9000"][2], {"*": "inbound|9000||"})
        self.assertEqual(found["0.0.0.0_9000|tcp"][2], "inbound|9000||")
        self.assertEqual(found["rest_http"], (0, (), {"*": "InboundPassthroughCluster"}))

    def test_a_port_of_a_sidecar_document(self):
        egress = [{"port": {"number": 80, "name": "any"}, "hosts": ["*/*"]}]
        found = chains(seen(self.bare("a.test", addresses=["10.9.0.1"]), sidecar(egress)))
        self.assertEqual(set(found), {"0.0.0.0_80", "0.0.0.0_80|raw", "0.0.0.0_80|tcp", "rest"})

    def test_ports_on_which_servers_speak_first_are_of_bytes(self):
        one = document("Service", "db", {"clusterIP": "10.9.0.2", "ports": [{"port": 3306, "name": "x"}]})
        self.assertEqual(set(chains(seen(one))), {"10.9.0.2_3306", "rest"})

    def test_what_kubernetes_calls_a_protocol_that_nobody_knows_is_found_out(self):
        port = {"port": 80, "name": "http", "appProtocol": "example.com/own"}
        one = document("Service", "db", {"clusterIP": "10.9.0.2", "ports": [port]})
        self.assertIn("10.9.0.2_80|raw", chains(seen(one)))

    def test_how_long_a_silent_client_is_waited_for(self):
        for spec, wait_s, limit_s in (({}, 0.2, 5.0), ({"protocolDetectionTimeout": "3s"}, 3.0, 3.0),
                                      ({"protocolDetectionTimeout": "0s"}, 0.2, 5.0)):
            for one in seen(mesh_config(**spec)).listeners:
                waits = {filter.config.detection_timeout_s for filter in one.listener_filters[1:]}
                self.assertEqual((waits, one.listener_filters_timeout_s), ({wait_s}, limit_s))
                self.assertTrue(one.continue_on_listener_filters_timeout)


class Inbound(TestCase):
    def ingress(self, **more):
        """Return a Sidecar with one ingress port."""
        return document("Sidecar", "default", {"ingress": [
            {"port": {"number": 8080, "protocol": "HTTP", "name": "http"}, **more}], "egress": [{"hosts": ["*/*"]}]})

    def cluster(self, snapshot, name):
        return next(one for one in snapshot.clusters if one.name == name)

    def test_a_port_of_the_document_goes_to_its_endpoint(self):
        snapshot = seen(self.ingress(defaultEndpoint="127.0.0.1:9080"))
        self.assertEqual(chains(snapshot, "virtualInbound")["0.0.0.0_8080"], (8080, (), {"*": "inbound|8080||"}))
        self.assertEqual(self.cluster(snapshot, "inbound|8080||").endpoints[0].address, "127.0.0.1:9080")

    def test_without_one_to_the_address_that_was_meant_from_one_that_is_not_captured(self):
        found = self.cluster(seen(self.ingress()), "inbound|8080||")
        self.assertEqual((found.load_balancer.type, found.source_addresses),
                         ("original_destination", ("127.0.0.6", "::6")))

    def test_or_to_loopback_where_the_mesh_says_so(self):
        local = mesh_config(inboundTrafficPolicy={"mode": "LOCALHOST"})
        found = self.cluster(seen(self.ingress(), local), "inbound|8080||")
        self.assertEqual(found.endpoints[0].address, "127.0.0.1:8080")

    def test_ports_of_services_that_select_the_workload(self):
        ports = [{"port": 80, "targetPort": 8080, "name": "http"}, {"port": 5432, "name": "tcp"}]
        mine = document("Service", "web", {"selector": {"app": "web"}, "ports": ports})
        other = document("Service", "db", {"selector": {"app": "db"}, "ports": [{"port": 6000, "name": "tcp"}]})
        found = chains(seen(mine, other, labels={"app": "web", "v": "1"}), "virtualInbound")
        self.assertEqual(set(found), {"0.0.0.0_8080", "0.0.0.0_5432", "rest_http", "rest"})
        self.assertEqual(found["0.0.0.0_5432"][2], "inbound|5432||")
        self.assertEqual(found["rest"][2], "InboundPassthroughCluster")

    def test_tproxy_is_transparent_on_the_way_in(self):
        snapshot = seen(mesh_config(), interception_mode="tproxy")
        self.assertEqual([one.transparent for one in snapshot.listeners], [False, True])
        self.assertTrue(self.cluster(snapshot, "InboundPassthroughCluster").use_original_src)
        self.assertFalse(self.cluster(seen(mesh_config()), "InboundPassthroughCluster").use_original_src)

    def test_with_tproxy_the_workload_sees_the_client_unless_it_is_on_loopback(self):
        for more, expected in (({}, True), ({"defaultEndpoint": "127.0.0.1:9080"}, False)):
            snapshot = seen(self.ingress(**more), interception_mode="tproxy")
            self.assertIs(self.cluster(snapshot, "inbound|8080||").use_original_src, expected)
