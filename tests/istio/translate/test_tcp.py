"""Rules of connections: ``tcp`` and ``tls`` of VirtualServices at gateways and in sidecars."""

from unittest import TestCase

from tests.istio.view import document, service, sidecar, versions, view

TCP = {"number": 9000, "name": "tcp", "protocol": "TCP"}
TLS = {"number": 443, "name": "tls", "protocol": "TLS"}
PORTS = ((9000, "tcp"), (443, "tls"))


def server(port=None, hosts=("*",), name="edge", **more):
    """Return a Gateway of one server."""
    return document("Gateway", name, {"selector": {"istio": "ingressgateway"},
                                      "servers": [{"port": port or TCP, "hosts": list(hosts), **more}]})


def rule(name="r", hosts=("*",), gateways=("edge",), **sections):
    """Return a VirtualService with ``tcp`` or ``tls`` rules."""
    return document("VirtualService", name, {"hosts": list(hosts), **sections,
                                             **({"gateways": list(gateways)} if gateways else {})})


def to(host="a.test", port=9000, **more):
    """Return a destination."""
    return {"destination": {"host": host, "port": {"number": port}, **more}}


def passing(*names, host="a.test", **more):
    """Return a rule for TLS."""
    return {"match": [{"sniHosts": list(names), **more}], "route": [to(host, 443)]}


def proxies(seen):
    """Return {server names: cluster or [(cluster, weight)]} of the only listener."""
    found = {}
    for chain in seen.listener().chains:
        plan = chain.network_filters[-1].config
        found[chain.match.server_names] = plan.cluster or [(one.cluster, one.weight) for one in plan.weighted_clusters]
    return found


A, B = service("a.test", ports=PORTS), service("b.test", ports=PORTS)


class AtGateways(TestCase):
    def test_a_rule_takes_the_connections_of_its_port(self):
        wrong = {"match": [{"port": 9001}], "route": [to("b.test")]}
        seen = view(server(), A, B, rule(tcp=[wrong, {"match": [{"port": 9000}], "route": [to()]}]))
        self.assertEqual(proxies(seen), {(): "outbound|9000||a.test"})
        self.assertEqual(seen.listener().listener_filters, ())

    def test_shares_are_of_subsets_and_none_has_weight_0(self):
        shares = [{**to(subset="v1"), "weight": 80}, {**to(subset="v2"), "weight": 20},
                  {**to(subset="v3"), "weight": 0}]
        seen = view(server(), versions("a.test", "v1", "v2", "v3", ports=PORTS), rule(tcp=[{"route": shares}]))
        self.assertEqual(proxies(seen), {(): [("outbound|9000|v1|a.test", 80), ("outbound|9000|v2|a.test", 20)]})

    def test_without_rules_nothing_is_bound(self):
        self.assertEqual(view(server(), A, rule(gateways=["other"], tcp=[{"route": [to()]}])).snapshot.listeners, ())

    def test_networks_are_not_looked_at_and_that_is_said(self):
        seen = view(server(), A, rule(tcp=[{"match": [{"sourceSubnet": "10.0.0.0/8"}], "route": [to()]}]))
        self.assertEqual((proxies(seen), [one.path for one in seen.unsupported]),
                         ({(): "outbound|9000||a.test"}, ["spec.tcp[0].match[0].sourceSubnet"]))

    def test_tls_passes_through_by_its_server_name(self):
        seen = view(server(TLS, tls={"mode": "PASSTHROUGH"}), A, B,
                    rule(hosts=["a.test", "*.b.test"], tls=[passing("a.test"), passing("*.b.test", host="b.test"),
                                                            passing("a.test", host="b.test")]))
        self.assertEqual(proxies(seen), {("a.test",): "outbound|443||a.test", ("*.b.test",): "outbound|443||b.test"})
        self.assertEqual([one.type for one in seen.listener().listener_filters], ["tls_inspector"])
        self.assertEqual([one.path for one in seen.unsupported], ["spec.servers[0].hosts"])

    def test_hosts_of_the_server_bound_what_passes(self):
        rules = [rule("a", ["a.test"], tls=[passing("a.test")]), rule("b", ["b.test"], tls=[passing("b.test")])]
        seen = view(server(TLS, ["a.test"], tls={"mode": "PASSTHROUGH"}), A, B, *rules)
        self.assertEqual(list(proxies(seen)), [("a.test",)])


