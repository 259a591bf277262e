"""From plain to mutual TLS without touching a program: first the server is captured and permissive, then the client
has a sidecar too, then the server is strict and who has none is refused.
"""

from tests.integration.harness.capture import PROXY, STRANGER, Pair
from tests.integration.harness.sidecars import INBOUND, Nginx, Sidecar, curl, readable
from tests.integration.harness.tls import Mesh
from tests.integration.test_captured import WEB, http
from tests.integration.test_captured_tls import client_side, server_side


def permissive(mesh):
    """Return the server's sidecar as it takes mutual TLS and plain text (PERMISSIVE)."""
    made = server_side(mesh)
    made["listeners"][1]["default_filter_chain"] = http({"cluster": INBOUND}, name="plain")
    made["listeners"][1]["listener_filters"] = ["original_dst", {"tls_inspector": {"detection_timeout": "200ms"}}]
    return made


def test_permissive_then_a_client_with_a_sidecar_then_strict(tmp_path):
    with Pair() as pair, Mesh() as mesh, Nginx(pair.far, WEB, tmp_path):
        readable(mesh.folder)
        near, far = pair.near, pair.far
        url, answer = f"http://{far.address}:{WEB}/shop", f"127.0.0.6 {far.address}:{WEB} /shop"
        with Sidecar(far, permissive(mesh)) as server:
            far.enable()
            # an unmodified client, in plain text
            assert curl(near, url, uid=STRANGER) == (200, answer)
            assert server.metric("envoy_listener_ssl_handshake", listener="inbound") == 0

            with Sidecar(near, client_side(mesh, far.address)) as client:
                near.enable()
                # the same client: its sidecar speaks mutual TLS for it
                assert curl(near, url, uid=STRANGER) == (200, answer)
                assert server.metric("envoy_listener_ssl_handshake", listener="inbound") == 1
                assert client.metric("envoy_cluster_upstream_rq_total", cluster_name="web") == 1

                server.write(server_side(mesh))
                assert server.reload()["accepted"]
                # strict: with a sidecar as before, past it (as its user) nobody is let in
                assert curl(near, url, uid=STRANGER) == (200, answer)
                assert curl(near, url, uid=PROXY)[0] == 0
                assert near.ctl("disable").returncode == 0
                assert curl(near, url, uid=STRANGER)[0] == 0
                assert server.metric("envoy_listener_no_filter_chain_match", listener="inbound") == 2
