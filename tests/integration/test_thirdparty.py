"""A stranger's plugin from wheel to upgrade: found, used, contained as configured, named, and replaced.

tests/thirdparty/acme is the stranger's project. Reliability faults 36, 37 and 38 are told here.
"""

import re
import time

import pytest

from tests.integration.harness.client import ask, dial, get, status
from tests.integration.harness.daemon import Daemon, document
from tests.integration.harness.echo import Echo
from tests.integration.harness.loss import Loss
from tests.integration.harness.stranger import FIRST, SECOND, Venv, wheel
from tests.integration.harness.shape import RECYCLED, TWO_WORKERS, taken_over, workers
from tests.integration.harness.upstream import Upstream, reply
from tests.integration.process import wait_for

ALARM_S = 1.0
HANG_S = 10.0
MIB = 1 << 20
LABEL = "plugin acme (acme of meshd-acme 1.0)"
OWNER = "plugin 'acme' of meshd-acme 1.0"
NO_STRIKES = {"plugins": {"watchdog": {"strikes": 1000}}}
ANSWER = {"fail-closed": 500, "fail-open": 200}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """Return the wheel of each release."""
    folder = tmp_path_factory.mktemp("acme")
    return {release: wheel(folder, release) for release in (FIRST, SECOND)}


@pytest.fixture(scope="module")
def venv(wheels, tmp_path_factory):
    """Return a venv with the first release, for tests that change nothing in it."""
    made = Venv(tmp_path_factory.mktemp("venv") / "first")
    made.install(wheels[FIRST])
    return made


@pytest.fixture
def changing(wheels, tmp_path):
    """Return a venv with the first release, for a test that upgrades it."""
    made = Venv(tmp_path / "venv")
    made.install(wheels[FIRST])
    return made


@pytest.fixture
def echo():
    """Yield the upstream."""
    with Echo() as made:
        yield made


def mesh(*addresses, on_error="fail-closed", acme=(), **top):
    """Return a configuration that has the stranger's filter and balancer."""
    routes = [{"match": {"prefix": "/"}, "cluster": "up", "timeout": "60s"}]
    cluster = {"name": "up", "endpoints": [{"address": one} for one in addresses], "load_balancer": {"acme_sticky": {}}}
    made = document(routes, [cluster], **top)
    made["listeners"][0]["filters"].insert(0, {"acme": dict(acme), "on_error": on_error})
    return made


def asked(port, word, path="/x"):
    """Return (status, headers, body) of a request that wants something of the filter."""
    return ask(port, path, headers={"x-acme": word})


def use(daemon, kind="http_filter"):
    """Return what /plugins says of the stranger's one use in a chain, and of its distribution."""
    row = next(row for row in daemon.json("/plugins")["plugins"] if row["name"] == "acme")
    return row, next(one for one in row["uses"] if one["kind"] == kind)


def listed(daemon):
    """Return the stranger's row of ``meshctl plugins list``, in cells."""
    code, text = daemon.ctl("plugins", "list", "-o", "wide")
    assert code == 0, text
    header, *rows = [re.split(r" {2,}", line.strip()) for line in text.splitlines()]
    return dict(zip(header, next(row for row in rows if row[0] == "acme"), strict=False))


# Found and used


def test_check_finds_it(venv, echo, tmp_path):
    path = tmp_path / "mesh.json"
    with Daemon(mesh(echo.address), python=venv.python) as daemon:
        path.write_text(open(daemon.path).read())
        assert venv.meshd("--check", "-c", daemon.path)[0] == 0
        row = listed(daemon)
        assert (row["DISTRIBUTION"], row["VERSION"], row["STATUS"]) == ("meshd-acme", FIRST, "loaded")
    code, text = venv.meshd("--check", "-c", str(path), MESHD_TRACE_PLUGINS="1")
    assert code == 0, text
    assert f"{OWNER}: meshd_acme.plugin: loaded: http_filter acme" in text
    path.write_text(path.read_text().replace('"acme": {}', '"acme": {"late": "yesterday"}'))
    code, text = venv.meshd("--check", "-c", str(path))
    assert code == 65
    assert "yesterday" in text


def test_traffic_passes_its_filter_and_goes_where_its_balancer_says(venv):
    with Upstream.saying(reply(b"one")) as one, Upstream.saying(reply(b"two")) as two:
        with Daemon(mesh(one.address, two.address), python=venv.python) as daemon:
            homes = {}
            for _ in range(3):
                for key in map(str, range(8)):
                    found, headers, body = ask(daemon.port, headers={"x-acme-key": key})
                    assert (found, headers["x-acme-release"]) == (200, FIRST)
                    assert homes.setdefault(key, body) == body
            assert set(homes.values()) == {b"one", b"two"}
            daemon.settled()


