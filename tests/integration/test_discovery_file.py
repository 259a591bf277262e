"""Endpoints of files in a real daemon, under a load that never asks twice: renames, broken files, files that go."""

import json
import os
import time

import pytest

from tests.integration.harness.daemon import Daemon, one_cluster
from tests.integration.harness.echo import Echo
from tests.integration.harness.loss import Loss
from tests.integration.process import wait_for

LOAD = {"rate": 200, "websockets": 4}
NOTICED_S = 2.0
"""Until a rename is in force: noticed by the kernel's word, read, debounced by 0.1 s; other work of the machine."""


@pytest.fixture
def echo():
    """Yield an upstream that is behind every address of 127.0.0.0/8."""
    with Echo("0.0.0.0") as made:
        yield made


class Folder:
    """A folder of Prometheus' files."""

    def __init__(self, path, echo):
        self.path, self.echo = path, echo

    def put(self, name, *hosts, text=None, **labels):
        """Replace a file as careful writers do."""
        targets = [f"{host}:{self.echo.port}" for host in hosts]
        new = self.path / f"{name}.new"
        new.write_text(text if text is not None else json.dumps([{"targets": targets, "labels": labels}]))
        os.replace(new, self.path / name)


@pytest.fixture
def folder(tmp_path, echo):
    """Yield the folder."""
    return Folder(tmp_path, echo)


def mesh(folder, **options):
    """Return a configuration whose cluster is found in the folder; only renames that are noticed are seen soon."""
    file = {"files": [f"{folder.path}/*.json"], "refresh_interval": "1h", "interval": "1h", **options}
    made = one_cluster(cluster={"discovery": {"file": file}})
    del made["clusters"][0]["endpoints"]
    return made


def hosts(daemon):
    """Return the hosts that the cluster has."""
    (cluster,) = daemon.json("/clusters")["clusters"]
    return sorted(row["address"].rpartition(":")[0] for row in cluster["endpoints"])


def arrives(daemon, *expected):
    """Wait for these hosts."""
    began = time.monotonic()
    wait_for(lambda: hosts(daemon) == list(expected), f"{expected}")
    assert time.monotonic() - began < NOTICED_S


def test_renames_are_noticed_and_lose_nothing(folder):
    folder.put("a.json", "127.0.0.2")
    with Daemon(mesh(folder)) as daemon, Loss(daemon.port, **LOAD) as load:
        assert hosts(daemon) == ["127.0.0.2"]
        load.warm()
        for number in range(10):
            folder.put("a.json", f"127.0.0.{number + 3}", f"127.0.0.{number + 4}")
            arrives(daemon, *sorted((f"127.0.0.{number + 3}", f"127.0.0.{number + 4}")))
        folder.put("b.json", "127.0.0.2")
        arrives(daemon, "127.0.0.12", "127.0.0.13", "127.0.0.2")
        load.warm()
        load.stop().assert_nothing_lost()
        daemon.settled()


def test_a_storm_of_renames_is_few_changes_and_loses_nothing(folder):
    folder.put("a.json", "127.0.0.2")
    with Daemon(mesh(folder)) as daemon, Loss(daemon.port, **LOAD) as load:
        load.warm()
        before, began = daemon.metric("meshd_discovery_updates_total"), time.monotonic()
        for number in range(1000):
            folder.put("a.json", f"127.0.1.{number % 200 + 1}")
        folder.put("a.json", "127.0.0.9")
        wait_for(lambda: hosts(daemon) == ["127.0.0.9"], "the last file")
        changes = daemon.metric("meshd_discovery_updates_total") - before
        assert changes / len(daemon.pids) <= 2 + (time.monotonic() - began) * 10  # debounced by 0.1 s
        load.stop().assert_nothing_lost()


def test_broken_empty_and_missing_files_lose_nothing(folder):
    folder.put("a.json", "127.0.0.2", team="x")
    folder.put("b.json", "127.0.0.3")
    with Daemon(mesh(folder)) as daemon, Loss(daemon.port, **LOAD) as load:
        load.warm()
        folder.put("a.json", text="[{")
        wait_for(lambda: daemon.metric("meshd_discovery_stale", cluster_name="up") == 1, "the stale gauge")
        daemon.logged("a.json: Expecting")
        assert hosts(daemon) == ["127.0.0.2", "127.0.0.3"]
        assert daemon.reload()["accepted"]
        assert hosts(daemon) == ["127.0.0.2", "127.0.0.3"]
        os.unlink(folder.path / "b.json")
        arrives(daemon, "127.0.0.2")
        folder.put("a.json", text="[]")
        wait_for(lambda: daemon.json("/discovery")["discoveries"][0]["state"] == "held", "the hold")
        load.warm()
        assert hosts(daemon) == ["127.0.0.2"]
        folder.put("a.json", "127.0.0.4")
        arrives(daemon, "127.0.0.4")
        load.stop().assert_nothing_lost()


def test_meshctl_shows_what_is_there(folder):
    folder.put("a.json", "127.0.0.2", __meshd_locality__="r1/z1", team="x")
    with Daemon(mesh(folder)) as daemon:
        code, out = daemon.ctl("discovery", "up", "-o", "json")
        (row,) = json.loads(out)["targets"]
        assert code == 0
        assert row["endpoint"] == {
            "address": f"127.0.0.2:{folder.echo.port}", "weight": 1, "priority": 0, "locality": "r1/z1",
            "labels": {"team": "x"}, "source": f"file {folder.path}/a.json"}
        code, out = daemon.ctl("discovery")
        assert out.splitlines()[1].split()[:3] == ["up", "file", "ok"]
