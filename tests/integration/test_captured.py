"""An unmodified client and server that talk through two sidecars, in two network namespaces."""

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


def sidecar(outbound=PASSTHROUGH, **more):
    """Return a configuration that passes everything on, and says that it was there."""
    mark = {"response_headers": {"set": {"x-passed": "outbound"}}}
    return {
        "node": {"id": "test", "role": "sidecar"},
        "listeners": [
            listener("outbound", 15001, last=http({"cluster": outbound, **mark}, name="rest")),
            listener("inbound", 15006, last=http({"cluster": INBOUND}, name="rest"), **more),
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


def test_what_comes_to_the_listener_itself_is_refused_so_that_there_is_no_loop(pair, tmp_path):
    near, far = pair.near, pair.far
    with Nginx(near, WEB, tmp_path), Sidecar(near, sidecar()) as daemon:
        near.enable()
        for port in (15001, 15006):
            assert curl(far, f"http://{near.address}:{port}/")[0] == 0
            assert curl(near, f"http://127.0.0.1:{port}/", uid=STRANGER)[0] == 0
        assert daemon.metric("meshd_listener_direct_refused_total") == 4
        assert curl(far, f"http://{near.address}:{WEB}/") == (200, f"127.0.0.6 {near.address}:{WEB} /")
