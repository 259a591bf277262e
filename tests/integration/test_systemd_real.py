"""meshd's units under a real systemd: start, reload, watchdog, restart, socket activation, stop, credentials.

Skipped where there can be no such machine (``harness/machine.py`` says why).
"""

import http.client
import json
import socket
import threading
import time

import pytest

from tests.integration.harness.machine import PYTHON, UNITS, VENV, Machine, Unavailable
from tests.integration.process import Upstream, free_port, wait_for
from tests.tree import ROOT

UNIT = "meshd.service"
CONFIG = "/etc/meshd/meshd.yaml"
SOCKET_UNIT = """[Socket]
ListenStream=127.0.0.1:{port}
ListenStream=127.0.0.1:{spare}
"""
HEIR = """
import os, sys, time
from meshd.host.notify import Notify
notify = Notify.take(os.environ)
child = os.fork()
if child:
    notify.ready(f"{os.getpid()}")
    notify.main_pid(child)
    os._exit(0)
time.sleep(100)
"""


@pytest.fixture(scope="module")
def machine():
    """Boot one machine for this file."""
    try:
        made = Machine()
    except Unavailable as why:
        pytest.skip(str(why))
    with made:
        yield made


@pytest.fixture
def mesh(machine):
    """Give a configured unit that is not started yet."""
    upstream = Upstream()
    made = Mesh(machine, upstream.port)
    yield made
    machine.clear(UNIT, "meshd.socket", "meshd@edge.service")
    upstream.close()


