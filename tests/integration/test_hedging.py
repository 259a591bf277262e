"""Hedging against a real daemon: a slow upstream costs the client no more than the per-try timeout."""

import threading

from tests.integration.harness.client import ask, at_once, dial, get, timed
from tests.integration.harness.daemon import Daemon, one_cluster
from tests.integration.harness.upstream import Upstream, reply

HEDGED = {"timeout": "20s", "per_try_timeout": "300ms", "hedge_policy": {"hedge_on_per_try_timeout": True},
          "retry": {"retry": {"retry_on": ["5xx"], "attempts": 1, "base": "1ms"}}}


def slow_until(event):
    """Return an upstream that answers when ``event`` is set, and then at once."""
    def script(peer):
        while True:
            peer.head()
            event.wait(20)
            peer.send(reply(b"slow"))
    return Upstream(script)


def test_a_slow_endpoint_costs_the_per_try_timeout_alone():
    event = threading.Event()
    with slow_until(event) as slow, Upstream.saying(reply(b"fast")) as fast:
        with Daemon(one_cluster(slow.address, fast.address, route=HEDGED)) as daemon:
            found = at_once(20, lambda: timed(ask, daemon.port), workers=3)  # retries at once: 3 (Envoy's default)
            assert {answer[2] for answer, _ in found} == {b"fast"}
            assert max(seconds for _, seconds in found) < 5.0
            assert slow.accepted >= 5
            # more than the slow ones where the machine is slow itself
            assert daemon.metric("envoy_cluster_upstream_rq_retry") >= slow.accepted
            daemon.settled()
            event.set()


def test_the_first_attempt_is_kept_and_may_still_win():
    event, begun = threading.Event(), threading.Event()

    def script(peer):
        peer.head()
        begun.set()
        event.wait(20)
        peer.send(reply(b"first"))

    def never(peer):
        peer.head()
        event.set()
        peer.wait_end()

    scripts = [script, never]
    with Upstream(lambda peer: scripts.pop(0)(peer)) as upstream:
        with Daemon(one_cluster(upstream.address, route=HEDGED)) as daemon:
            assert ask(daemon.port, "/h")[2] == b"first"
            entry = daemon.access(path="/h")
            assert (entry["attempts"], entry["flags"]) == (2, "-")
            daemon.settled()


def test_clients_that_leave_take_both_attempts_with_them():
    event = threading.Event()
    with slow_until(event) as slow, slow_until(event) as other:
        with Daemon(one_cluster(slow.address, other.address, route=HEDGED)) as daemon:
            clients = [dial(daemon.port, get("/")) for _ in range(10)]
            while daemon.metric("envoy_cluster_upstream_rq_retry") < 3:
                pass
            for client in clients:
                client.close()
            daemon.settled()
            event.set()