# Contained, counted, named


@pytest.mark.parametrize("on_error", ANSWER)
@pytest.mark.parametrize("word, hook, text, traces", [
    ("raise", "on_request", "LookupError: acme lost its way", 1),
    ("late-raise", "on_request", "LookupError: acme lost its way", 1),
    ("nonsense", "on_request", "on_request returned 'nonsense'", 0),
    ("raise-back", "on_response", "LookupError: acme lost its way back", 1),
])
def test_fault_costs_its_own_request_alone_and_is_told_everywhere(venv, echo, on_error, word, hook, text, traces):
    """Fault 36: 500 or pass by the policy; only that request; the traceback once, every time counted."""
    top = mesh(echo.address, on_error=on_error)
    with Daemon(top, python=venv.python) as daemon, Loss(daemon.port, rate=100) as load:
        load.warm()
        assert [asked(daemon.port, word)[0] for _ in range(5)] == [ANSWER[on_error]] * 5
        load.warm()
        load.stop().assert_nothing_lost()
        assert daemon.metric("meshd_plugin_errors_total", plugin="acme", hook=hook) == 5
        assert daemon.metric("meshd_plugin_errors_total") == 5
        row, found = use(daemon)
        assert (row["distribution"], row["version"], found["faults"]) == ("meshd-acme", FIRST, {hook: 5})
        assert text in found["last_fault"]
        assert listed(daemon)["FAULTS"] == "5"
        log = daemon.log()
        assert f"{LABEL}: {hook}: " in log
        assert text in log
        assert log.count("Traceback") == traces, log
        assert log.count("meshd_acme/filter.py") >= traces
        daemon.settled()
        daemon.cries = list  # the traceback is what was asked for


def test_late_answer_holds_up_its_own_request_alone(venv, echo):
    with Daemon(mesh(echo.address, acme={"late": "1s"}), python=venv.python) as daemon:
        begin = time.monotonic()
        with dial(daemon.port, get("/late", **{"x-acme": "late"})) as client:
            assert status(daemon.port) == 200
            assert b" 200 OK" in client.recv(65536)
        assert time.monotonic() - begin >= 1.0
        daemon.settled()


@pytest.mark.parametrize("word", ["late", "late-raise"])
def test_answer_that_comes_after_the_client_has_gone_is_no_fault(venv, echo, word):
    with Daemon(mesh(echo.address, acme={"late": "500ms"}), python=venv.python) as daemon:
        for _ in range(10):
            dial(daemon.port, get("/gone", **{"x-acme": word})).close()
        assert asked(daemon.port, "late")[0] == 200  # begun after those, so theirs have come before it
        wait_for(lambda: len(daemon.accesses(path="/gone", flags="DC")) == 10, "a line for each")
        assert daemon.metric("meshd_plugin_errors_total") == 0
        daemon.settled()


def test_timer_of_its_own_that_raises_costs_no_request_and_its_file_is_named(venv, echo):
    with Daemon(mesh(echo.address), python=venv.python) as daemon:
        assert [asked(daemon.port, "timer")[0] for _ in range(3)] == [200] * 3
        daemon.logged("meshd_acme/filter.py")
        assert "acme lost its way" in daemon.log()
        assert status(daemon.port) == 200
        daemon.settled()
        daemon.cries = list


def test_short_block_is_counted_and_named(venv, echo):
    with Daemon(mesh(echo.address), python=venv.python) as daemon:
        assert asked(daemon.port, "block")[0] == 200
        daemon.logged(f"blocked by {OWNER}: filter.py:")
        wait_for(lambda: daemon.metric("meshd_reactor_late_total", plugin="acme") == 1, "the count")
        row, found = use(daemon)
        assert (row["distribution"], found["late"], found["state"]) == ("meshd-acme", 1, "in use")
        assert listed(daemon)["LATE"] == "1"
        assert "_block" in daemon.log()
        daemon.settled()


def hang(daemon):
    """Make the plugin block for ten seconds; return (the client that asked, seconds until the alarm)."""
    begin = time.monotonic()
    client = dial(daemon.port, get("/hang", **{"x-acme": "hang"}))
    daemon.logged(f"blocked by {OWNER}: filter.py:")
    alarm_s = time.monotonic() - begin
    client.settimeout(0.0)
    with pytest.raises(BlockingIOError):
        client.recv(1)
    client.settimeout(30.0)
    return client, alarm_s


