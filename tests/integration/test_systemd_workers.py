"""Several workers, and upgrades, under a scripted service manager: the supervisor speaks for all."""

import os
import signal
import socket
import time

import pytest

from tests.integration.harness.daemon import document
from tests.integration.process import wait_for
from tests.integration.test_systemd import DIRECT, get, listening, manager, run, with_key  # noqa: F401


def carriers(daemon):
    """Return the workers that serve."""
    return [row["pid"] for row in daemon.json("/server_info")["workers"] if row.get("index") is not None]


def test_tells_readiness_reloads_and_the_end(manager):
    with run(manager, document(DIRECT, [], workers=2)) as daemon:
        ready = manager.wait(with_key("READY"), "readiness")
        assert ready["STATUS"].startswith(f"generation 1: 2 workers; public 127.0.0.1:{daemon.port}, admin ")
        daemon.write({**document(DIRECT, [], workers=2), "frob": 1})
        daemon.signal("HUP")
        reloading = manager.wait(with_key("RELOADING"), "the reload")
        assert int(reloading["MONOTONIC_USEC"]) > 0
        rejected = manager.wait(with_key("READY", 2), "the end of the reload")
        assert rejected["STATUS"].startswith("reload rejected: ")
        assert "frob" in rejected["STATUS"] and "keeping generation 1" in rejected["STATUS"]
    manager.wait(with_key("STOPPING"), "the end")
    keys = [next(iter(one)) for one in manager.read() if {"READY", "RELOADING", "STOPPING"} & set(one)]
    assert keys == ["READY", "RELOADING", "READY", "STOPPING"]


def test_the_watchdog_is_fed_only_while_every_worker_is_on_time(manager):
    with run(manager, document(DIRECT, [], workers=2), watchdog_s=1.0) as daemon:
        manager.wait(with_key("WATCHDOG", 2), "the second ping")
        victim = carriers(daemon)[0]
        os.kill(victim, signal.SIGSTOP)
        try:
            def is_quiet():
                """No ping came within 2 s."""
                before = sum("WATCHDOG" in one for one in manager.read())
                time.sleep(2.0)
                return sum("WATCHDOG" in one for one in manager.read()) == before
            wait_for(is_quiet, "the pings to stop", 20)
        finally:
            os.kill(victim, signal.SIGCONT)
        pings = sum("WATCHDOG" in one for one in manager.read())
        manager.wait(with_key("WATCHDOG", pings + 1), "pings again")


def test_sockets_of_a_socket_unit_reach_the_workers_and_stay_with_systemd(manager):
    with listening() as unit:
        port = unit.getsockname()[1]
        listener = {"address": f"127.0.0.1:{port}"}
        with run(manager, document(DIRECT, [], workers=2, listener=listener), sockets=[("public", unit)]) as daemon:
            assert daemon.port == port
            assert {get(port) for _ in range(10)} == {200}
            assert not [name for name in manager.stored if "public" in name]
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass  # it still listens: systemd has it


@pytest.mark.parametrize("workers", [1, 2])
def test_an_upgrade_names_the_new_main_process(manager, workers):
    with run(manager, document(DIRECT, [], workers=workers)) as daemon:
        manager.wait(with_key("READY"), "readiness")
        status, _ = daemon.ask("/upgrade", "POST")
        assert status == 200
        heir = int(manager.wait(with_key("MAINPID"), "the new main process")["MAINPID"])
        assert daemon.process.wait(30) == 0  # nobody needs it: systemd follows the heir
        assert daemon.json("/server_info")["pid"] == heir
        assert get(daemon.port) == 200
        manager.wait(with_key("READY", 2), "the readiness of the new one")
        os.kill(heir, signal.SIGTERM)
        wait_for(lambda: not os.path.exists(f"/proc/{heir}/exe"), "its end")
