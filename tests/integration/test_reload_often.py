"""Reload after reload under load: no request lost, no connection closed, nothing kept (reliability fault 22).

MESHD_TEST_RELOADS=100 pytest tests/integration/test_reload_often.py makes a hundred, one each 0.6 s if the machine can.
"""

import os
import time

import pytest

from tests.integration.harness.client import ask
from tests.integration.harness.daemon import Daemon, document
from tests.integration.harness.echo import Echo
from tests.integration.harness.loss import Loss
from tests.integration.process import wait_for

RELOADS = int(os.environ.get("MESHD_TEST_RELOADS", "12"))
EVERY_S = 0.6
WARM = 4
RATE = int(os.environ.get("MESHD_TEST_RATE", "200"))


def mesh(echo, word, **listener):
    """Return a configuration whose /word changes."""
    routes = [{"match": {"path": "/direct"}, "direct_response": {"status": 200, "body": word}},
              {"match": {"prefix": "/"}, "cluster": "up"}]
    return document(routes, [{"name": "up", "endpoints": [{"address": echo.address}]}], listener)


def reload(daemon, echo, number):
    """Change the configuration, send SIGHUP, wait until it is in force."""
    before = daemon.json("/server_info")["generation"]
    daemon.write(mesh(echo, f"word {number}", address=f"127.0.0.1:{daemon.port}"))
    daemon.signal("HUP")
    wait_for(lambda: daemon.json("/server_info")["generation"] > before, "the reload", 30)


@pytest.mark.timeout(600)
def test_many_reloads_under_load_lose_nothing_and_keep_nothing():
    with Echo() as echo, Daemon(mesh(echo, "first")) as daemon, Loss(daemon.port, rate=RATE) as load:
        load.warm()
        for number in range(WARM):
            reload(daemon, echo, number)
        load.warm()
        resident = daemon.resident_bytes()
        begin = time.monotonic()
        for number in range(RELOADS):
            time.sleep(max(0.0, begin + number * EVERY_S - time.monotonic()))  # the pace, not a wait for something
            reload(daemon, echo, number)
        load.warm()
        after = daemon.resident_bytes()
        result = load.stop()
        print(f"\n{RELOADS} reloads in {time.monotonic() - begin:.0f} s, "
              f"resident {resident >> 10} -> {after >> 10} KiB\n{result}")
        result.assert_nothing_lost()
        assert (result.unannounced, result.closed_count, result.alive) == (0, 0, 8)
        assert ask(daemon.port, "/direct")[::2] == (200, f"word {RELOADS - 1}".encode())
        assert after <= resident * 1.05
        daemon.settled()  # as many descriptors as before the load