class Mesh:
    """The unit meshd.service with a configuration that listens at ``port``."""

    def __init__(self, machine, upstream_port):
        self.machine = machine
        self.port, self.admin = free_port(), free_port()
        routes = [{"match": {"path": "/direct"}, "direct_response": {"status": 200, "body": "direct"}},
                  {"match": {"prefix": "/"}, "cluster": "up"}]
        self.config = {
            "admin": {"address": f"127.0.0.1:{self.admin}"}, "drain": {"deadline": "20s"},
            "listeners": [{"name": "public", "address": f"127.0.0.1:{self.port}", "filters": [
                {"router": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]}}]}],
            "clusters": [{"name": "up", "endpoints": [{"address": f"127.0.0.1:{upstream_port}"}]}],
        }
        self.write()

    def write(self, **more):
        """Write the configuration."""
        self.machine.write(CONFIG, json.dumps({**self.config, **more}, indent=1))

    def start(self):
        """Start the unit; it serves then."""
        self.machine.systemctl("start", UNIT)

    def show(self, name):
        """Return a property of the unit."""
        return self.machine.show(UNIT, name)

    def wait_for(self, name, text):
        """Wait until a property of the unit has a text in it."""
        wait_for(lambda: text in self.show(name), f"{text!r} in {name}", 40)

    def main_pid(self):
        """Return the main process, 0 where there is none."""
        return int(self.show("MainPID"))

    def get(self, target="/direct", port=None, **fields):
        """Return (status, body) of a request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=30)
        try:
            connection.request("GET", target, headers=fields)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def metric(self, name):
        """Return a number of /metrics."""
        text = self.get("/metrics", self.admin)[1].decode()
        return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(name + " "))

    def status_of(self, name):
        """Return a field of /proc/PID/status of the main process."""
        text = self.machine.run("cat", f"/proc/{self.main_pid()}/status").stdout
        return next(line.split(":")[1].strip() for line in text.splitlines() if line.startswith(name + ":"))


class Visitors:
    """Open a connection every 20 ms, ask, and note every one that was refused or not answered with 200."""

    def __init__(self, mesh):
        self.failures, self.answers, self._mesh, self._ended = [], 0, mesh, threading.Event()
        self._threads = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._ended.wait(0.02):
            self._threads.append(threading.Thread(target=self._visit, daemon=True))
            self._threads[-1].start()

    def _visit(self):
        try:
            status, _ = self._mesh.get()
            self.answers += 1
            if status != 200:
                self.failures.append(status)
        except OSError as error:
            self.failures.append(repr(error))

    def stop(self):
        """Visit no more; wait for all answers."""
        self._ended.set()
        self._thread.join()
        for thread in self._threads:
            thread.join(40)


def test_start_returns_when_it_serves_and_says_what(mesh):
    mesh.start()
    assert mesh.get() == (200, b"direct")
    assert mesh.show("ActiveState") == "active"
    assert mesh.show("StatusText").startswith(f"generation 1: public 127.0.0.1:{mesh.port}; 1 cluster; ")


def test_is_not_active_before_it_serves_and_says_why(mesh):
    with socket.create_server(("127.0.0.1", mesh.port)):
        mesh.machine.systemctl("start", "--no-block", UNIT)
        mesh.wait_for("StatusText", f"could not start: listener public: 127.0.0.1:{mesh.port}: cannot bind")
        assert mesh.show("ActiveState") == "activating"
    mesh.wait_for("ActiveState", "active")  # it tries again and again
    wait_for(lambda: mesh.show("ActiveState") == "active", "the unit", 40)
    assert mesh.get()[0] == 200


def test_a_fault_of_the_configuration_is_final_and_stands_in_the_status(mesh):
    mesh.write(frob=1)
    mesh.machine.systemctl("start", UNIT, is_checked=False)
    assert mesh.show("ActiveState") == "failed"
    assert mesh.show("ExecMainStatus") == "78"
    assert f"could not start: {CONFIG}:" in mesh.show("StatusText")


def test_hardening_is_in_force_and_the_metrics_are_right(mesh):
    mesh.start()
    assert mesh.status_of("NoNewPrivs") == "1"
    assert mesh.status_of("Seccomp") == "2"
    assert int(mesh.status_of("CapEff"), 16) == 1 << 10  # CAP_NET_BIND_SERVICE
    assert int(mesh.status_of("Uid").split()[0]) >= 61184  # one of systemd's dynamic users
    mounts = mesh.machine.run("cat", f"/proc/{mesh.main_pid()}/mountinfo").stdout
    assert "subset=pid" in mounts
    created = mesh.metric("process_start_time_seconds")
    assert abs(created - time.clock_gettime(time.CLOCK_REALTIME)) < 60
    started_us = int(mesh.show("ExecMainStartTimestampMonotonic"))
    boot = time.clock_gettime(time.CLOCK_REALTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
    assert abs(created - (boot + started_us / 1e6)) < 1.0
    assert mesh.metric("process_resident_memory_bytes") > 10 << 20
    assert mesh.metric("process_open_fds") > 5


def test_a_reload_ends_good_or_bad_and_the_status_says_how(mesh):
    mesh.start()
    mesh.write(node={"id": "other"})
    mesh.machine.systemctl("reload", UNIT)
    mesh.wait_for("StatusText", "generation 2: ")
    mesh.write(frob=1)
    mesh.machine.systemctl("reload", UNIT)
    mesh.wait_for("StatusText", f"reload rejected: {CONFIG}:")
    assert "keeping generation 2" in mesh.show("StatusText")
    wait_for(lambda: mesh.show("ActiveState") == "active", "the end of the reload", 40)
    assert mesh.get()[0] == 200
    mesh.write()
    mesh.machine.systemctl("reload", UNIT)
    mesh.wait_for("StatusText", "generation 3: ")
    assert "rejected" not in mesh.show("StatusText")


def test_the_watchdog_replaces_a_process_that_stands_still(mesh):
    mesh.machine.drop_in(UNIT, "90-test.conf", "[Service]\nWatchdogSec=4s\n")
    mesh.start()
    before = mesh.main_pid()
    mesh.machine.signal(UNIT, "SIGSTOP")
    wait_for(lambda: mesh.main_pid() not in (0, before), "another process", 60)
    wait_for(lambda: mesh.show("ActiveState") == "active", "the unit", 60)
    assert mesh.get()[0] == 200
    assert int(mesh.show("NRestarts")) >= 1
    assert "Fatal Python error: Aborted" in mesh.machine.log()  # where it stood is in the journal


def test_the_watchdog_leaves_a_process_alone_that_is_well(mesh):
    mesh.machine.drop_in(UNIT, "90-test.conf", "[Service]\nWatchdogSec=4s\n")
    mesh.start()
    before = mesh.main_pid()
    wait_for(lambda: mesh.metric("process_start_time_seconds") + 10 < time.clock_gettime(time.CLOCK_REALTIME),
             "two times WatchdogSec", 60)
    assert mesh.main_pid() == before


def test_after_kill_9_it_serves_again_within_two_seconds_or_two_starts(mesh):
    mesh.start()
    before = mesh.main_pid()
    mesh.machine.signal(UNIT, "SIGKILL")
    began = time.monotonic()
    assert mesh.get()[0] == 200  # waits in the queue of the kept socket
    took_s = time.monotonic() - began
    wait_for(lambda: mesh.main_pid() not in (0, before), "another process", 40)
    wait_for(lambda: mesh.show("ActiveState") == "active", "the unit", 40)
    began_us, ended_us = mesh.show("ExecMainStartTimestampMonotonic"), mesh.show("ActiveEnterTimestampMonotonic")
    start_s = (int(ended_us) - int(began_us)) / 1e6
    assert took_s < max(2.0, 2 * start_s), f"serving after {took_s:.2f} s, the start took {start_s:.2f} s of them"


def test_a_restart_refuses_nobody_for_systemd_keeps_the_socket(mesh):
    mesh.start()
    before = mesh.main_pid()
    visitors = Visitors(mesh)
    wait_for(lambda: visitors.answers > 5, "visitors")
    mesh.machine.systemctl("restart", UNIT)
    wait_for(lambda: visitors.answers > 50, "visitors after the restart", 40)
    visitors.stop()
    assert mesh.main_pid() != before
    assert visitors.failures == []


def test_a_listener_that_has_gone_is_kept_no_longer(mesh):
    more = {**mesh.config["listeners"][0], "name": "more", "address": f"127.0.0.1:{free_port()}"}
    mesh.write(listeners=[mesh.config["listeners"][0], more])
    mesh.start()
    assert mesh.show("NFileDescriptorStore") == "2"
    mesh.write()
    mesh.machine.systemctl("reload", UNIT)
    mesh.wait_for("StatusText", "generation 2: ")
    assert mesh.show("NFileDescriptorStore") == "1"
    mesh.machine.systemctl("stop", UNIT)
    with pytest.raises(ConnectionRefusedError):
        mesh.get()


def test_stop_drains_and_ends_with_0(mesh):
    upstream = Upstream()
    mesh.config["clusters"][0]["endpoints"] = [{"address": f"127.0.0.1:{upstream.port}"}]
    mesh.write()
    mesh.machine.drop_in(UNIT, "90-test.conf", "[Service]\nTimeoutStopSec=3s\n")  # meshd asks for more
    mesh.start()
    answers = []
    thread = threading.Thread(target=lambda: answers.append(mesh.get("/slow")))
    thread.start()
    wait_for(lambda: upstream.waiting, "the request upstream")
    mesh.machine.systemctl("stop", "--no-block", UNIT)
    mesh.wait_for("StatusText", "draining: 1 connection left")
    began = time.monotonic()
    wait_for(lambda: time.monotonic() > began + 5, "more than TimeoutStopSec", 60)
    upstream.release.set()
    thread.join(30)
    assert answers == [(200, b"ok")]
    mesh.wait_for("ActiveState", "inactive")
    assert (mesh.show("Result"), mesh.show("ExecMainStatus")) == ("success", "0")
    upstream.close()


def test_socket_activation_takes_no_capability_and_keeps_the_queue_over_a_restart(mesh):
    spare = free_port()
    mesh.machine.write(f"{UNITS}/meshd.socket", SOCKET_UNIT.format(port=mesh.port, spare=spare))
    text = (ROOT / "contrib" / "systemd" / "drop-in" / "20-socket-activated.conf").read_text()
    mesh.machine.drop_in(UNIT, "20-socket-activated.conf", text)
    mesh.machine.systemctl("start", "meshd.socket")
    assert mesh.main_pid() == 0
    assert mesh.get() == (200, b"direct")  # which has started it
    assert int(mesh.status_of("CapEff"), 16) == int(mesh.status_of("CapBnd"), 16) == 0
    assert mesh.show("NFileDescriptorStore") == "0"
    assert f"socket 127.0.0.1:{spare} 'meshd.socket' from systemd: no listener has" in mesh.machine.log()
    visitors = Visitors(mesh)
    wait_for(lambda: visitors.answers > 5, "visitors")
    mesh.machine.systemctl("restart", UNIT)
    wait_for(lambda: visitors.answers > 50, "visitors after the restart", 40)
    visitors.stop()
    assert visitors.failures == []


def test_an_instance_has_a_folder_and_directories_of_its_own(mesh):
    mesh.machine.write("/etc/meshd/edge/mesh.yaml", json.dumps({
        **mesh.config, "admin": {"address": "unix:/run/meshd-edge/admin.sock"}}))
    mesh.machine.systemctl("start", "meshd@edge.service")
    assert mesh.get() == (200, b"direct")
    listed = mesh.machine.run("ls", "/run/meshd-edge", "/var/lib/meshd-edge", "/var/log/meshd-edge").stdout
    assert "admin.sock" in listed


def test_a_credential_is_a_file_of_the_configuration(mesh):
    mesh.machine.write("/etc/meshd/credentials/users", "ann:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n", 0o600)
    mesh.machine.drop_in(UNIT, "90-test.conf", "[Service]\nLoadCredential=users:/etc/meshd/credentials/users\n")
    filters = mesh.config["listeners"][0]["filters"]
    filters.insert(0, {"authentication": {"authenticators": [{"basic": {"file": "credential:users"}}]}})
    mesh.write()
    mesh.start()
    assert mesh.get()[0] == 401
    assert mesh.get(authorization="Basic YW5uOnBhc3N3b3Jk")[0] == 200


def test_systemd_follows_the_main_process_to_another(mesh):
    machine = mesh.machine
    machine.write("/opt/heir.py", HEIR)
    machine.write("/opt/heir", f"#!/bin/sh\nLD_LIBRARY_PATH={PYTHON}/lib exec {VENV}/bin/python /opt/heir.py\n", 0o755)
    machine.write(f"{UNITS}/heir.service", "[Service]\nType=notify\nNotifyAccess=main\nExecStart=/opt/heir\n")
    machine.systemctl("daemon-reload")
    machine.systemctl("start", "heir.service")
    old = machine.show("heir.service", "StatusText")
    group = "/sys/fs/cgroup/system.slice/heir.service/cgroup.procs"
    wait_for(lambda: old not in machine.run("cat", group).stdout.split(), "the first process to end")
    assert machine.run("cat", group).stdout.split() == [machine.show("heir.service", "MainPID")] != [old]
    assert machine.show("heir.service", "ActiveState") == "active"
    machine.clear("heir.service")
