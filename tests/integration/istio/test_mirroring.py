"""Istio's task "mirroring": version 1 gets all requests, version 2 copies whose Host ends in ``-shadow``."""

import time

from tests.integration.process import wait_for

HOST = "mirroring.test"
SHADOW = HOST + "-shadow"


def seen(mesh, version, path):
    """Return the Host of each request for a path that a version of reviews has got."""
    return [host for host, one in list(mesh.servers["reviews", version].seen) if one.partition("?")[0] == path]


def test_without_a_mirror_version_1_alone_is_asked(edge, mesh):
    assert edge.get("/alone", host=HOST)[2]["version"] == "v1"
    assert seen(mesh, "v1", "/alone") == [HOST]
    assert seen(mesh, "v2", "/alone") == []


def test_each_request_is_copied_once_to_version_2(edge, mesh):
    answers = [edge.get(f"/all?{place}", host=HOST) for place in range(20)]
    assert {(status, said["version"]) for status, _, said in answers} == {(200, "v1")}
    wait_for(lambda: len(seen(mesh, "v2", "/all")) == 20, "all copies")
    assert set(seen(mesh, "v2", "/all")) == {SHADOW}
    assert seen(mesh, "v1", "/all") == [HOST] * 20


def test_a_copy_has_the_body_and_the_answer_to_it_is_nobody_s(edge, mesh):
    status, _, said = edge.get("/all/body", method="POST", body="stars", host=HOST)
    assert (status, said["version"], said["body"]) == (200, "v1", "stars")
    wait_for(lambda: seen(mesh, "v2", "/all/body"), "the copy")


def test_a_mirror_that_fails_or_is_slow_is_not_felt(edge, mesh):
    server = mesh.servers["reviews", "v2"]
    server.status = 500
    try:
        began = time.monotonic()
        assert edge.get("/all/failing", host=HOST)[0] == 200
        wait_for(lambda: seen(mesh, "v2", "/all/failing"), "the copy")
        assert time.monotonic() - began < 5
    finally:
        server.status = 200


def test_a_share_is_copied(edge, mesh):
    for place in range(300):
        assert edge.get(f"/part?{place}", host=HOST)[0] == 200
    assert len(seen(mesh, "v1", "/part")) == 300
    wait_for(lambda: mesh.servers["reviews", "v2"].active == 0, "the last copy")
    assert abs(len(seen(mesh, "v2", "/part")) - 90) <= 48, "six standard deviations"


def test_two_mirrors_get_a_copy_each(edge, mesh):
    assert edge.get("/two", host=HOST)[2]["version"] == "v1"
    wait_for(lambda: seen(mesh, "v2", "/two") == seen(mesh, "v3", "/two") == [SHADOW], "both copies")
