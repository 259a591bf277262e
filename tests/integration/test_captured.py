"""An unmodified client and server that talk through two sidecars, in two network namespaces."""

import pytest

from tests.integration.harness.capture import PROXY, STRANGER, Pair, status
from tests.integration.harness.sidecars import (
    CLUSTERS, INBOUND, PASSTHROUGH, Nginx, Sidecar, curl, istio, open_folder, resolver)
from tests.istio.view import document, service

WEB = 8080
ANY = {"match": {"prefix": "/"}}


def http(route, **more):
    """Return the filters of a chain whose requests all do one thing."""
    host = {"name": "all", "domains": ["*"], "routes": [{**ANY, **route}]}
    return {"filters": [{"router": {"virtual_hosts": [host]}}], **more}


def listener(name, port, *, chains=(), last=None, **more):
    """Return a listener that connections are led to."""
    return {"name": name, "address": f"0.0.0.0:{port}", "use_original_dst": True, "listener_filters": ["original_dst"],
            "filter_chains": list(chains), "default_filter_chain": last, **more}


def sidecar(outbound=PASSTHROUGH, **inbound):
    """Return a configuration that passes everything on, and says that it was there."""
    mark = {"response_headers": {"set": {"x-passed": "outbound"}}}
    return {
        "node": {"id": "test", "role": "sidecar"},
        "listeners": [
            listener("outbound", 15001, last=http({"cluster": outbound, **mark}, name="rest")),
            listener("inbound", 15006, last=http({"cluster": INBOUND}, name="rest"), **inbound),
        ],
        "clusters": CLUSTERS,
    }


@pytest.fixture
def pair():
    """Two machines."""
    with Pair() as made:
        yield made


@pytest.fixture
def folder():
    """A folder that a stranger can look into."""
    with open_folder() as made:
        yield made


def test_a_request_passes_two_sidecars_and_goes_where_the_client_meant(pair, tmp_path):
    near, far = pair.near, pair.far
    with Nginx(far, WEB, tmp_path), Sidecar(near, sidecar()) as one, Sidecar(far, sidecar()) as two:
        url = f"http://{far.address}:{WEB}/shop"
        assert curl(near, url) == (200, f"{near.address} {far.address}:{WEB} /shop")
        for machine in (near, far):
            machine.enable()
        assert curl(near, url) == (200, f"127.0.0.6 {far.address}:{WEB} /shop")
        assert one.metric("envoy_cluster_upstream_rq_total", cluster_name=PASSTHROUGH) == 1
        assert two.metric("envoy_cluster_upstream_rq_total", cluster_name=INBOUND) == 1
        assert far.ctl("disable").returncode == near.ctl("disable").returncode == 0
        assert curl(near, url)[1].startswith(near.address)


def test_ipv6_where_meshd_listens_on_it(pair, tmp_path):
    near, far = pair.near, pair.far
    made = sidecar()
    made["listeners"] += [{**one, "name": f"{one['name']}6", "address": one["address"].replace("0.0.0.0", "[::]")}
                          for one in made["listeners"]]
    with Nginx(far, WEB, tmp_path), Sidecar(near, made), Sidecar(far, made):
        for machine in (near, far):
            machine.enable()
        host = f"[{far.address6}]:{WEB}"
        assert curl(near, f"http://{host}/") == (200, f"::6 {host} /")


def test_what_comes_to_the_listener_itself_is_refused_so_that_there_is_no_loop(pair, tmp_path):
    near, far = pair.near, pair.far
    with Nginx(near, WEB, tmp_path), Sidecar(near, sidecar()) as daemon:
        near.enable()
        for port in (15001, 15006):
            assert curl(far, f"http://{near.address}:{port}/")[0] == 0
            assert curl(near, f"http://127.0.0.1:{port}/", uid=STRANGER)[0] == 0
        assert daemon.metric("meshd_listener_direct_refused_total") == 4
        assert curl(far, f"http://{near.address}:{WEB}/") == (200, f"127.0.0.6 {near.address}:{WEB} /")


def test_with_tproxy_the_destination_is_that_of_the_socket(pair, tmp_path):
    near, far = pair.near, pair.far
    with Nginx(near, WEB, tmp_path), Sidecar(near, sidecar(transparent=True), transparent=True) as daemon:
        near.enable("--mode", "tproxy")
        assert curl(far, f"http://{near.address}:{WEB}/") == (200, f"127.0.0.6 {near.address}:{WEB} /")
        assert curl(far, f"http://{near.address}:15006/")[0] == 0
        assert daemon.metric("meshd_listener_direct_refused_total", listener="inbound") == 1
        assert curl(near, f"http://{near.address}:{WEB}/")[1].startswith(near.address), "it calls itself"


def test_with_tproxy_istios_workload_sees_the_clients_own_address(pair, folder):
    near, far = pair.near, pair.far
    spec = {"ingress": [{"port": {"number": WEB, "protocol": "HTTP", "name": "http"}}]}
    made = istio(folder, "near", document("Sidecar", "near", spec), interception_mode="tproxy")
    before = near.rules()
    near.mirror(9000, uid=STRANGER, word="app")
    with Nginx(near, WEB, folder), Sidecar(near, made, transparent=True) as daemon:
        near.enable("--mode", "tproxy")
        assert curl(far, f"http://{near.address}:{WEB}/") == (200, f"{far.address} {near.address}:{WEB} /")
        assert curl(far, f"http://[{near.address6}]:{WEB}/") == (200, f"{far.address6} [{near.address6}]:{WEB} /")
        assert daemon.metric("envoy_cluster_upstream_rq_total", cluster_name=f"inbound|{WEB}||") == 2
        assert far.ask(near.address, 9000).split() == ["app", "9000", near.address, "9000", far.address]
        assert daemon.metric("envoy_cluster_upstream_cx_total", cluster_name=INBOUND) == 1
        assert near.ask(near.address, 9000, uid=PROXY).split()[-1] == near.address, "meshd that calls this machine"
        hits = {row["key"]: row["hits"] for row in status(near)["bypasses"]}
        assert hits["to the workload as the client"] >= 3
        assert near.ctl("disable").returncode == 0
    assert near.rules() == before


