"""The real daemon and a scripted service manager: messages, watchdog, handed and kept sockets, credentials."""

import contextlib
import http.client
import json
import os
import select
import socket
import stat
import subprocess
import sys
import tempfile
import time

import pytest

from meshd.host.store import fd_name
from tests.host.peer import Systemd
from tests.integration.harness.daemon import Daemon, document, one_cluster
from tests.integration.process import Upstream, free_port, wait_for

PLUGIN = """
import os, sys, time
from meshd.api import CONTINUE, PluginType, Text, config, hookimpl, option
print("seen:", [name for name in os.environ if name.startswith(("NOTIFY", "WATCHDOG", "LISTEN"))], file=sys.stderr)

@config
class Block:
    until: str = option(Text(), doc="file that ends it")

class Filter:
    def __init__(self, config, site):
        self.until = config.until
    def on_request(self, exchange):
        while not os.path.exists(self.until):
            time.sleep(0.01)
        return CONTINUE

@hookimpl
def meshd_plugins():
    return [PluginType(kind="http_filter", name="block", config=Block, build=Filter)]
"""
DIRECT = [{"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": "direct"}}]


@pytest.fixture
def manager():
    """Give a service manager."""
    made = Systemd()
    yield made
    made.close()


def run(manager, configuration, watchdog_s=None, environment=(), **more):
    """Return a started daemon that tells ``manager``."""
    told = {"NOTIFY_SOCKET": manager.address, **dict(environment)}
    if watchdog_s is not None:
        told["WATCHDOG_USEC"] = str(round(watchdog_s * 1e6))
    return Daemon(configuration, environment=told, **more)


def with_key(key, count=1):
    """Return a condition: ``count`` messages have this key; it gives the last of them."""
    def found(messages):
        having = [one for one in messages if key in one]
        return having[count - 1] if len(having) >= count else None
    return found


def listening(port=0):
    """Return a listening socket of loopback."""
    return socket.create_server(("127.0.0.1", port))


