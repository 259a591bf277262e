"""The real daemon: started, asked, told by signals, and ended."""

import json
import os
import socket
import subprocess
import sys
import threading

import pytest

from tests.integration.process import Daemon, Load, Upstream, free_port, wait_for


@pytest.fixture
def upstream():
    made = Upstream()
    yield made
    made.close()


@pytest.fixture
def start(tmp_path, upstream):
    """Return a function that starts a daemon and waits until it serves."""
    made = []

    def begin(*arguments, is_awaited=True, **values):
        daemon = Daemon(str(tmp_path), upstream.port, *arguments, **values)
        made.append(daemon)
        return daemon.ready() if is_awaited else daemon

    yield begin
    for daemon in made:
        daemon.close()


def is_refused(port):
    """Say whether nobody listens on a port of loopback."""
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except ConnectionRefusedError:
        return True
    return False


def ctl(daemon, *arguments):
    """Return (exit code, stdout, stderr) of meshctl against a daemon."""
    run = subprocess.run([sys.executable, "-m", "meshd.cli.ctl", "--admin", f"127.0.0.1:{daemon.admin}", *arguments],
                         capture_output=True, text=True, timeout=60)
    return run.returncode, run.stdout, run.stderr


def test_serves_and_ends_with_0(start):
    daemon = start()
    assert daemon.ask("GET", "/direct") == (200, b"one")
    assert daemon.ask("GET", "/x") == (200, b"ok")
    daemon.signal("TERM")
    assert daemon.ended() == 0
    assert "Traceback" not in daemon.stderr()


def test_taken_port_is_one_line_and_exit_1(start):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        daemon = start(is_awaited=False, port=port)
        assert daemon.ended() == 1
    assert f"meshd: listener public: 127.0.0.1:{port}: cannot bind: address already in use\n" in daemon.stderr()
    assert "Traceback" not in daemon.stderr()


def test_taken_admin_port_is_one_line_and_exit_1(start):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        daemon = start(is_awaited=False, admin=port)
        assert daemon.ended() == 1
    assert f"meshd: admin: 127.0.0.1:{port}: cannot bind: address already in use\n" in daemon.stderr()


def test_admin_address_of_other_machines_is_refused(start):
    daemon = start(is_awaited=False)
    daemon.close()
    daemon.write(f'admin: {{address: "0.0.0.0:{free_port()}"}}\n')
    run = subprocess.run([sys.executable, "-m", "meshd.cli.daemon", "-c", daemon.path], capture_output=True, text=True,
                         timeout=30)
    assert run.returncode == 78
    assert "loopback" in run.stderr
    assert "Traceback" not in run.stderr


def test_log_as_json_is_json_on_every_line(start):
    daemon = start("--log-format", "json")
    daemon.signal("TERM")
    assert daemon.ended() == 0
    lines = [json.loads(line) for line in daemon.stderr().splitlines()]
    assert any("ready" in line["message"] for line in lines)


def test_hup_under_load_loses_nothing_good_or_bad(start):
    daemon = start()
    load = Load(daemon.port)
    good = open(daemon.path).read()
    daemon.write("listeners: 3\n")
    daemon.signal("HUP")
    refused = wait_for(lambda: daemon.info()["last_reload"], "the outcome")
    assert not refused["accepted"]
    assert f"{daemon.path}:1:12" in refused["summary"]
    assert daemon.info()["generation"] == 1
    assert f"{daemon.path}:1:12" in daemon.stderr()
    assert b"meshd_config_last_reload_successful 0" in daemon.ask("GET", "/metrics", daemon.admin)[1]
    assert f"{daemon.path}:1:12" in ctl(daemon, "status")[1]
    daemon.write(good.replace('"one"', '"two"'))
    daemon.signal("HUP")
    wait_for(lambda: daemon.info()["generation"] == 2, "generation 2")
    assert daemon.ask("GET", "/direct") == (200, b"two")
    load.stop()
    assert load.failures == []
    assert load.answers > 0


def test_meshctl_reload_waits_and_tells(start):
    daemon = start()
    daemon.write(word="two")
    code, out, _ = ctl(daemon, "reload")
    assert code == 0
    assert "web-1   generation 1 -> 2   ~1 " in out.replace("+0 ", "")
    assert daemon.ask("GET", "/direct") == (200, b"two")
    daemon.write("frob: 1\n")
    code, out, err = ctl(daemon, "reload")
    assert code == 1
    assert f"kept generation 2   {daemon.path}:1:1 error[MSH0104]" in out
    assert "keeps serving its previous configuration" in err