def test_tproxy_without_the_capability_is_one_clear_error(pair, tmp_path):
    with pytest.raises(AssertionError, match="listener inbound: 0.0.0.0:15006: cannot bind: operation not permitted"):
        Sidecar(pair.near, sidecar(transparent=True))


def test_names_of_the_mesh_are_found_by_programs_that_ask_the_systems_resolver(pair, tmp_path):
    near, far = pair.near, pair.far
    made = sidecar()
    made["node"]["dns_capture"] = True
    made["dns"] = {"resolvers": ["198.18.0.2:5353"], "timeout": "200ms"}
    made["dns_hosts"] = [{"name": "orders.shop.test", "addresses": ["240.240.0.7"]}]
    made["clusters"] = [*CLUSTERS, {"name": "orders", "endpoints": [{"address": f"{far.address}:{WEB}"}]}]
    made["listeners"][0]["filter_chains"] = [
        http({"cluster": "orders"}, name="orders", match={"prefix_ranges": ["240.240.0.7/32"], "destination_port": 80})]
    with Nginx(far, WEB, tmp_path), Sidecar(near, made) as daemon, resolver(near, "127.0.0.53"):
        near.enable("--dns", "--dns-servers", "127.0.0.53")
        assert curl(near, "http://orders.shop.test/x") == (200, f"{near.address} orders.shop.test /x")
        assert curl(near, "http://nobody.shop.test/")[0] == 0
        assert daemon.metric("meshd_dns_requests_total", result="answered") >= 1
        assert daemon.metric("meshd_dns_requests_total", result="failed") >= 1


def mesh(mode):
    """Return the documents of a mesh whose one service is at the far machine."""
    return document("MeshConfig", "mesh", {"outboundTrafficPolicy": {"mode": mode}}), service(
        "web.shop.test", endpoints=["198.18.0.2"], ports=((WEB, "http"),)), service(
        "mirror.shop.test", endpoints=["198.18.0.2"], ports=((9000, "tcp"),), addresses=["10.200.0.1"])


def test_istios_outbound_traffic_policy(pair, folder):
    near, far = pair.near, pair.far
    far.mirror(9000, 9001, uid=STRANGER, word="app")
    host = ("-H", "Host: web.shop.test")
    for mode in ("ALLOW_ANY", "REGISTRY_ONLY"):
        made = istio(folder, mode, *mesh(mode))
        with Nginx(far, WEB, folder), Sidecar(near, made) as daemon:
            near.enable()
            is_open = mode == "ALLOW_ANY"
            assert curl(near, f"http://203.0.113.1:{WEB}/", *host) == (200, f"{near.address} web.shop.test /")
            assert curl(near, f"http://{far.address}:{WEB}/")[0] == (200 if is_open else 502)
            assert near.ask("10.200.0.1", 9000).startswith("app 9000")
            assert near.ask(far.address, 9001).startswith("app 9001") is is_open
            cluster = "PassthroughCluster" if is_open else "BlackHoleCluster"
            count = "envoy_cluster_upstream_cx_total" if is_open else "envoy_cluster_upstream_cx_none_healthy"
            assert daemon.metric(count, cluster_name=cluster) >= 1
            near.ctl("disable")


def test_both_sidecars_by_istios_documents(pair, folder):
    near, far = pair.near, pair.far
    far.mirror(9000, uid=STRANGER, word="app")
    ports = [{"port": WEB, "name": "http"}]
    own = document("Service", "web", {"selector": {"app": "web"}, "ports": ports})
    client, server = istio(folder, "client", *mesh("REGISTRY_ONLY")), istio(
        folder, "server", own, labels={"app": "web"})
    with Nginx(far, WEB, folder), Sidecar(near, client), Sidecar(far, server) as daemon:
        for machine in (near, far):
            machine.enable()
        assert curl(near, f"http://203.0.113.1:{WEB}/", "-H", "Host: web.shop.test") == (
            200, "127.0.0.6 web.shop.test /")
        assert near.ask("10.200.0.1", 9000).split()[:2] == ["app", "9000"]
        assert daemon.metric("envoy_cluster_upstream_rq_total", cluster_name=f"inbound|{WEB}||") == 1
        assert daemon.metric("envoy_cluster_upstream_cx_total", cluster_name=INBOUND) == 1


def test_protocols_in_which_the_server_speaks_first_are_passed_on(pair):
    """The mirror does: it tells without having been asked."""
    near, far = pair.near, pair.far
    far.mirror(9000, uid=STRANGER, word="app")
    tcp = {"name": "rest", "network_filters": [{"tcp_proxy": {"cluster": PASSTHROUGH}}]}
    inbound = {"name": "rest", "network_filters": [{"tcp_proxy": {"cluster": INBOUND}}]}
    made = {**sidecar(), "listeners": [listener("outbound", 15001, last=tcp), listener("inbound", 15006, last=inbound)]}
    with Sidecar(near, made) as one, Sidecar(far, made):
        for machine in (near, far):
            machine.enable()
        assert near.ask(far.address, 9000).split() == ["app", "9000", far.address, "9000", "127.0.0.6"]
        assert one.metric("envoy_cluster_upstream_cx_total", cluster_name=PASSTHROUGH) == 1