def test_long_block_is_named_while_it_lasts_and_loses_nothing(venv, echo):
    """Fault 37 with one process: the alarm comes in a second; what waits is late and not lost."""
    top = mesh(echo.address, acme={"hang": f"{HANG_S:g}s"})
    with Daemon(top, python=venv.python) as daemon, Loss(daemon.port, rate=20, patience_s=40) as load:
        load.warm()
        client, alarm_s = hang(daemon)
        with client:
            assert alarm_s < ALARM_S
            assert b" 200 OK" in client.recv(65536)
        load.warm()
        result = load.stop()
        result.assert_nothing_lost()
        assert result.latency_s["longest"] > HANG_S - 1.5, "the others did not wait: then the test says nothing"
        assert daemon.metric("meshd_reactor_late_total", plugin="acme") == 1
        daemon.settled()


def test_long_block_in_one_worker_holds_up_nobody_at_another(venv, echo):
    """Fault 37 with two workers: new connections and those of the other worker are answered while one hangs."""
    top = mesh(echo.address, acme={"hang": f"{HANG_S:g}s"}, **TWO_WORKERS)
    with Daemon(top, python=venv.python) as daemon, Loss(daemon.port, rate=50, patience_s=40) as load:
        load.warm()
        assert len(set(workers(daemon))) == 2
        client, alarm_s = hang(daemon)
        with client:
            assert alarm_s < ALARM_S
            before, until = load.look().answered, time.monotonic() + HANG_S / 2
            answers = []
            while time.monotonic() < until:
                begin = time.monotonic()
                answers.append((status(daemon.port), time.monotonic() - begin))
            assert {found for found, _ in answers} == {200}
            assert max(seconds for _, seconds in answers) < 1.0, "a new connection waited for the worker that hangs"
            assert load.look().answered > before + 50
            assert b" 200 OK" in client.recv(65536)
        load.warm()
        load.stop().assert_nothing_lost()
        daemon.settled()


def test_leak_is_seen_in_the_memory_metric(venv, echo):
    with Daemon(mesh(echo.address), python=venv.python) as daemon:
        assert asked(daemon.port, "none")[0] == 200
        before = daemon.metric("process_resident_memory_bytes")
        assert [asked(daemon.port, "leak")[0] for _ in range(32)] == [200] * 32
        grown = daemon.metric("process_resident_memory_bytes") - before
        assert 28 * MIB < grown < 48 * MIB
        daemon.settled()


@pytest.mark.timeout(300)
def test_worker_that_leaks_is_replaced_at_its_limit_and_nothing_is_lost(venv, echo):
    """Fault 38."""
    with Daemon(mesh(echo.address, **RECYCLED), python=venv.python) as daemon, Loss(daemon.port, rate=100) as load:
        load.warm()
        before = set(workers(daemon))
        until = time.monotonic() + 150
        while before & set(workers(daemon)):
            assert time.monotonic() < until, "no worker was replaced"
            assert asked(daemon.port, "leak")[0] == 200
        load.warm()
        load.stop().assert_nothing_lost()
        wait_for(lambda: len(workers(daemon)) == 2, "both: there is one spare, and they may reach the limit together")
        daemon.settled()


# Upgraded


@pytest.mark.timeout(300)
def test_new_release_is_taken_up_on_sighup_and_nothing_is_lost(changing, wheels, echo):
    with Daemon(mesh(echo.address), python=changing.python) as daemon:
        with Loss(daemon.port, watch="x-acme-release") as load:
            load.warm()
            assert set(load.look().seen) == {FIRST}
            before = daemon.json("/server_info")["pid"]
            changing.install(wheels[SECOND])
            load.warm()
            assert set(load.look().seen) == {FIRST}, "new code ran before anybody asked for it"
            daemon.signal("HUP")
            taken_over(daemon, before)
            load.warm()
            seen = load.look().seen
            load.warm()
            result = load.stop()
        print(f"\n{result}")
        result.assert_nothing_lost()
        assert (result.refused, result.raced) == (0, 0)
        assert result.seen[SECOND] > seen[SECOND]
        assert set(result.seen) == {FIRST, SECOND}
        assert ask(daemon.port)[1]["x-acme-release"] == SECOND
        assert listed(daemon)["VERSION"] == SECOND
        assert use(daemon)[0]["version"] == SECOND
