"""Node's clients of HTTP/1.1 and HTTP/2 through the daemon to Node's servers, plain and over TLS on either side."""

import pytest

from tests.integration.harness.ends import WAYS, everything, url
from tests.integration.harness.node_client import node_tries
from tests.integration.harness.tls import Mesh

SIZE = 5_000_001
EXPECTED = {
    "many": True, "sum": True, "big": [True, True], "both": True, "turns": 20,
    "trailers": ["with trailers", "by client"],
    "events": [True, "data: 1\n\ndata: 2\n\ndata: 3\n\n"], "abort": "broken", "left": "ended", "slow": True,
    "head": [404, 0], "after": True,
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Yield (daemon, certificates)."""
    with Mesh() as mesh, everything(tmp_path_factory.mktemp("ends"), mesh) as daemon:
        yield daemon, mesh


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("scheme, version, alpn", [
    ("http", "h1", None), ("http", "h2", "h2c"), ("https", "h1", None), ("https", "h2", "h2")])
def test_a_client_of_node(place, way, scheme, version, alpn):
    daemon, mesh = place
    server = f"node-{way}"
    origin = url(daemon, scheme, server, "").removesuffix(f"/{server}")
    found = node_tries(version, origin, f"/{server}", mesh, SIZE)
    assert found.pop("alpn", None) == alpn
    assert found == EXPECTED
