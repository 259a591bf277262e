"""Retries with raw sockets: resets and garbage at each phase of a response, under each policy; who may ask for more."""

import pytest

from tests.integration.harness.client import ask, status
from tests.integration.harness.daemon import Daemon, document, one_cluster
from tests.integration.harness.upstream import Upstream, reply

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
PHASES = {
    "before a byte": (lambda peer: (peer.head(), peer.reset()), "reset"),
    "closed before a byte": (lambda peer: peer.head(), "reset"),
    "in the head": (lambda peer: (peer.head(), peer.send(HEAD[:20]), peer.reset()), "reset"),
    "garbage for a head": (lambda peer: (peer.head(), peer.send(b"\0\1\2 what\r\n\r\n")), "reset"),
    "a broken head": (
        lambda peer: (peer.head(), peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n")), "reset"),
    "after the head": (lambda peer: (peer.head(), peer.send(HEAD), peer.reset()), "begun"),
    "in the body": (lambda peer: (peer.head(), peer.send(HEAD + b"12345"), peer.reset()), "begun"),
    "a broken chunk": (lambda peer: (peer.head(), peer.send(CHUNKED + b"zz\r\n")), "begun"),
    "500": (lambda peer: (peer.head(), peer.send(reply(status=b"500 No"))), "500"),
    "503": (lambda peer: (peer.head(), peer.send(reply(status=b"503 No"))), "503"),
}
POLICIES = {
    "5xx": {"reset", "500", "503"}, "gateway-error": {"reset", "503"}, "reset": {"reset"}, "connect-failure": set(),
    "503": {"503"}, "reset-before-request": set(), "retriable-4xx": set(),
}
"""Condition -> the outcomes that it retries."""


@pytest.mark.parametrize("phase", PHASES)
def test_each_phase_is_retried_by_those_policies_that_name_it(phase):
    script, outcome = PHASES[phase]
    routes = [{"match": {"path": f"/{word}"}, "cluster": "up",
               "retry": {"retry": {"retry_on": [word], "attempts": 2, "base": "1ms"}}} for word in POLICIES]
    with Upstream(script) as upstream:
        with Daemon(document(routes, [{"name": "up", "endpoints": [{"address": upstream.address}]}])) as daemon:
            for word, wanted in POLICIES.items():
                before = upstream.accepted
                whole = is_whole(daemon.port, f"/{word}")
                is_retried = outcome in wanted
                assert upstream.accepted - before == (3 if is_retried else 1), (word, phase)
                assert ("URX" in daemon.access(path=f"/{word}")["flags"]) == is_retried, (word, phase)
                assert whole == (outcome != "begun"), "a cut answer must not look whole, another must be one"
            daemon.settled()


def is_whole(port, path):
    """Say whether the client got a whole answer."""
    try:
        ask(port, path)
    except Exception:  # noqa: B902  http.client has many names for an answer that is cut
        return False
    return True


def test_a_status_that_is_passed_on_after_the_last_attempt_says_so():
    retry = {"retry": {"retry": {"retry_on": ["503"], "attempts": 1, "base": "1ms"}}}
    with Upstream.saying(reply(status=b"503 No")) as upstream:
        with Daemon(one_cluster(upstream.address, route=retry)) as daemon:
            assert status(daemon.port, "/x") == 503
            entry = daemon.access(path="/x")
            assert (entry["flags"], entry["details"], entry["attempts"]) == ("URX", "via_upstream", 2)
            assert daemon.metric("envoy_cluster_upstream_rq_retry_limit_exceeded") == 1
            daemon.settled()


def test_fields_that_ask_for_retries_are_heeded_inside_and_dropped_at_the_edge():
    asked = {"x-envoy-retry-on": "5xx", "x-envoy-max-retries": "3", "x-envoy-upstream-rq-timeout-ms": "5000"}
    inside = {"http": {"use_remote_address": False}}
    for listener, wanted in ((inside, 4), ({}, 1)):
        with Upstream.saying(reply(status=b"500 No")) as upstream:
            with Daemon(one_cluster(upstream.address, listener=listener)) as daemon:
                assert ask(daemon.port, "/a", headers=asked)[0] == 500
                assert daemon.access(path="/a")["attempts"] == wanted
                daemon.settled()


def test_a_client_gets_204_for_a_timeout_where_it_asked_for_that():
    asked = {"x-envoy-upstream-rq-timeout-alt-response": "1", "x-envoy-upstream-rq-timeout-ms": "200"}
    with Upstream(lambda peer: (peer.head(), peer.wait_end())) as upstream:
        with Daemon(one_cluster(upstream.address, listener={"http": {"use_remote_address": False}})) as daemon:
            assert ask(daemon.port, "/t", headers=asked)[0] == 204
            assert daemon.access(path="/t")["flags"] == "UT"
            daemon.settled()


@pytest.mark.parametrize("route, found, flags, details", [
    ({"timeout": "300ms"}, 504, "UT", "response_timeout"),
    ({"per_try_timeout": "300ms"}, 504, "UT", "upstream_per_try_timeout"),
    ({"per_try_idle_timeout": "300ms"}, 504, "UT", "upstream_per_try_idle_timeout"),
    ({"idle_timeout": "300ms"}, 408, "SI", "stream_idle_timeout"),
    ({"max_stream_duration": "300ms"}, 504, "UMSDR", "max_duration_timeout"),
])
def test_each_timeout_has_its_own_words(route, found, flags, details):
    with Upstream(lambda peer: (peer.head(), peer.wait_end())) as upstream:
        with Daemon(one_cluster(upstream.address, route=route)) as daemon:
            assert status(daemon.port, "/t") == found
            entry = daemon.access(path="/t")
            assert (entry["flags"], entry["details"]) == (flags, details)
            daemon.settled()


def test_priorities_have_limits_of_their_own():
    limits = {"circuit_breaker": {"limits": {"max_requests": 0, "high": {"max_requests": 5}}}}
    routes = [{"match": {"prefix": "/high"}, "cluster": "up", "priority": "high"},
              {"match": {"prefix": "/"}, "cluster": "up"}]
    with Upstream.saying(reply()) as upstream:
        cluster = {"name": "up", "endpoints": [{"address": upstream.address}], **limits}
        with Daemon(document(routes, [cluster])) as daemon:
            assert status(daemon.port, "/high") == 200
            found, headers, _ = ask(daemon.port, "/low")
            assert (found, headers["x-envoy-overloaded"]) == (503, "true")
            assert daemon.access(path="/low")["flags"] == "UO"
            assert daemon.metric("envoy_cluster_circuit_breakers_high_remaining_rq", cluster_name="up") == 5
            assert daemon.metric("envoy_cluster_circuit_breakers_default_rq_open", cluster_name="up") == 1
            daemon.settled()
