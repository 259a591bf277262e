"""Istio's documents on machines with IPv6: both families are captured, named and counted, each by listeners of its own.
"""

from tests.integration.harness.capture import STRANGER, Pair, status
from tests.integration.harness.sidecars import Nginx, Sidecar, curl, istio, open_folder, resolver
from tests.istio.view import document

WEB, BYTES = 8080, 9000


def entry(name, endpoint, port, protocol):
    """Return a service without addresses: it gets some of its own."""
    return document("ServiceEntry", name.partition(".")[0], {
        "hosts": [name], "resolution": "STATIC", "location": "MESH_INTERNAL",
        "ports": [{"number": port, "name": protocol, "protocol": protocol.upper()}],
        "endpoints": [{"address": endpoint}]})


def test_both_families_go_through_both_sidecars():
    with Pair() as pair, open_folder() as folder, Nginx(pair.far, WEB, folder):
        near, far = pair.near, pair.far
        far.mirror(f"6:{BYTES}", uid=STRANGER, word="app")
        texts = entry("web.shop.test", far.address6, WEB, "http"), entry("db.shop.test", far.address6, BYTES, "tcp")
        client = {**istio(folder, "client", *texts, dns_capture=True), "dns": {"resolvers": ["198.18.0.2:5353"]}}
        own = document("Service", "web", {"selector": {"app": "web"}, "ports": [{"port": WEB, "name": "http"}]})
        server = istio(folder, "server", own, labels={"app": "web"})
        with Sidecar(near, client) as one, Sidecar(far, server) as two, resolver(near, "127.0.0.53"):
            near.enable("--dns", "--dns-servers", "127.0.0.53")
            far.enable("--mode", "redirect")
            assert all(status(machine)["settings"]["has_ipv6"] for machine in (near, far))
            assert "redirect   IPv4 and IPv6   meshd is" in near.ctl("status").stdout
            for option, family in (("-4", "240.240."), ("-6", "2001:2::f0f0:")):
                kind = "ahostsv4" if option == "-4" else "ahostsv6"
                assert near.run("getent", kind, "web.shop.test").stdout.startswith(family)
                # by whichever family the client comes, the server's is the endpoint's, and its workload sees ::6
                assert curl(near, f"http://web.shop.test:{WEB}/", option) == (200, f"::6 web.shop.test:{WEB} /")
            assert one.metric("envoy_listener_downstream_cx_total", listener="virtualOutbound6") == 1
            assert one.metric("envoy_listener_downstream_cx_total", listener="virtualOutbound") == 1
            assert two.metric("envoy_listener_downstream_cx_total", listener="virtualInbound6") >= 1
            assert two.metric("envoy_cluster_upstream_rq_total", cluster_name=f"inbound|{WEB}||") == 2
            address = near.run("getent", "ahostsv6", "db.shop.test").stdout.split()[0]
            assert near.ask(address, BYTES).split() == ["app", str(BYTES), far.address6, str(BYTES), "::6"]
            # nobody's: passed on, or refused where nobody listens, but not past the sidecars
            assert near.ask(far.address6, BYTES).startswith(f"app {BYTES}")
            assert one.metric("envoy_cluster_upstream_cx_total", cluster_name="PassthroughCluster") == 1
            assert "ipv6" not in {row["key"] for row in status(near)["bypasses"]}