def test_hups_during_a_reload_become_one_more(start):
    daemon = start()
    for _ in range(20):
        daemon.signal("HUP")
    wait_for(lambda: daemon.info()["generation"] >= 2, "a reload")
    codes = [ctl(daemon, "reload", "-o", "json")[0]]
    assert codes == [0]
    assert daemon.info()["generation"] <= 5


def test_term_lets_requests_finish_and_refuses_new_connections(start, upstream):
    daemon = start()
    answers = []
    thread = threading.Thread(target=lambda: answers.append(daemon.ask("GET", "/slow")))
    thread.start()
    wait_for(lambda: upstream.waiting == 1, "the request at the upstream")
    daemon.signal("TERM")
    wait_for(lambda: not daemon.is_ready(), "readiness to fail")
    assert daemon.ask("GET", "/ready", daemon.admin) == (503, b"DRAINING\n")
    wait_for(lambda: is_refused(daemon.port), "the listener to stop")
    upstream.release.set()
    thread.join()
    assert answers == [(200, b"ok")]
    assert daemon.ended() == 0


def test_term_under_load_loses_no_request_within_the_grace(start):
    daemon = start(grace="30s")
    load = Load(daemon.port)
    wait_for(lambda: load.answers > 50, "some load")
    daemon.signal("TERM")
    wait_for(lambda: not daemon.is_ready(), "readiness to fail")
    before = load.answers
    wait_for(lambda: load.answers > before + 50, "more answers")
    assert daemon.ask("GET", "/direct") == (200, b"one")
    load.stop()
    assert load.failures == []
    daemon.signal("TERM")
    assert daemon.ended() == 0


def test_second_term_cuts(start, upstream):
    daemon = start()
    failed = []

    def ask():
        try:
            failed.append(daemon.ask("GET", "/slow"))
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    wait_for(lambda: upstream.waiting == 1, "the request at the upstream")
    daemon.signal("TERM")
    wait_for(lambda: not daemon.is_ready(), "readiness to fail")
    daemon.signal("TERM")
    assert daemon.ended(5) == 0
    thread.join()
    assert isinstance(failed[0], Exception)


def test_drain_deadline_cuts(start, upstream):
    daemon = start(deadline="300ms")
    thread = threading.Thread(target=lambda: pytest.raises(Exception, daemon.ask, "GET", "/slow"))
    thread.start()
    wait_for(lambda: upstream.waiting == 1, "the request at the upstream")
    daemon.signal("TERM")
    assert daemon.ended(5) == 0
    thread.join()


def test_keep_alive_client_is_told_to_close_while_draining(start):
    daemon = start(grace="0s", deadline="5s")
    with socket.create_connection(("127.0.0.1", daemon.port)) as client:
        client.sendall(b"GET /direct HTTP/1.1\r\nhost: a\r\n\r\n")
        assert b"connection: close" not in client.recv(65536)
        daemon.signal("TERM")
        daemon.logged("draining")
        wait_for(lambda: not daemon.is_ready(), "readiness to fail")
        client.sendall(b"GET /direct HTTP/1.1\r\nhost: a\r\n\r\n")
        assert b"connection: close" in client.recv(65536)
        assert client.recv(65536) == b""
    assert daemon.ended() == 0


def test_usr1_opens_the_access_log_anew(start):
    daemon = start()
    daemon.ask("GET", "/direct")
    wait_for(lambda: os.path.exists(daemon.log_path) and os.path.getsize(daemon.log_path), "a line")
    os.rename(daemon.log_path, daemon.log_path + ".1")
    daemon.signal("USR1")
    daemon.logged("SIGUSR1")
    wait_for(lambda: os.path.exists(daemon.log_path), "the new file")
    daemon.ask("GET", "/direct")
    wait_for(lambda: os.path.getsize(daemon.log_path), "a line in the new file")


def test_usr2_dumps_the_state_to_the_log(start):
    daemon = start()
    daemon.signal("USR2")
    for text in ("dump: state LIVE", f"dump: listener public 127.0.0.1:{daemon.port}",
                 "dump: cluster up: endpoints 1/1 healthy", "dump: memory"):
        daemon.logged(text)


def test_quitquitquit_ends_as_term_does(start):
    daemon = start()
    assert daemon.ask("POST", "/quitquitquit", daemon.admin)[0] == 200
    assert daemon.ended() == 0


def test_failed_health_check_keeps_serving(start):
    daemon = start()
    daemon.ask("POST", "/healthcheck/fail", daemon.admin)
    assert daemon.ask("GET", "/ready", daemon.admin)[0] == 503
    assert daemon.ask("GET", "/direct")[0] == 200
    daemon.ask("POST", "/healthcheck/ok", daemon.admin)
    assert daemon.is_ready()


