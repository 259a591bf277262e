"""Istio's task "circuit breaking": one connection, one request that waits, 503 for the rest."""

import concurrent.futures

from tests.integration.process import wait_for

CLUSTER = "outbound|9080||details"


def used(edge, name):
    """Return how much of a limit is used."""
    row = next(row for row in edge.json("/clusters")["clusters"] if row["name"] == CLUSTER)
    return row["circuit_breaker"][name]["used"]


def test_what_is_more_than_one_in_flight_and_one_waiting_is_refused(edge, mesh):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        first = pool.submit(edge.get, "/delay/1500", host="breaking.test")
        wait_for(lambda: mesh.servers["details", "v1"].active == 1, "the first request")
        second = pool.submit(edge.get, "/second", host="breaking.test")
        wait_for(lambda: used(edge, "pending") == 1, "the second to wait")
        status, headers, _ = edge.get("/third", host="breaking.test")
        assert (status, headers["x-envoy-overloaded"]) == (503, "true")
        assert [one.result()[0] for one in (first, second)] == [200, 200]
    assert edge.access(path="/third")["flags"] == "UO"
    assert mesh.servers["details", "v1"].most == 1


def test_under_load_some_get_through_and_some_are_refused(edge, mesh):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda place: edge.get(f"/delay/20?{place}", host="breaking.test")[0], range(64)))
    assert set(found) == {200, 503}
    assert mesh.servers["details", "v1"].most == 1


def test_one_client_alone_is_never_refused(edge):
    assert {edge.get("/alone", host="breaking.test")[0] for _ in range(10)} == {200}
