"""Mirroring against a real daemon: whatever becomes of the copies, the client is served as if there were none."""

import contextlib
import threading

import pytest

from tests.integration.harness.client import ask, at_once, timed
from tests.integration.harness.daemon import Daemon, document
from tests.integration.harness.upstream import Upstream, reply
from tests.integration.process import free_port, wait_for


@contextlib.contextmanager
def mirrored(upstream, address, cluster=(), route=(), **mirror):
    """Yield a daemon that mirrors to ``address``."""
    routes = [{"match": {"prefix": "/"}, "cluster": "up", "mirror": [{"cluster": "shadow", **mirror}], **dict(route)}]
    clusters = [{"name": "up", "endpoints": [{"address": upstream.address}]},
                {"name": "shadow", "endpoints": [{"address": address}], **dict(cluster)}]
    with Daemon(document(routes, clusters)) as daemon:
        yield daemon


def test_copies_arrive_with_their_bodies_and_edits():
    with Upstream.saying(reply()) as up, Upstream.saying(lambda head, body: reply(body * 3)) as shadow:
        edits = {"host_rewrite": "copy.test", "request_headers": {"set": {"x-copy": "1"}, "remove": ["x-own"]}}
        with mirrored(up, shadow.address, **edits) as daemon:
            assert ask(daemon.port, "/a?b", "PUT", b"x" * 1000, {"x-own": "1"})[2] == b"ok"
            head, = wait_for(lambda: shadow.heads, "the copy")
            head = head.lower()
            assert head.startswith(b"put /a?b http/1.1\r\n")
            assert b"\r\nhost: copy.test-shadow\r\n" in head
            assert b"\r\nx-copy: 1\r\n" in head and b"x-own" not in head and b"content-length: 1000\r\n" in head
            assert b"x-own" in up.heads[0].lower() and b"x-copy" not in up.heads[0].lower()
            assert daemon.metric("envoy_cluster_upstream_rq_total", cluster_name="shadow") == 1
            daemon.settled()


def test_a_share_of_requests_is_copied():
    with Upstream.saying(reply()) as up, Upstream.saying(reply()) as shadow:
        with mirrored(up, shadow.address, percent=25) as daemon:
            at_once(400, ask, daemon.port)
            daemon.settled()
            assert 60 <= len(shadow.heads) <= 140  # 100 expected, standard deviation 8.7


BAD = {
    "silent": lambda peer: peer.wait_end(), "reset": lambda peer: peer.reset(),
    "garbage": lambda peer: (peer.head(), peer.send(b"\0\0\0\r\n\r\n")),
    "long": lambda peer: (peer.head(), peer.send(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 999_999)),
    "cut": lambda peer: (peer.head(), peer.send(reply()[:-1])),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_mirror_is_never_felt(kind):
    with Upstream.saying(reply()) as up, Upstream(BAD[kind]) as shadow:
        with mirrored(up, shadow.address, timeout="500ms") as daemon:
            found = at_once(100, lambda: timed(ask, daemon.port))
            assert {answer[0] for answer, _ in found} == {200}
            assert max(seconds for _, seconds in found) < 5.0
            daemon.settled()
            assert daemon.metric("envoy_cluster_upstream_rq_total", cluster_name="up") == 100
            assert daemon.metric("envoy_cluster_upstream_rq_total", cluster_name="shadow") == 100


def test_a_dead_mirror_is_never_felt():
    with Upstream.saying(reply()) as up, mirrored(up, f"127.0.0.1:{free_port()}") as daemon:
        assert {answer[0] for answer in at_once(100, ask, daemon.port)} == {200}
        daemon.settled()
        assert daemon.metric("envoy_cluster_upstream_cx_connect_fail", cluster_name="shadow") == 100


def test_a_mirror_that_does_not_read_costs_bounded_memory():
    body, release = b"x" * 60_000, threading.Event()
    with Upstream.saying(reply()) as up, Upstream(lambda peer: release.wait(60)) as shadow:
        with mirrored(up, shadow.address, memory="1MiB", timeout="1s") as daemon:
            before = daemon.resident_bytes()
            found = at_once(400, ask, daemon.port, "/", "PUT", body)
            assert {answer[0] for answer in found} == {200}
            assert daemon.resident_bytes() - before < 64 * 2**20
            assert daemon.metric("meshd_mirror_dropped_total", cluster_name="shadow", reason="memory") > 0
            daemon.settled()
            release.set()


def test_the_mirror_clusters_limits_drop_copies_alone():
    release = threading.Event()
    limits = {"circuit_breaker": {"limits": {"max_requests": 2}}}
    with Upstream.saying(reply()) as up, Upstream(lambda peer: release.wait(60)) as shadow:
        with mirrored(up, shadow.address, cluster=limits, timeout="30s") as daemon:
            assert {answer[0] for answer in at_once(50, ask, daemon.port)} == {200}
            assert daemon.metric("meshd_mirror_dropped_total", cluster_name="shadow", reason="overflow") == 48
            release.set()
            daemon.settled()


def test_explain_tells_of_the_mirror():
    with Upstream.saying(reply()) as up, mirrored(up, up.address, percent=12.5) as daemon:
        code, text = daemon.ctl("explain", "GET", f"http://a:{daemon.port}/")
        assert code == 0, text
        assert "12.5 % to cluster shadow" in text
