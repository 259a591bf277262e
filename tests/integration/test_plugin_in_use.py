"""A plugin that a real daemon uses is not uninstalled, and the answer says where it is used."""

import pytest

from tests.cli.stage import Stage
from tests.integration.harness.daemon import Daemon, one_cluster

ENVIRONMENT = {"PYTHONDONTWRITEBYTECODE": "1"}  # the environment's files are compared
SOURCE = """
from meshd.api import CONTINUE, PluginType, hookimpl


class Filter:
    def __init__(self, config, site):
        pass

    def on_request(self, exchange):
        return CONTINUE


class First:
    def __init__(self, config, site):
        self.update(())

    def update(self, endpoints):
        self._endpoints = endpoints

    def pick(self, exchange):
        return next(iter(self._endpoints), None)


@hookimpl
def meshd_plugins():
    return [PluginType(kind="http_filter", name="good", build=Filter),
            PluginType(kind="load_balancer", name="first", build=First)]
"""


@pytest.fixture
def stage():
    """An environment with the plugin."""
    made = Stage()
    made.unpack(made.plugin("meshd-good", "1.0", source=SOURCE))
    yield made
    made.close()


def test_what_a_daemon_uses_is_not_uninstalled(stage):
    used = one_cluster("127.0.0.1:9", cluster={"load_balancer": "first"})
    used["listeners"][0]["filters"].insert(0, {"good": None, "name": "better"})
    before = stage.files()
    with Daemon(used, environment=ENVIRONMENT | {"PYTHONPATH": str(stage.site)}) as daemon:
        code, _, err = stage.ctl("uninstall", "--yes", "meshd-good", admin=f"unix:{daemon.admin}")
        assert code == 1
        assert "the running configuration uses it: listener public: http_filter good as better\n" in err
        assert "the running configuration uses it: cluster up: load_balancer first\n" in err
        assert stage.files() == before
        rows = {row["name"]: row["configured"] for row in daemon.json("/plugins")["plugins"]}
        assert rows["router"] == [
            {"kind": "http_filter", "type": "router", "name": "router", "owner": "listener public"}]
