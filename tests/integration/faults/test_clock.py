"""The wall clock jumps by an hour and by a day, forth and back, under load: timers go by another clock (fault 15)."""

import email.utils
import glob
import os
import time

import pytest

from tests.integration.faults.scene import OUTLIERS, fleet, mesh, mixed
from tests.integration.harness.client import ask, dial, read_to_end, status, timed
from tests.integration.harness.daemon import Daemon, document
from tests.integration.harness.program import Program
from tests.integration.process import wait_for

LIBRARIES = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
JUMPS = {"an hour on": 3600, "a day on": 86400, "a day back": -86400}
pytestmark = [pytest.mark.skipif(not LIBRARIES, reason="expected Debian's libfaketime"), pytest.mark.timeout(300)]


class Wall:
    """The daemon's wall clock: ``environment`` is for its process, ``set`` moves it by so many seconds."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "wall")
        self.set(0)
        self.environment = {
            "LD_PRELOAD": LIBRARIES[0], "FAKETIME_TIMESTAMP_FILE": self.path, "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1",
        }  # without the cache the file is read each time that anybody wants to know the time, and nothing else is done

    def set(self, seconds):
        """Be so far from the true time from now on."""
        with open(self.path + ".new", "w") as file:
            file.write(f"{seconds:+d}s\n")
        os.rename(self.path + ".new", self.path)


def date_of(port):
    """Return how far the Date of an answer is from now, in seconds."""
    return email.utils.parsedate_to_datetime(ask(port, "/date")[1]["date"]).timestamp() - time.time()


def with_date(configuration):
    """Add an answer of the daemon's own, which has its Date."""
    router = configuration["listeners"][0]["filters"][0]["router"]
    router["virtual_hosts"][0]["routes"].insert(
        0, {"match": {"path": "/date"}, "direct_response": {"status": 200, "body": "now"}})
    return configuration


@pytest.mark.parametrize("jump", JUMPS)
def test_jump_of_the_wall_clock_loses_nothing(jump, tmp_path):
    wall = Wall(tmp_path)
    with fleet(3) as echoes:
        configuration = with_date(mesh(echoes, cluster=OUTLIERS))
        with Daemon(configuration, environment=wall.environment) as daemon, mixed(daemon) as load:
            load.warm(400)
            assert abs(date_of(daemon.port)) < 60
            for seconds in (JUMPS[jump], 0, JUMPS[jump]):
                wall.set(seconds)
                wait_for(lambda: abs(date_of(daemon.port) - seconds) < 60, "the daemon's clock to jump")
                load.warm(300)
            result = load.stop()
            result.assert_nothing_lost()
            assert (result.unannounced, result.closed_count) == (0, 0)
            assert daemon.metric("envoy_cluster_outlier_detection_ejections_enforced_total") == 0
            daemon.settled()


@pytest.mark.parametrize("jump", JUMPS)
def test_timeouts_are_as_long_as_ever(jump, tmp_path):
    wall = Wall(tmp_path)
    routes = [{"match": {"prefix": "/"}, "cluster": "up", "timeout": "2s"}]
    with Program() as program:
        clusters = [{"name": "up", "endpoints": [{"address": program.address}]}]
        configuration = with_date(document(routes, clusters, listener={"timeouts": {"headers": "5s"}}))
        with Daemon(configuration, environment=wall.environment) as daemon:
            with dial(daemon.port, b"GET / HTTP/1.1\r\nho") as slow:
                wall.set(JUMPS[jump])
                wait_for(lambda: abs(date_of(daemon.port) - JUMPS[jump]) < 60, "the daemon's clock to jump")
                data, seconds = timed(read_to_end, slow)
                assert data[0].startswith(b"HTTP/1.1 408 ")
                assert 2 < seconds < 6
            found, seconds = timed(status, daemon.port, "/silent")
            assert found == 504
            assert 1.8 < seconds < 5
            assert daemon.access(path="/silent")["flags"] == "UT"
            daemon.settled()
