"""An unmodified client and server talk through two captured sidecars with mutual TLS; who goes past them is shown."""

import pytest

pytest.importorskip("meshd.tls", reason="TLS is not there yet")
from tests.integration.harness.capture import PROXY, STRANGER, Pair, status  # noqa: E402
from tests.integration.harness.sidecars import (  # noqa: E402
    CLUSTERS, INBOUND, PASSTHROUGH, Nginx, Sidecar, curl, readable)
from tests.integration.harness.tls import Mesh  # noqa: E402
from tests.integration.test_captured import WEB, http, listener  # noqa: E402

OPEN = 8081
"""A port that is not captured on its way in."""


@pytest.fixture
def machines():
    """Two machines, and a mesh's certificates."""
    with Pair() as pair, Mesh() as mesh:
        readable(mesh.folder)
        yield pair.near, pair.far, mesh


def client_side(mesh, address, port=WEB):
    """Return a sidecar that speaks mutual TLS to the service on a port, and passes everything else on."""
    web = {"name": "web", "endpoints": [{"address": f"{address}:{port}"}], "tls": mesh.calling()}
    chain = http({"cluster": "web"}, name="web", match={"destination_port": port})
    return {"node": {"id": "client", "role": "sidecar"}, "secrets": mesh.settings(), "clusters": [*CLUSTERS, web],
            "listeners": [listener("outbound", 15001, chains=[chain], last=http({"cluster": PASSTHROUGH}, name="rest")),
                          listener("inbound", 15006, last=http({"cluster": INBOUND}, name="rest"))]}


def server_side(mesh, **inbound):
    """Return a sidecar that takes mutual TLS alone (STRICT)."""
    chain = http({"cluster": INBOUND}, name="mutual", match={"transport_protocol": "tls"},
                 tls=mesh.serving("required", alpn=["http/1.1"]))
    return {"node": {"id": "server", "role": "sidecar"}, "secrets": mesh.settings(), "clusters": CLUSTERS,
            "listeners": [listener("outbound", 15001, last=http({"cluster": PASSTHROUGH}, name="rest")),
                          {**listener("inbound", 15006, chains=[chain], **inbound),
                           "listener_filters": ["original_dst", "tls_inspector"]}]}


def test_mutual_tls_between_two_sidecars_and_the_ways_past_it(machines, tmp_path):
    near, far, mesh = machines
    before = [one.rules() for one in (near, far)]
    url = f"http://{far.address}:{WEB}/shop"
    with Nginx(far, WEB, tmp_path), Nginx(far, OPEN, tmp_path), \
            Sidecar(near, client_side(mesh, far.address)) as one, Sidecar(far, server_side(mesh)) as two:
        near.enable()
        far.enable("--exclude-inbound-ports", str(OPEN))
        assert curl(near, url) == (200, f"127.0.0.6 {far.address}:{WEB} /shop")
        assert two.metric("envoy_listener_ssl_handshake", listener="inbound") == 1
        assert one.metric("envoy_cluster_upstream_rq_total", cluster_name="web") == 1
        # who goes past the client's side meets TLS that it cannot speak
        assert curl(near, url, uid=PROXY)[0] == 0
        assert two.metric("envoy_listener_no_filter_chain_match", listener="inbound") == 1
        # a port that is excluded is open to everybody, and status says so
        assert curl(near, f"http://{far.address}:{OPEN}/", uid=STRANGER)[0] == 200
        assert {row["key"]: row["which"] for row in status(far)["bypasses"]}["excluded inbound port"] == str(OPEN)
        # IPv6, on which nobody listens, is not captured, and status says so
        assert curl(near, f"http://[{far.address6}]:{WEB}/")[0] == 200
        assert "ipv6" in {row["key"] for row in status(far)["bypasses"] if row["hits"]}
        for machine in (near, far):
            assert machine.ctl("disable").returncode == 0
        assert curl(near, url)[1].startswith(near.address)
    assert [one.rules() for one in (near, far)] == before


def test_a_client_without_a_certificate_of_the_mesh_is_refused(machines, tmp_path):
    near, far, mesh = machines
    secret = str(mesh.folder / "server" / "ca.crt")
    with Nginx(far, WEB, tmp_path), Sidecar(far, server_side(mesh)) as daemon:
        far.enable()
        url, words = f"https://shop.test:{WEB}/", ("--resolve", f"shop.test:{WEB}:{far.address}", "--cacert", secret)
        assert curl(near, url, *words)[0] == 0
        assert daemon.metric("envoy_listener_ssl_fail_verify_no_cert", listener="inbound") == 1
        shown = ("--cert", str(mesh.folder / "client" / "tls.crt"), "--key", str(mesh.folder / "client" / "tls.key"))
        assert curl(near, url, *words, *shown) == (200, f"127.0.0.6 shop.test:{WEB} /")