class Policies(TestCase):
    def proxy(self, policy):
        seen = view(server(), A, rule(tcp=[{"route": [to()]}]),
                    document("DestinationRule", "a", {"host": "a.test", "trafficPolicy": policy}))
        return seen.listener().chains[0].network_filters[-1].config, seen

    def test_the_idle_time_of_the_destination_holds(self):
        self.assertEqual(self.proxy({"connectionPool": {"tcp": {"idleTimeout": "5s"}}})[0].idle_timeout_s, 5.0)
        self.assertEqual(self.proxy({"connectionPool": {"tcp": {"maxConnections": 1}}})[0].idle_timeout_s, 3600.0)

    def test_a_tunnel_leads_through_the_destination(self):
        found, seen = self.proxy({"tunnel": {"protocol": "CONNECT", "targetHost": "db.test", "targetPort": 5432}})
        self.assertEqual((found.tunneling_config.hostname, seen.unsupported), ("db.test:5432", ()))
        self.assertFalse(found.tunneling_config.use_post)
        found, seen = self.proxy({"tunnel": {"protocol": "POST", "targetHost": "2001:db8::1", "targetPort": 1}})
        self.assertEqual(found.tunneling_config.hostname, "[2001:db8::1]:1")
        self.assertEqual((found.tunneling_config.use_post, seen.unsupported), (True, ()))


class InSidecars(TestCase):
    EGRESS = {"bind": "127.0.0.1", "captureMode": "NONE", "hosts": ["*/*"]}

    def seen(self, *texts, port=None):
        return view(sidecar([{"port": port or TCP, **self.EGRESS}]), *texts, role="sidecar")

    def test_a_service_of_tcp_has_its_own_port(self):
        self.assertEqual(proxies(self.seen(A)), {(): "outbound|9000||a.test"})

    def test_rules_of_the_mesh_share_it_out(self):
        shares = [{**to(subset="v1"), "weight": 80}, {**to(subset="v2"), "weight": 20}]
        texts = (versions("a.test", "v1", "v2", ports=PORTS),
                 rule(hosts=["a.test"], gateways=(), tcp=[{"route": shares}]))
        self.assertEqual(proxies(self.seen(*texts)),
                         {(): [("outbound|9000|v1|a.test", 80), ("outbound|9000|v2|a.test", 20)]})

    def test_clients_by_their_network_and_the_rest_goes_to_the_service(self):
        found = self.seen(A, B, rule(hosts=["a.test"], gateways=(), tcp=[
            {"match": [{"sourceSubnet": "127.0.0.2/32"}], "route": [to("b.test")]}]))
        self.assertEqual([(one.match.source_prefix_ranges, one.network_filters[-1].config.cluster)
                          for one in found.listener().chains],
                         [(("127.0.0.2/32",), "outbound|9000||b.test"), ((), "outbound|9000||a.test")])

    def test_services_of_tls_are_told_apart_by_name(self):
        found = self.seen(A, B, rule(hosts=["b.test"], gateways=(), tls=[passing("b.test", host="a.test")]), port=TLS)
        self.assertEqual(proxies(found), {("a.test",): "outbound|443||a.test", ("b.test",): "outbound|443||a.test"})
        self.assertEqual([one.type for one in found.listener().listener_filters], ["tls_inspector"])

    def test_captured_connections_obey_the_rules_too(self):
        texts = (service("a.test", ports=PORTS, addresses=["10.9.0.1"]), B,
                 rule(hosts=["a.test"], gateways=(), tcp=[{"match": [{"port": 9000}], "route": [to("b.test")]}]))
        snapshot = view(*texts, role="sidecar", interception_mode="redirect").snapshot
        chains = {one.name: one for one in snapshot.listeners[0].chains}
        self.assertEqual(chains["10.9.0.1_9000"].network_filters[-1].config.cluster, "outbound|9000||b.test")
        self.assertEqual(chains["0.0.0.0_443|b.test"].match.server_names, ("b.test",))
        self.assertEqual([one.type for one in snapshot.listeners[0].listener_filters],
                         ["original_dst", "tls_inspector", "http_inspector"])

    def test_a_port_of_the_workload_is_bytes(self):
        ingress = [{"port": TCP, "defaultEndpoint": "127.0.0.1:9999", "captureMode": "NONE"}]
        found = view(sidecar(None, ingress=ingress), role="sidecar")
        self.assertEqual(proxies(found), {(): "inbound|9000||"})
