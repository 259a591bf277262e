"""An unmodified client and server that talk through two sidecars, in two network namespaces."""

import contextlib
import pathlib
import shutil

import pytest

from tests.integration.harness.capture import STRANGER, Pair
from tests.integration.harness.sidecars import CLUSTERS, INBOUND, PASSTHROUGH, Nginx, Sidecar, curl

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


@contextlib.contextmanager
def resolver(machine, address):
    """Let the programs of a machine ask this server: ``ip netns exec`` has its files in the place of the system's."""
    folder = pathlib.Path("/etc/netns") / machine.name
    folder.mkdir(parents=True)
    try:
        (folder / "resolv.conf").write_text(f"nameserver {address}\noptions timeout:1 attempts:1\n")
        yield
    finally:
        shutil.rmtree(folder)
        with contextlib.suppress(OSError):
            folder.parent.rmdir()
