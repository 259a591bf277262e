"""Reloads, refused reloads and the end under a load that never asks twice: nothing is lost (reliability faults 21, 24).

Each promise stands beside the same test with the hand-over broken on purpose, which the load must see.
"""

import time

import pytest

from tests.integration.harness import sabotage
from tests.integration.harness.client import ask
from tests.integration.harness.daemon import Daemon, document
from tests.integration.harness.echo import Echo
from tests.integration.harness.loss import Loss
from tests.integration.process import wait_for

TERM_LIMIT_S = 60
GRACE_S, DEADLINE_S = 1.0, 2.0
DRAIN = {"drain": {"grace": f"{GRACE_S:g}s", "deadline": f"{DEADLINE_S:g}s"}}
SLOW = {"mix": {"slow": 1}, "rate": 200}
"""A load of which some twenty requests are in flight at any moment."""


def mesh(echo, word="one", **top):
    """Return a configuration whose /word changes, and whose other requests go to the echo."""
    routes = [{"match": {"path": "/word"}, "direct_response": {"status": 200, "body": word}},
              {"match": {"prefix": "/"}, "cluster": "up"}]
    return document(routes, [{"name": "up", "endpoints": [{"address": echo.address}]}], **top)


def rewrite(daemon, echo, word, **top):
    """Change /word of a running daemon's file."""
    daemon.write(mesh(echo, word, listener={"address": f"127.0.0.1:{daemon.port}"}, **top))


def reload(daemon):
    """SIGHUP; wait until another configuration is in force."""
    before = daemon.json("/server_info")["generation"]
    daemon.signal("HUP")
    wait_for(lambda: daemon.json("/server_info")["generation"] > before, "the reload", 30)


@pytest.fixture
def echo():
    """Yield the upstream."""
    with Echo() as made:
        yield made


def test_reloads_lose_nothing_and_close_nothing(echo):
    with Daemon(mesh(echo)) as daemon, Loss(daemon.port) as load:
        load.warm()
        for number in range(3):
            rewrite(daemon, echo, f"word {number}")
            reload(daemon)
        load.warm()
        result = load.stop()
        result.assert_nothing_lost()
        assert (result.unannounced, result.announced, result.closed_count, result.alive) == (0, 0, 0, 8)
        assert result.connect_s < 0.9, "a connect was sent again: the accept queue was full or gone"
        assert ask(daemon.port, "/word")[2] == b"word 2"
        daemon.settled()


@pytest.mark.parametrize("body, reason", [
    (sabotage.REBINDS_AT_RELOAD, "fresh: refused"), (sabotage.CUTS_AT_RELOAD, "slow: raced (reset)")])
def test_reload_that_is_broken_on_purpose_is_seen(echo, tmp_path, body, reason):
    top = sabotage.sabotaged(tmp_path, body)
    with Daemon(mesh(echo, **top)) as daemon, Loss(daemon.port) as load:
        load.warm()
        for number in range(2):
            rewrite(daemon, echo, f"word {number}", **top)
            reload(daemon)
            load.warm()
        result = load.stop()
        assert result.lost > 0
        assert reason in result.reasons, str(result)


def test_refused_reload_loses_nothing_and_is_told_everywhere(echo):
    with Daemon(mesh(echo)) as daemon, Loss(daemon.port) as load:
        load.warm()
        daemon.write("listeners: 3\nclusters: [{name: 1}]\n")
        daemon.signal("HUP")
        last = wait_for(lambda: daemon.json("/server_info")["last_reload"], "the outcome")
        load.warm()
        where = f"{daemon.path}:1:12"
        assert (last["accepted"], daemon.json("/server_info")["generation"]) == (False, 1)
        assert where in last["summary"]
        assert where in daemon.log()
        assert where in daemon.ctl("status")[1]
        assert daemon.metric("meshd_config_last_reload_successful") == 0
        assert daemon.metric("meshd_config_errors_total") >= 2
        rewrite(daemon, echo, "two")
        reload(daemon)
        load.warm()
        result = load.stop()
        result.assert_nothing_lost()
        assert (result.unannounced, result.closed_count) == (0, 0)
        assert ask(daemon.port, "/word")[2] == b"two"
        assert daemon.metric("meshd_config_last_reload_successful") == 1
        assert where not in daemon.ctl("status")[1]
        daemon.settled()


def test_term_loses_nothing(echo):
    """Readiness fails first; until the listener closes new clients are served; WebSockets live until the deadline."""
    with Daemon(mesh(echo, **DRAIN)) as daemon, Loss(daemon.port) as load:
        load.warm()
        load.ending()
        told = load.now()
        daemon.signal("TERM")
        wait_for(lambda: daemon.ask("/ready")[0] == 503, "readiness to fail")
        unready = load.now()
        assert load.look().refused == 0
        assert daemon.process.wait(TERM_LIMIT_S) == 0
        took_s = load.now() - told
        result = load.stop()
    result.assert_nothing_lost()
    assert took_s < TERM_LIMIT_S
    assert unready < result.first_refused_s
    assert result.first_refused_s > told + GRACE_S - 0.05
    assert result.announced > 0
    assert result.closed_count == 8
    assert min(row["at_s"] for row in result.closed) > told + GRACE_S + DEADLINE_S - 0.1
    if result.schedule_s < 0.5:  # else a connection may have been idle for the second that it is given
        assert result.unannounced == 0, str(result)


def ended(configuration, **options):
    """Return what a load saw of a daemon's end."""
    with Daemon(configuration, **options) as daemon, Loss(daemon.port, **SLOW) as load:
        load.warm()
        load.ending()
        daemon.signal("TERM")
        assert daemon.process.wait(TERM_LIMIT_S) == 0
        time.sleep(0.2)  # a request that finds nobody is refused, and no loss
        return load.stop()


def test_drain_that_cuts_is_seen(echo, tmp_path):
    result = ended(mesh(echo, **DRAIN, **sabotage.sabotaged(tmp_path, sabotage.CUTS_AT_DRAIN)))
    assert result.lost > 5, str(result)
    assert any(name.startswith("slow: raced") for name in result.reasons), str(result)


def test_drain_that_announces_no_close_is_seen(echo, tmp_path):
    top = sabotage.sabotaged(tmp_path, sabotage.SILENT_AT_DRAIN)
    result = ended(mesh(echo, **DRAIN, **top), environment={"MESHD_PURE": "1"})
    assert result.unannounced + result.raced > 5, str(result)
    assert result.announced == 0


def test_drain_that_is_not_broken_loses_nothing_of_the_same_load(echo):
    result = ended(mesh(echo, **DRAIN))
    result.assert_nothing_lost()
    assert result.announced > 5