def test_drain_listeners_refuses_new_connections_and_lives(start):
    daemon = start()
    assert daemon.ask("POST", "/drain_listeners", daemon.admin)[0] == 200
    with pytest.raises(ConnectionRefusedError):
        daemon.ask("GET", "/direct")
    assert not daemon.is_ready()
    assert daemon.ask("GET", "/healthz", daemon.admin)[0] == 200
    with open(daemon.path) as file:
        text = file.read()
    assert "name: public" in text
    daemon.write(text.replace("name: public", "name: renamed"))
    assert ctl(daemon, "reload")[0] == 0
    with pytest.raises(ConnectionRefusedError):
        daemon.ask("GET", "/direct")


def test_admin_moves_with_its_address(start):
    daemon = start()
    port = free_port()
    daemon.write(admin=port)
    ctl(daemon, "reload")
    wait_for(lambda: _answers(daemon, port), "the new admin address")
    daemon.admin = port
    assert daemon.info()["generation"] == 2


def _answers(daemon, port):
    try:
        return daemon.ask("GET", "/healthz", port)[0] == 200
    except OSError:
        return False


def test_origins_of_the_values_in_force(start):
    daemon = start()
    found = json.loads(daemon.ask("GET", "/config_dump?origins=1", daemon.admin)[1])["origins"]
    assert found["node.id"].startswith(f"{daemon.path}:")
    assert found["node.role"] == "default of native"
    daemon.write(word="two")
    found = json.loads(daemon.ask("GET", "/config_dump?origins=1", daemon.admin)[1])["origins"]
    assert "have changed" in found["error"]


def test_term_during_a_reload_opens_no_listener_anew(start, upstream):
    daemon = start(deadline="5s")
    thread = threading.Thread(target=daemon.ask, args=("GET", "/slow"))
    thread.start()
    wait_for(lambda: upstream.waiting == 1, "the request at the upstream")
    daemon.write(port=free_port())
    daemon.signal("HUP")
    daemon.logged("signal SIGHUP")
    daemon.signal("TERM")
    wait_for(lambda: daemon.info()["generation"] == 2, "the reload")
    with pytest.raises(ConnectionRefusedError):
        daemon.ask("GET", "/direct", daemon.values["port"])
    upstream.release.set()
    thread.join()
    assert daemon.ended() == 0


def test_term_at_once_after_the_start_ends_with_0(start):
    daemon = start(is_awaited=False)
    wait_for(lambda: daemon.stderr(), "a first line")
    daemon.signal("TERM")
    assert daemon.ended() == 0
    assert "Traceback" not in daemon.stderr()


def test_large_metrics_and_dumps_do_not_stop_traffic(start):
    daemon = start()
    load = Load(daemon.port, count=2)
    for _ in range(5):
        for path in ("/metrics", "/stats?format=json", "/config_dump", "/clusters?format=json"):
            assert daemon.ask("GET", path, daemon.admin)[0] == 200
    load.stop()
    assert load.failures == []


PAGE = '''
from meshd.api import IAdminPage, PluginType, hookimpl
from zope.interface import implementer


@implementer(IAdminPage)
class Uptime:
    path = "/greeting"
    methods = ("GET",)

    def __init__(self, site):
        self.node, self.log = site.node, site.log

    def start(self):
        self.log.info("page started")

    def stop(self):
        self.log.info("page stopped")

    def render(self, query):
        return 200, "text/plain", f"hello from {self.node.id}".encode()


@hookimpl
def meshd_plugins():
    return [PluginType(kind="admin_page", name="greeting", build=lambda config, site: Uptime(site), doc="Greets.")]
'''


def test_page_of_a_one_file_plugin_is_served_and_listed(start, tmp_path):
    folder = tmp_path / "plugins"
    folder.mkdir(mode=0o755)
    (folder / "greeting.py").write_text(PAGE)
    os.chmod(folder / "greeting.py", 0o644)
    daemon = start(more=f"plugins: {{dir: {folder}}}\n")
    for _ in range(2):
        assert daemon.ask("GET", "/greeting", daemon.admin) == (200, b"hello from web-1")
        assert b"/greeting" in daemon.ask("GET", "/", daemon.admin)[1]
        assert ctl(daemon, "reload")[0] == 0
    assert "greeting" in ctl(daemon, "plugins", "list")[1]
    assert daemon.stderr().count("page started") == 3
    wait_for(lambda: daemon.stderr().count("page stopped") == 2, "the pages of the old runtimes to stop")
