"""A new generation takes over the sockets: nothing is lost, and the first process stays for who started it."""

import contextlib
import json
import os
import socket
import tempfile
import threading

import pytest

from tests.integration.process import Daemon, Load, Upstream, wait_for


@pytest.fixture
def upstream():
    server = Upstream()
    yield server
    server.close()


@pytest.fixture
def daemon(upstream):
    with tempfile.TemporaryDirectory() as folder:
        found = Daemon(folder, upstream.port).ready()
        try:
            yield found
        finally:
            found.close()


@pytest.fixture(params=["", "workers: 2\n"], ids=["one process", "two workers"])
def shaped(upstream, request):
    with tempfile.TemporaryDirectory() as folder:
        found = Daemon(folder, upstream.port, more=request.param).ready()
        try:
            yield found
        finally:
            found.close()


def processes(daemon):
    """Return the processes whose command line names the daemon's folder."""
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
            if daemon.folder.encode() in file.read():
                found.append(int(pid))
    return found


def upgrade(daemon):
    return json.loads(daemon.ask("POST", "/upgrade", daemon.admin)[1])


def test_upgrade_hands_over_without_loss(daemon):
    first = daemon.info()["pid"]
    load = Load(daemon.port)
    outcome = upgrade(daemon)
    assert outcome["accepted"], outcome
    assert daemon.info()["pid"] == outcome["heir"] != first
    load.stop()
    assert load.failures == [] and load.answers > 10
    assert daemon.process.poll() is None
    daemon.signal("TERM")
    assert daemon.ended() == 0


def test_an_heir_that_cannot_serve_changes_nothing(daemon):
    first = daemon.info()["pid"]
    daemon.write("nonsense: [")
    outcome = upgrade(daemon)
    assert not outcome["accepted"]
    assert outcome["summary"].startswith("upgrade: the new generation failed: its configuration has faults: ")
    assert daemon.info()["pid"] == first
    assert daemon.ask("GET", "/direct") == (200, b"one")
    daemon.write()
    assert upgrade(daemon)["accepted"]


def test_there_are_never_three_generations(daemon, upstream):
    slow = socket.create_connection(("127.0.0.1", daemon.port), timeout=20)
    slow.sendall(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
    wait_for(lambda: upstream.waiting, "the request upstream")
    assert upgrade(daemon)["accepted"]
    outcome = upgrade(daemon)
    assert not outcome["accepted"]
    assert "the generation before still drains" in outcome["summary"]
    upstream.release.set()
    assert slow.recv(1000).startswith(b"HTTP/1.1 200")
    slow.close()
    daemon.logged("configuration 2 in force")  # the reload that follows when the old one has ended
    wait_for(lambda: upgrade(daemon)["accepted"], "the third generation")
    daemon.signal("TERM")
    assert daemon.ended() == 0


def test_signals_to_the_first_process_reach_the_generation_in_force(daemon):
    for _ in range(3):
        wait_for(lambda: upgrade(daemon)["accepted"], "an upgrade")
    daemon.write(word="two")
    daemon.signal("HUP")
    wait_for(lambda: daemon.ask("GET", "/direct")[1] == b"two", "the reload")
    daemon.signal("TERM")
    assert daemon.ended() == 0


def test_the_first_process_ends_as_the_last_generation_does(daemon):
    assert upgrade(daemon)["accepted"]
    wait_for(lambda: b"meshd.host.waiter" in open(f"/proc/{daemon.process.pid}/cmdline", "rb").read(), "the waiter")
    os.kill(daemon.info()["pid"], 9)
    assert daemon.ended() == 137


def test_a_unix_socket_outlives_the_generation_that_made_it(upstream):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "s")
        more = f"  - name: local\n    address: unix:{path}\n    filters: [router: {{virtual_hosts: []}}]\n"
        daemon = Daemon(folder, upstream.port)
        try:
            daemon.ready()
            text = open(daemon.path).read().replace("clusters:\n", more + "clusters:\n", 1)
            daemon.write(text)
            assert json.loads(daemon.ask("POST", "/reload", daemon.admin)[1])["accepted"]
            assert upgrade(daemon)["accepted"]
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
                client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                assert client.recv(100).startswith(b"HTTP/1.1 404")
            daemon.signal("TERM")
            assert daemon.ended() == 0
            assert not os.path.exists(path)
        finally:
            daemon.close()


def test_sigterm_while_the_heir_starts_ends_both_after_the_last_request(shaped, upstream):
    slow = socket.create_connection(("127.0.0.1", shaped.port), timeout=20)
    slow.sendall(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
    wait_for(lambda: upstream.waiting, "the request upstream")
    outcomes = []
    asking = threading.Thread(target=lambda: outcomes.append(upgrade(shaped)), daemon=True)
    asking.start()
    shaped.logged("starting a new generation")
    shaped.signal("TERM")
    asking.join(20)
    upstream.release.set()
    assert slow.recv(1000).startswith(b"HTTP/1.1 200")
    slow.close()
    assert shaped.ended() == 0
    assert len(outcomes) == 1
    wait_for(lambda: processes(shaped) == [], "the end of all processes")


def test_an_heir_that_is_killed_while_it_starts_is_known_at_once(shaped):
    outcomes = []
    before = set(processes(shaped))
    asking = threading.Thread(target=lambda: outcomes.append(upgrade(shaped)), daemon=True)
    asking.start()
    shaped.logged("starting a new generation")
    for pid in set(processes(shaped)) - before:
        os.kill(pid, 9)
    asking.join(15)
    assert outcomes and not outcomes[0]["accepted"], outcomes
    assert shaped.ask("GET", "/direct") == (200, b"one")


def test_a_reload_by_signal_while_the_heir_starts_is_made_by_the_heir(shaped):
    first = shaped.info()["pid"]
    asking = threading.Thread(target=upgrade, args=(shaped,), daemon=True)
    asking.start()
    shaped.logged("starting a new generation")
    shaped.write(word="two")
    shaped.signal("HUP")
    asking.join(20)
    wait_for(lambda: shaped.info()["pid"] != first, "the heir")
    wait_for(lambda: {shaped.ask("GET", "/direct")[1] for _ in range(8)} == {b"two"}, "the reload")
    shaped.signal("TERM")
    assert shaped.ended() == 0
