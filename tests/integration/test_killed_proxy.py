"""kill -9 of a worker and of the whole proxy: what is lost is what was in its hands, and it serves again at once.

Reliability faults 20 and 25. Each figure is the best of a few tries, less the time for which the new process waited for
a core, for what a busy machine adds is not meshd's.
"""

import contextlib
import os
import signal

import pytest

from tests.integration.harness.client import status
from tests.integration.harness.shape import TWO_WORKERS, workers
from tests.integration.harness.daemon import Daemon, one_cluster
from tests.integration.harness.echo import Echo
from tests.integration.harness.loss import Loss
from tests.integration.harness.manager import MANAGED, managed
from tests.integration.process import wait_for

TRIES = 3
SERVING_S = 2.0
REPLACED_S = 1.0
OWN = ("cut", "raced", "closed", "reset")
"""How a request is lost that a killed process held: nothing refused, no timeout, no wrong answer."""
SHAPES = [pytest.param({}, id="one worker"), pytest.param(TWO_WORKERS, id="two workers")]


def serves(daemon):
    """Say whether a request is answered."""
    with contextlib.suppress(OSError):
        return status(daemon.port) == 200
    return False


def alive_workers(daemon):
    """Return the workers' process ids; none where the one that was asked has just died."""
    try:
        return workers(daemon)
    except (OSError, KeyError, ValueError):
        return []


def is_own(row):
    """Say whether a loss is of the kind that a killed process explains."""
    return row["reason"].startswith(OWN)


def waited_s(pid):
    """Return how long a process was ready to run and had no core: the machine's part of what it took."""
    if pid is None:
        return 0.0
    try:
        with open(f"/proc/{pid}/schedstat") as file:
            return int(file.read().split()[1]) / 1e9
    except FileNotFoundError:
        return 0.0


def test_killed_worker_is_replaced_and_costs_its_own_streams_alone():
    top = TWO_WORKERS
    with Echo() as echo, Daemon(one_cluster(echo.address, **top)) as daemon, Loss(daemon.port, rate=200) as load:
        load.warm()
        took, spans = [], []
        for number in range(TRIES):
            before = workers(daemon)
            victim = before[number % 2]
            begin = load.now()
            os.kill(victim, signal.SIGKILL)
            answered = load.look().answered
            wait_for(lambda: len(now := alive_workers(daemon)) == 2 and victim not in now, "another worker")
            new = next(pid for pid in alive_workers(daemon) if pid not in before)
            took.append(load.now() - begin - waited_s(new))
            spans.append((begin, load.now()))
            wait_for(lambda: load.look().answered > answered + 20, "the other worker's answers")
            load.warm()
        result = load.stop()
        print(f"\nreplaced after {', '.join(f'{seconds:.2f} s' for seconds in took)}\n{result}")
        assert min(took) < REPLACED_S
        assert result.refused == 0
        assert [row for row in result.losses if not is_own(row)] == [], str(result)
        assert result.outside(spans) == [], str(result)
        assert result.alive == 8
        assert len(set(workers(daemon))) == 2


@pytest.mark.timeout(300)
@pytest.mark.parametrize("shape", SHAPES)
def test_killed_proxy_serves_again_as_soon_as_its_manager_starts_it(shape):
    drain = {"deadline": "60s"}  # longer than this test takes: what a killed proxy leaves ends what it has
    with Echo() as echo, Daemon(one_cluster(echo.address, drain=drain, **shape), prefix=MANAGED) as daemon:
        with Loss(daemon.port, rate=50) as load:
            load.warm()
            took, spans = [], []
            for _ in range(TRIES):
                victim = managed(daemon)
                begin = load.now()
                os.kill(victim, signal.SIGKILL)
                wait_for(lambda: managed(daemon) not in (None, victim) and serves(daemon), "it to serve again", 60)
                main = managed(daemon)
                late_s = waited_s(main) + max(map(waited_s, set(workers(daemon)) - {main}), default=0)
                took.append(load.now() - begin - late_s)
                spans.append((begin, load.now()))
                load.warm()
            result = load.stop()
        print(f"\nserving again after {', '.join(f'{seconds:.2f} s' for seconds in took)}\n{result}")
        assert min(took) < SERVING_S
        assert result.lost > 0, "kill -9 under load lost nothing: then the load saw nothing"
        assert result.outside(spans) == [], str(result)
        assert result.alive == 8
        assert daemon.is_ready()


def test_files_that_a_killed_proxy_left_do_not_stop_the_next(tmp_path):
    """The admin API's and a listener's unix socket are still there, and nobody listens."""
    path = tmp_path / "public"
    with Echo() as echo:
        top = one_cluster(echo.address)
        top["listeners"].append(top["listeners"][0] | {"name": "local", "address": f"unix:{path}"})
        with Daemon(top, prefix=MANAGED) as daemon:
            victim = managed(daemon)
            os.kill(victim, signal.SIGKILL)
            wait_for(lambda: managed(daemon) not in (None, victim) and daemon.is_ready(), "it to serve again", 60)
            assert path.is_socket()
            assert serves(daemon)
