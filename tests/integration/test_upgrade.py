"""Upgrade after upgrade under a load that never asks twice: a new generation takes over the sockets, nothing is lost
(reliability fault 23).
"""

import os

import pytest

from tests.integration.harness import sabotage
from tests.integration.harness.shape import TWO_WORKERS, upgrade
from tests.integration.harness.daemon import Daemon, one_cluster
from tests.integration.harness.echo import Echo
from tests.integration.harness.loss import Loss
from tests.integration.process import wait_for

UPGRADES = int(os.environ.get("MESHD_TEST_UPGRADES", "10"))
DEADLINE_S = 5.0
SLACK_S = 0.2
DRAIN = {"drain": {"grace": "0s", "deadline": f"{DEADLINE_S:g}s"}}
BACKLOG_TURN_S = 0.9
"""A connect that took longer was sent again (after 1 s): the accept queue was full, or nobody's."""

pytestmark = pytest.mark.timeout(600)
SHAPES = [pytest.param({}, id="one worker"), pytest.param(TWO_WORKERS, id="two workers")]


def is_alive(pid):
    """Say whether a process is there and has not ended (a zombie has)."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def closed_early(result, upgrades):
    """Return the WebSockets that ended though no drain that had them in it had reached its deadline.

    ``upgrades`` are the times at which each began; a WebSocket is in the drain of the first that began after it opened.
    """
    early = []
    for row in result.closed:
        opened = row["at_s"] - row["age_s"]
        drains = [began for began in upgrades if began >= opened - SLACK_S]
        if not drains or row["at_s"] < drains[0] + DEADLINE_S - SLACK_S:
            early.append(row)
    return early


@pytest.mark.parametrize("shape", SHAPES)
def test_upgrades_lose_nothing(shape):
    with Echo() as echo, Daemon(one_cluster(echo.address, **DRAIN, **shape)) as daemon, Loss(daemon.port) as load:
        load.warm()
        began, pids = [], [daemon.json("/server_info")["pid"]]
        for _ in range(UPGRADES):
            upgrade(daemon, lambda: began.append(load.now()))
            pids.append(daemon.json("/server_info")["pid"])
            load.warm()
        result = load.stop()
        print(f"\n{UPGRADES} upgrades\n{result}")
        result.assert_nothing_lost()
        assert (result.refused, result.raced) == (0, 0)
        assert result.connect_s < BACKLOG_TURN_S + result.schedule_s
        assert result.closed_count == len(result.closed)
        assert closed_early(result, began) == []
        assert len(set(pids)) == UPGRADES + 1
        old = pids[1:-1]  # the first may stay, to pass signals on
        wait_for(lambda: not any(map(is_alive, old)), "the old generations to end", DEADLINE_S + 30)


def test_upgrade_that_binds_anew_is_seen(tmp_path):
    """The same with a hand-over that is broken on purpose must lose something, or the test above proves nothing."""
    top = sabotage.sabotaged(tmp_path, sabotage.BINDS_ANEW_AT_UPGRADE)
    with Echo() as echo, Daemon(one_cluster(echo.address, **DRAIN, **top)) as daemon:
        with Loss(daemon.port) as load:
            load.warm()
            upgrade(daemon)
            load.warm()
            result = load.stop()
    assert result.refused > 0, str(result)
    assert result.lost >= result.refused


def test_upgrade_of_workers_that_cuts_is_seen(tmp_path):
    """Broken where the workers of the old generation should drain: what is in flight is cut."""
    top = sabotage.sabotaged(tmp_path, sabotage.CUTS_AT_DRAIN)
    with Echo() as echo, Daemon(one_cluster(echo.address, **DRAIN, **top, **TWO_WORKERS)) as daemon:
        with Loss(daemon.port) as load:
            load.warm()
            began = load.now()
            upgrade(daemon)
            load.warm()
            result = load.stop()
    assert closed_early(result, [began]) or result.lost > 0, str(result)


def test_an_upgrade_that_was_refused_is_not_made_by_the_next_reload():
    with Echo() as echo:
        good = one_cluster(echo.address, **DRAIN, **TWO_WORKERS)
        with Daemon(good) as daemon:
            before = daemon.json("/server_info")["pid"]
            daemon.write({**good, "listeners": 1})
            assert daemon.ask("/upgrade", "POST")[0] == 400
            daemon.write(good)
            assert daemon.ask("/reload", "POST")[0] == 200
            assert daemon.json("/server_info")["pid"] == before
