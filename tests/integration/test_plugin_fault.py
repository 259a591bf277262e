"""A plugin that raises or blocks costs only its own requests, and is named."""

import pytest

from tests.integration.process import Daemon, Upstream, wait_for

PLUGIN = '''
import time
from meshd.api import CONTINUE, PluginType, hookimpl

class Bad:
    def __init__(self, config, site):
        pass

    def on_request(self, exchange):
        if exchange.request.path == b"/raise":
            raise RuntimeError("oops")
        if exchange.request.path == b"/block":
            time.sleep(0.4)
        return CONTINUE

    def start(self):
        if {fails}:
            raise RuntimeError("no luck")

@hookimpl
def meshd_plugins():
    return [PluginType(kind="http_filter", name="bad", build=Bad)]
'''

CONFIG = """
admin: {{address: "127.0.0.1:{admin}"}}
plugins: {{dir: {folder}/plugins, watchdog: {{strikes: 2}}}}
listeners:
  - name: public
    address: 127.0.0.1:{port}
    filters:
      - bad: {{}}
        on_error: {on_error}
      - router:
          virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{{match: {{prefix: /}}, direct_response: {{status: 200, body: ok}}}}]
"""


@pytest.fixture
def start(tmp_path):
    """Return a function that starts a daemon with the bad plugin."""
    folder = tmp_path / "plugins"
    folder.mkdir(mode=0o755)
    path = folder / "bad.py"
    made = []

    def begin(on_error, fails=False):
        path.write_text(PLUGIN.format(fails=fails))
        path.chmod(0o644)
        upstream = Upstream()
        daemon = Faulty(str(tmp_path), upstream.port, on_error=on_error)
        made.extend((daemon, upstream))
        return daemon if fails else daemon.ready()

    yield begin
    for one in made:
        one.close()


class Faulty(Daemon):
    """A daemon whose listener has the bad plugin."""

    def write(self, text=None, **values):
        super().write(CONFIG.format(**self.values, folder=self.folder) if text is None else text, **values)

    def metric(self, line):
        return line.encode() in self.ask("GET", "/metrics", self.admin)[1]


def test_a_fail_closed_plugin_that_raises_costs_that_request_alone(start):
    daemon = start("fail-closed")
    assert [daemon.ask("GET", path)[0] for path in ("/", "/raise", "/raise", "/")] == [200, 500, 500, 200]
    assert daemon.metric('meshd_plugin_errors_total{plugin="bad",hook="on_request"} 2')
    assert daemon.stderr().count("Traceback") == 1
    assert "plugin bad (bad of file bad.py): on_request: RuntimeError: oops" in daemon.stderr()


def test_a_fail_open_plugin_that_raises_is_passed(start):
    daemon = start("fail-open")
    assert [daemon.ask("GET", path)[0] for path in ("/raise", "/")] == [200, 200]
    assert daemon.metric('meshd_plugin_errors_total{plugin="bad",hook="on_request"} 1')


def test_a_plugin_that_blocks_is_named_and_then_called_no_more_until_a_reload(start):
    daemon = start("fail-closed")
    assert daemon.ask("GET", "/block")[0] == 200
    daemon.logged("blocked by plugin 'bad' of file bad.py: bad.py:13 on_request")
    wait_for(lambda: daemon.metric('meshd_reactor_late_total{plugin="bad"} 1'), "the count")
    assert daemon.ask("GET", "/block")[0] == 200
    daemon.logged("called no more: it blocked the reactor 2 times in ten minutes: its requests are refused")
    assert daemon.ask("GET", "/") == (503, b"a plugin is out of order\n")
    daemon.signal("HUP")
    wait_for(lambda: daemon.info()["generation"] == 2, "the reload")
    assert daemon.ask("GET", "/")[0] == 200


def test_a_plugin_that_cannot_start_ends_the_daemon_with_78_and_one_line(start):
    daemon = start("fail-closed", fails=True)
    assert daemon.ended() == 78
    assert "meshd: http_filter bad: start: RuntimeError: no luck\n" in daemon.stderr()
    assert "Traceback" not in daemon.stderr()
