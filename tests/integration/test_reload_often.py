"""Reload after reload under load: no request lost, no connection closed, nothing kept."""

import os

import pytest

from tests.integration.process import Daemon, Load, Upstream, wait_for

RELOADS = int(os.environ.get("MESHD_TEST_RELOADS", "12"))
WARM = 4


@pytest.fixture
def daemon(tmp_path):
    upstream = Upstream()
    made = Daemon(str(tmp_path), upstream.port).ready()
    yield made
    made.close()
    upstream.close()


def memory(daemon):
    """Return (resident KiB, open descriptors) of the process."""
    with open(f"/proc/{daemon.process.pid}/statm") as file:
        resident = int(file.read().split()[1]) * 4
    return resident, len(os.listdir(f"/proc/{daemon.process.pid}/fd"))


def reload(daemon, number):
    """Change the configuration, send SIGHUP, wait until it is in force."""
    before = daemon.info()["generation"]
    daemon.write(word=f"word {number}")
    daemon.signal("HUP")
    wait_for(lambda: daemon.info()["generation"] > before, "the reload", 30)


@pytest.mark.timeout(300)
def test_many_reloads_under_load_lose_nothing_and_keep_nothing(daemon):
    load = Load(daemon.port, count=2, target="/x")
    for number in range(WARM):
        reload(daemon, number)
    resident, descriptors = memory(daemon)
    for number in range(WARM, RELOADS):
        reload(daemon, number)
    load.stop()
    after = memory(daemon)
    assert load.failures == []
    assert daemon.ask("GET", "/direct") == (200, f"word {RELOADS - 1}".encode())
    metrics = daemon.ask("GET", "/metrics", daemon.admin)[1].decode()
    assert 'envoy_listener_downstream_cx_total{listener="public"} 3' in metrics
    assert after[0] <= resident * 1.05
    assert after[1] <= descriptors + 5
    assert "Traceback" not in daemon.stderr()
