"""A new generation takes over the sockets: nothing is lost, and the first process stays for who started it."""

import json
import os
import socket
import tempfile

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
