"""Filters that refuse before an upstream drowns, in a real daemon: by its success rate, and by its latency."""

import socketserver
import threading
import time

import pytest

from tests.integration.harness.client import ask, at_once
from tests.integration.harness.daemon import Daemon, one_cluster
from tests.integration.process import wait_for

PREFIX = "envoy_http_adaptive_concurrency_gradient_controller_"


class Moody(socketserver.ThreadingTCPServer):
    """An upstream that serves ``slots`` requests at once, each in ``busy_s``, with ``status``."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 1024

    def __init__(self):
        self.status, self.busy_s = 200, 0.0
        self.slots = threading.Semaphore(1000)
        self.lock = threading.Lock()
        self.served = self.inside = self.most = 0
        super().__init__(("127.0.0.1", 0), Answer)
        self.address = f"127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answer(socketserver.StreamRequestHandler):
    """Answers the requests of one connection."""

    def handle(self):
        """Serve."""
        while self.rfile.readline():
            while self.rfile.readline() not in (b"\r\n", b""):
                pass
            server = self.server
            with server.lock:
                server.inside += 1
                server.most = max(server.most, server.inside)
            with server.slots:
                time.sleep(server.busy_s)
            with server.lock:
                server.inside -= 1
                server.served += 1
            self.wfile.write(b"HTTP/1.1 %d X\r\ncontent-length: 2\r\n\r\nok" % server.status)


@pytest.fixture
def upstream():
    """A moody upstream."""
    with Moody() as server:
        yield server
        server.shutdown()


def guarded(upstream, name, settings):
    """Return a configuration with a filter before the router."""
    made = one_cluster(upstream.address)
    made["listeners"][0]["filters"].insert(0, {name: settings})
    return made


def test_a_failing_upstream_is_spared_and_gets_all_when_it_is_well(upstream):
    settings = {"sampling_window": "2s", "rps_threshold": 1, "max_rejection_probability": 90}
    with Daemon(guarded(upstream, "admission_control", settings)) as daemon:
        assert set(at_once(100, lambda: ask(daemon.port)[0])) == {200}
        upstream.status = 500
        statuses = at_once(1500, lambda: ask(daemon.port)[0])
        assert set(statuses) == {500, 503}
        tail = statuses[750:]
        assert tail.count(503) / len(tail) > 0.6
        row = daemon.access(status=503)
        assert (row["flags"], row["details"], row["attempts"]) == ("-", "denied_by_admission_control", 0)
        rejected = daemon.metric("envoy_http_admission_control_rq_rejected")
        assert rejected == statuses.count(503) and upstream.served == 1600 - rejected
        upstream.status = 200
        wait_for(lambda: set(at_once(50, lambda: ask(daemon.port)[0])) == {200}, "the end of the refusals", 20)


def test_a_reload_keeps_what_is_known_of_the_upstream(upstream):
    made = guarded(upstream, "admission_control", {"rps_threshold": 1})
    with Daemon(made) as daemon:
        upstream.status = 500
        at_once(300, lambda: ask(daemon.port)[0])
        made["listeners"][0]["filters"][0]["admission_control"]["aggression"] = 2
        daemon.write(made)
        assert daemon.reload()["accepted"]
        assert at_once(50, lambda: ask(daemon.port)[0]).count(503) > 20


def test_an_upstream_with_a_queue_gets_no_more_than_it_can_do(upstream):
    upstream.busy_s, upstream.slots = 0.02, threading.Semaphore(4)
    settings = {
        "concurrency_limit_params": {"max_concurrency_limit": 200},
        "min_rtt_calc_params": {"request_count": 10, "interval": "1h"},
    }
    with Daemon(guarded(upstream, "adaptive_concurrency", settings)) as daemon:
        for _ in range(3 * 10):
            assert ask(daemon.port)[0] == 200
        wait_for(lambda: daemon.metric(PREFIX + "min_rtt_calculation_active") == 0, "the first measurement")
        upstream.most = 0
        over = threading.Event()
        seen = []

        def load():
            while not over.is_set():
                seen.append(ask(daemon.port)[0])

        threads = [threading.Thread(target=load, daemon=True) for _ in range(40)]
        for thread in threads:
            thread.start()
        time.sleep(4)
        over.set()
        for thread in threads:
            thread.join(20)
        assert set(seen) == {200, 503}
        assert seen.count(200) > 4 * 4 / 0.02 * 0.1  # of what the upstream can do; this machine may be busy
        assert daemon.metric(PREFIX + "concurrency_limit") < 40
        assert daemon.metric(PREFIX + "rq_blocked") == seen.count(503)
        row = daemon.access(status=503)
        assert (row["flags"], row["details"]) == ("-", "reached_concurrency_limit")
        daemon.settled()