def get(port, timeout_s=30):
    """Return the status of a request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    finally:
        connection.close()


def test_tells_readiness_reloads_and_the_end(manager):
    with run(manager, document(DIRECT, [])) as daemon:
        ready = manager.wait(with_key("READY"), "readiness")
        assert ready["STATUS"].startswith(f"generation 1: public 127.0.0.1:{daemon.port}; 0 clusters; ")
        daemon.write({**document(DIRECT, []), "frob": 1})
        began_us = time.monotonic_ns() // 1000
        daemon.signal("HUP")
        reloading = manager.wait(with_key("RELOADING"), "the reload")
        assert int(reloading["MONOTONIC_USEC"]) >= began_us
        rejected = manager.wait(with_key("READY", 2), "the end of the reload")
        assert rejected["STATUS"].startswith(f"reload rejected: {daemon.path}:")
        assert "frob" in rejected["STATUS"] and "keeping generation 1" in rejected["STATUS"]
        daemon.write(document(DIRECT, [], listener={"address": f"127.0.0.1:{daemon.port}"}))
        daemon.reload()
        assert manager.wait(with_key("READY", 3), "a good reload")["STATUS"].startswith("generation 2: ")
    manager.wait(with_key("STOPPING"), "the end")
    keys = [next(iter(one)) for one in manager.read() if {"READY", "RELOADING", "STOPPING"} & set(one)]
    assert keys == ["READY", "RELOADING", "READY", "RELOADING", "READY", "STOPPING"]


def test_a_reload_by_the_admin_api_that_waits_for_another_is_one_end_for_systemd(manager):
    with run(manager, document(DIRECT, [])) as daemon:
        for _ in range(5):
            daemon.signal("HUP")
        daemon.reload()
        manager.wait(lambda messages: messages[-1].get("STATUS", "").startswith("generation 3"), "the last reload")
        told = [one for one in manager.read() if {"READY", "RELOADING"} & set(one)]
        assert "READY" in told[-1]


def test_the_status_follows_what_happens(manager):
    upstream = Upstream()
    with run(manager, one_cluster(f"127.0.0.1:{upstream.port}")) as daemon:
        with socket.create_connection(("127.0.0.1", daemon.port)):
            manager.wait(lambda messages: "; 1 cluster; 1 connection" in messages[-1].get("STATUS", ""), "the client")
        daemon.ask("/healthcheck/fail", "POST")
        manager.wait(lambda messages: messages[-1].get("STATUS", "").startswith("readiness withdrawn; "), "the change")
    upstream.close()


def test_a_failed_start_says_why(manager):
    with listening() as taken:
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        with pytest.raises(AssertionError):
            run(manager, document(DIRECT, [], listener={"address": address}))
        told = manager.wait(with_key("STATUS"), "the reason")
        assert told == {"STATUS": f"could not start: listener public: {address}: cannot bind: address already in use"}


def test_a_bad_configuration_says_why(manager):
    with pytest.raises(AssertionError):
        run(manager, {**document(DIRECT, []), "frob": 1})
    assert "unknown field \"frob\"" in manager.wait(with_key("STATUS"), "the reason")["STATUS"]
    assert not with_key("READY")(manager.read())


def test_a_long_drain_asks_for_more_time(manager):
    upstream = Upstream()
    with run(manager, one_cluster(f"127.0.0.1:{upstream.port}")) as daemon:
        with socket.create_connection(("127.0.0.1", daemon.port)) as client:
            client.sendall(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
            wait_for(lambda: upstream.waiting, "the request upstream")
            daemon.signal("TERM")
            assert manager.wait(with_key("STOPPING"), "the end")["STATUS"] == "draining: 1 connection left"
            manager.wait(with_key("EXTEND_TIMEOUT_USEC", 2), "the second request for time")
            upstream.release.set()
            assert client.recv(100).startswith(b"HTTP/1.1 200")
    upstream.close()


def test_children_get_none_of_the_variables(manager):
    folder = tempfile.mkdtemp()
    with open(os.path.join(folder, "block.py"), "w") as file:
        file.write(PLUGIN)
    with listening() as spare:
        with run(manager, {**document(DIRECT, []), "plugins": {"dir": folder}}, watchdog_s=100,
                 sockets=[("spare", spare)]) as daemon:
            daemon.reload()
            daemon.logged("configuration reader: seen: []")
            assert daemon.log().count("seen: []") == 2  # the daemon's own, and the reader's


def test_the_watchdog_is_fed_while_the_reactor_runs_and_not_while_it_is_blocked(manager):
    folder = tempfile.mkdtemp()
    until = os.path.join(folder, "until")
    with open(os.path.join(folder, "block.py"), "w") as file:
        file.write(PLUGIN)
    configuration = document(DIRECT, [], plugins={"dir": folder, "watchdog": {"enabled": False}})
    configuration["listeners"][0]["filters"].insert(0, {"block": {"until": until}})
    with run(manager, configuration, watchdog_s=1.0) as daemon:
        manager.wait(with_key("WATCHDOG", 4), "pings")
        with socket.create_connection(("127.0.0.1", daemon.port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            wait_for(lambda: is_silent(manager, 2.0), "the block", 60)
            with open(until, "w"):
                pass
            assert client.recv(100).startswith(b"HTTP/1.1 200")
        count = len([one for one in manager.read() if "WATCHDOG" in one])
        manager.wait(with_key("WATCHDOG", count + 2), "pings after it")


def is_silent(manager, seconds):
    """Say whether nothing comes for a time."""
    manager.read()
    return not select.select([manager.socket], [], [], seconds)[0]


def test_the_watchdog_is_not_fed_while_the_admin_api_is_out_of_reach(manager):
    with run(manager, document(DIRECT, []), watchdog_s=1.0) as daemon:
        manager.wait(with_key("WATCHDOG", 2), "pings")
        os.rename(daemon.admin, daemon.admin + ".away")
        daemon.logged("no watchdog ping for systemd: ")
        wait_for(lambda: is_silent(manager, 2.0), "silence", 60)
        os.rename(daemon.admin + ".away", daemon.admin)
        count = len([one for one in manager.read() if "WATCHDOG" in one])
        manager.wait(with_key("WATCHDOG", count + 1), "pings after it")


def test_a_listener_takes_the_handed_socket_of_its_name_or_address(manager):
    with listening() as named, listening() as placed, listening() as spare:
        address = "127.0.0.1:%d" % placed.getsockname()[1]
        configuration = document(DIRECT, [])
        configuration["listeners"].append({**configuration["listeners"][0], "name": "other", "address": address})
        sockets = [("meshd.socket", placed), ("public", named), ("spare", spare)]
        with run(manager, configuration, sockets=sockets) as daemon:
            assert daemon.ports == {"public": named.getsockname()[1], "other": placed.getsockname()[1]}
            assert get(daemon.port) == get(daemon.ports["other"]) == 200
            daemon.logged(f"socket 127.0.0.1:{spare.getsockname()[1]} 'spare' from systemd: no listener has this")
            assert not with_key("FDSTORE")(manager.read())  # systemd keeps them anyway


def test_a_listener_that_comes_back_gets_its_handed_socket_again(manager):
    with listening() as handed:
        configuration = document(DIRECT, [])
        address = "127.0.0.1:%d" % handed.getsockname()[1]
        more = {**configuration["listeners"][0], "name": "more", "address": address}
        both = {**configuration, "listeners": [*configuration["listeners"], more]}
        with run(manager, both, sockets=[("meshd.socket", handed)]) as daemon:
            daemon.write(configuration)
            assert daemon.reload()["accepted"]
            daemon.logged(f"socket {address} from systemd: its listener more has gone, but systemd goes on to listen")
            with socket.create_connection(handed.getsockname()) as client:  # systemd holds it: it waits
                client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
                daemon.write(both)
                assert daemon.reload()["accepted"]
                assert client.recv(100).startswith(b"HTTP/1.1 200")


def test_the_admin_api_takes_the_socket_of_its_name_and_leaves_its_file_alone(manager):
    folder = tempfile.mkdtemp()
    path = os.path.join(folder, "operators")
    with socket.socket(socket.AF_UNIX) as admin:
        admin.bind(path)
        admin.listen(10)
        os.chmod(path, 0o660)
        configuration = document(DIRECT, [], admin={"address": f"127.0.0.1:{free_port()}"})
        with run(manager, configuration, sockets=[("admin", admin)], watchdog_s=1.0, admin=path) as daemon:
            manager.wait(with_key("WATCHDOG", 3), "pings, which ask there too")
            assert daemon.json("/server_info")["ready"] is True
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
        assert os.path.exists(path)


def test_an_admin_socket_that_others_could_reach_ends_the_start():
    with socket.create_server(("0.0.0.0", 0)) as admin, pytest.raises(AssertionError) as caught:
        Daemon(document(DIRECT, []), sockets=[("admin", admin)])
    assert "reachable from other machines: expected loopback or unix:PATH" in str(caught.value)


def test_listening_sockets_are_kept_and_serve_on_after_kill_9(manager):
    configuration = document(DIRECT, [])
    with contextlib.ExitStack() as stack:
        first = run(manager, configuration)
        stack.callback(first.kill)
        name = fd_name("public", f"127.0.0.1:{first.port}")
        manager.wait(with_key("READY"), "readiness")
        assert list(manager.stored) == [name]
        first.process.kill()
        first.process.wait()
        client = stack.enter_context(socket.create_connection(("127.0.0.1", first.port)))
        client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        with run(manager, configuration, sockets=list(manager.stored.items())):
            assert client.recv(100).startswith(b"HTTP/1.1 200")
            manager.wait(with_key("READY", 2), "readiness")
            assert len([one for one in manager.seen if "FDSTORE" in one]) == 1


def test_what_the_configuration_no_longer_has_is_kept_no_longer(manager):
    configuration = document(DIRECT, [])
    more = {**configuration["listeners"][0], "name": "more", "address": f"127.0.0.1:{free_port()}"}
    with run(manager, {**configuration, "listeners": [*configuration["listeners"], more]}) as daemon:
        manager.wait(with_key("FDSTORE", 2), "two sockets")
        daemon.write({**configuration, "listeners": [{**more, "name": "renamed"}]})
        daemon.reload()
        manager.wait(with_key("FDSTOREREMOVE", 2), "the changes")
        assert list(manager.stored) == [fd_name("renamed", more["address"])]
        daemon.ask("/drain_listeners", "POST")
        manager.wait(with_key("FDSTOREREMOVE", 3), "the end of the listeners")
        assert manager.stored == {}


def test_a_kept_socket_that_no_listener_wants_is_closed_and_forgotten(manager):
    with listening() as old:
        name = fd_name("old", "127.0.0.1:1")
        manager.stored[name] = old.dup()
        with run(manager, document(DIRECT, []), sockets=[(name, old)]) as daemon:
            daemon.logged("'old' kept from before the restart: no listener wants it: closed")
            manager.wait(with_key("FDSTOREREMOVE"), "the end of it")


def test_the_file_of_a_unix_socket_is_made_anew_and_not_kept(manager):
    path = os.path.join(tempfile.mkdtemp(), "in")
    configuration = document(DIRECT, [])
    configuration["listeners"].append({**configuration["listeners"][0], "name": "local", "address": f"unix:{path}"})
    with run(manager, configuration):
        manager.wait(with_key("READY"), "readiness")
        assert os.path.exists(path)
    assert not os.path.exists(path)
    assert [one["FDNAME"].split(",")[1] for one in manager.seen if "FDSTORE" in one] == ["public"]


def test_a_stricter_umask_is_kept():
    with Daemon(document(DIRECT, []), prefix=["sh", "-c", 'umask 077; exec "$@"', "sh"]) as daemon:
        assert get(daemon.port) == 200
        daemon.access(status=200)
        assert stat.S_IMODE(os.stat(daemon.access_path).st_mode) == 0o600


def test_a_credential_outside_of_systemd_is_a_clear_fault():
    for name, folder, expected in (
        ("users", None, "no credential 'users': CREDENTIALS_DIRECTORY is not set"),
        ("users", "/nonexistent", "no credential 'users'"),
        ("../x", "/tmp", "expected credential:NAME, a name without a slash, got '../x'"),
    ):
        configuration = document(DIRECT, [])
        basic = {"basic": {"file": f"credential:{name}"}}
        configuration["listeners"][0]["filters"].insert(0, {"authentication": {"authenticators": [basic]}})
        assert expected in check(configuration, folder)


def check(configuration, folder):
    """Return what --check says with this folder of credentials."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump(configuration, file)
        file.flush()
        environment = {name: value for name, value in os.environ.items() if name != "CREDENTIALS_DIRECTORY"}
        if folder is not None:
            environment["CREDENTIALS_DIRECTORY"] = folder
        line = [sys.executable, "-m", "meshd.cli.daemon", "--check", "-c", file.name]
        return subprocess.run(line, capture_output=True, text=True, timeout=60, env=environment).stdout
