"""A browser (Chromium, headless) before the daemon: HTTP/2 over TLS and HTTP/1.1, to a site of either."""

import pytest

from tests.integration.harness.daemon import Daemon, one_cluster
from tests.integration.harness.ends import PATIENT
from tests.integration.harness.site import browse, serving, trusted
from tests.integration.harness.tls import Mesh

EXPECTED = {
    "style": "rgb(240, 248, 255)", "images": [1, 80], "posted": "1500000", "echoed": True, "form": True, "many": True,
    "piecewise": True, "redirected": [True, "said again"], "cookie": "taste=sweet", "unchanged": "tagged",
    "aborted": "AbortError", "missing": 404, "events": ["1", "2", "3"], "socket": [3, 100000, 5, 1000],
}


@pytest.mark.parametrize("scheme, version", [("https", "h1"), ("https", "h2"), ("http", "h1")])
def test_a_page_with_all_that_pages_do(tmp_path, scheme, version):
    with Mesh() as mesh, serving(version) as address:
        listener = {"tls": mesh.serving()} if scheme == "https" else {}
        listener["http"] = {"http2": {"allow_connect": True}}
        cluster = {"protocol": {"h1": "http1", "h2": "http2"}[version]}
        with Daemon(one_cluster(address, cluster=cluster, listener=listener, secrets=mesh.settings(),
                                overload=PATIENT)) as daemon:
            found, _ = browse(f"{scheme}://localhost:{daemon.port}/", tmp_path, trusted(mesh))
            protocols = found.pop("protocols")
            assert found == EXPECTED
            assert protocols == (["h2"] if scheme == "https" else ["http/1.1"])
            is_h2 = scheme == "https"
            assert (daemon.metric("envoy_http_downstream_cx_http2_total") > 0) is is_h2
            assert daemon.accesses(path="/socket", status=101)
            daemon.settled()
