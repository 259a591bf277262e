"""Sessions that stay at one endpoint by a cookie, and new endpoints that get their share slowly."""

import collections
import contextlib

import pytest

from tests.integration.istio.bookinfo import GATEWAY, Bookinfo, Proxy

ROUTE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: lobby}
spec:
  hosts: ["*"]
  gateways: [bookinfo-gateway]
  http:
  - route: [{destination: {host: lobby}}]
"""
RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: more}
spec:
  host: lobby
  trafficPolicy: {loadBalancer: {%s}}
"""
COOKIE = "consistentHash: {httpCookie: {name: player, ttl: 0s}}"
WARM = "simple: ROUND_ROBIN, warmup: {duration: 600s, minimumPercent: 10}"
NAMES = ("a", "b", "c")


@pytest.fixture
def lobby():
    """Return three instances of one service."""
    with contextlib.closing(Bookinfo({"lobby": NAMES})) as mesh:
        yield mesh


def entry(mesh, names):
    """Return the text of the service with these instances."""
    rows = "".join(f"\n  - {{address: 127.0.0.1, ports: {{http: {mesh.servers['lobby', name].server_port}}}}}"
                   for name in names)
    return ("apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: lobby}\nspec:\n"
            "  hosts: [lobby]\n  location: MESH_INTERNAL\n  resolution: STATIC\n"
            f"  ports: [{{number: 80, name: http, protocol: HTTP}}]\n  endpoints:{rows}\n")


def test_a_client_with_its_cookie_stays_at_one_endpoint(lobby):
    with Proxy([GATEWAY, ROUTE, RULE % COOKIE], named={"lobby": entry(lobby, NAMES)}) as proxy:
        homes = {}
        for _ in range(30):
            _, headers, said = proxy.get("/")
            cookie = headers["set-cookie"].partition(";")[0]
            assert cookie.startswith("player=")
            homes[cookie] = said["version"]
        assert set(homes.values()) == set(NAMES)
        for cookie, home in homes.items():
            for _ in range(3):
                _, headers, said = proxy.get("/", {"cookie": cookie})
                assert (said["version"], "set-cookie" in headers) == (home, False)


def test_another_endpoint_moves_some_clients_to_itself_and_the_rest_stay(lobby):
    with Proxy([GATEWAY, ROUTE, RULE % COOKIE], named={"lobby": entry(lobby, "ab")}) as proxy:
        cookies = [f"player=p{place}" for place in range(60)]
        before = {cookie: proxy.get("/", {"cookie": cookie})[2]["version"] for cookie in cookies}
        proxy.apply("lobby", entry(lobby, "abc"))
        after = {cookie: proxy.get("/", {"cookie": cookie})[2]["version"] for cookie in cookies}
    moved = [cookie for cookie in cookies if before[cookie] != after[cookie]]
    assert 5 <= sum(after[cookie] == "c" for cookie in moved)
    assert len(moved) <= 40


def test_a_new_endpoint_gets_its_share_slowly(lobby):
    with Proxy([GATEWAY, ROUTE, RULE % WARM], named={"lobby": entry(lobby, "ab")}) as proxy:
        proxy.apply("lobby", entry(lobby, "abc"))
        found = collections.Counter(proxy.get("/")[2]["version"] for _ in range(210))
    assert 5 <= found["c"] <= 25, "a tenth of the others' share"
    assert abs(found["a"] - found["b"]) <= 10
