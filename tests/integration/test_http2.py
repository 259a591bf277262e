"""HTTP/2 before a real daemon: curl, nghttp, h2load, over TLS and by prior knowledge; reloads and ends under load."""

import re
import shutil
import subprocess

import pytest

from meshd.http.h2.settings import Settings
from tests.h2.cases import SERVER
from tests.h2.peers import backend, judge, meshd
from tests.integration.harness.app import digest, pattern
from tests.integration.harness.daemon import MODE, Daemon, document, one_cluster
from tests.integration.harness.h2 import H2Client, H2Load, request
from tests.integration.harness.tls import Mesh
from tests.integration.harness.upstream import Upstream, reply
from tests.integration.process import wait_for

WINDOW = 65535
FIELDS = {"path": "%REQ(:PATH)%", "protocol": "%PROTOCOL%", "flags": "%RESPONSE_FLAGS%", "status": "%RESPONSE_CODE%"}


def answer(head, body):
    """/big?N gives N bytes, /sum the digest of what came, /proto what was forwarded, all else its target."""
    target = head.split(b" ", 2)[1]
    if target.startswith(b"/big?"):
        return reply(pattern(int(target[5:])))
    if target == b"/sum":
        return reply(digest(body).encode())
    if target == b"/proto":
        return reply(re.search(rb"x-forwarded-proto: (\w+)", head)[1])
    return reply(b"ok " + target)


def program(name, *arguments, data=None):
    """Return what a program says; skip where there is none."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    done = subprocess.run([path, *map(str, arguments)], input=data, capture_output=True, timeout=60)
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    return done.stdout


@pytest.fixture(scope="module", params=("plain", "tls"))
def place(request):
    """Yield (daemon, beginning of URLs, curl's arguments, h2load's)."""
    with Upstream.saying(answer) as upstream, Mesh() as mesh:
        if request.param == "plain":
            settings, scheme, arguments = {}, "http", ["--http2-prior-knowledge"]
        else:
            settings = {"listener": {"tls": mesh.serving()}, "secrets": mesh.settings()}
            scheme, arguments = "https", ["--http2", "-k"]
        with Daemon(one_cluster(upstream.address, **settings)) as daemon:
            yield daemon, f"{scheme}://localhost:{daemon.port}", arguments
            daemon.settled()


def curl(place, *arguments, data=None):
    """Run curl with HTTP/2."""
    return program("curl", "-sS", "--max-time", 30, *place[2], *arguments, data=data)


def test_curl_gets_and_posts(place):
    url = place[1]
    assert curl(place, "-w", "|%{http_version} %{http_code}", f"{url}/a?b") == b"ok /a?b|2 200"
    assert curl(place, f"{url}/proto").decode() == url.partition(":")[0]
    large = pattern(3_000_001)
    assert curl(place, "--data-binary", "@-", f"{url}/sum", data=large).decode() == digest(large)
    assert curl(place, "-T", "-", "-X", "POST", f"{url}/sum", data=large).decode() == digest(large)
    assert digest(curl(place, f"{url}/big?3000001")) == digest(large)
    assert curl(place, "-I", f"{url}/").startswith(b"HTTP/2 200")


def test_nghttp_gets_many(place):
    _, url, _ = place
    said = program("nghttp", "-n", "-s", "-m", 20, f"{url}/x")
    assert said.count(b" 200 ") == 20


def test_h2load_loses_nothing(place):
    _, url, _ = place
    said = program("h2load", "-c", 8, "-m", 100, "-n", 4000, f"{url}/load").decode()
    assert "4000 succeeded, 0 failed, 0 errored, 0 timeout" in said


def test_http_1_1_on_the_same_port(place):
    assert curl((None, None, ["-k", "--http1.1"]), f"{place[1]}/x") == b"ok /x"


def test_the_upgrade_to_h2c_is_not_taken(place):
    if place[1].startswith("https"):
        pytest.skip("only without TLS")
    said = curl((None, None, ["--http2"]), "-w", "|%{http_version}", f"{place[1]}/x")
    assert said == b"ok /x|1.1"


@pytest.mark.parametrize("engine", ("fast", "pure"))
def test_conformance(engine):
    """The cases that tests/h2 has for sessions in memory."""
    with backend() as back, meshd(back, engine) as address:
        outcomes = judge(address, SERVER, is_ours=True)
        assert {name: said for name, said in outcomes.items() if said} == {}


def test_access_log_and_metrics(tmp_path):
    path = tmp_path / "log"
    log = {"access_log": {"path": str(path), "json": FIELDS, "buffer": {"flush_interval": "10ms"}}}
    sinks = ["prometheus", log]
    with Upstream.saying(answer) as upstream, Daemon(one_cluster(upstream.address, telemetry=sinks)) as one:
        with H2Client(one.port) as client:
            assert client.ask("/x").body == b"ok /x"
            assert one.metric("envoy_http_downstream_cx_http2_active") == 1
            stream = client.begin(request("/y", "POST"), False)
            wait_for(lambda: one.metric("envoy_http2_streams_active") == 1, "the stream")
            client.session.reset(stream)
            client.flush()
            wait_for(lambda: path.exists() and '"DR"' in path.read_text(), "the line")
        assert '"protocol":"HTTP/2"' in path.read_text().replace('": "', '":"')
        assert one.metric("envoy_http_downstream_rq_http2_total") == 2
        assert one.metric("envoy_http2_rx_reset") == 1
        wait_for(lambda: not one.metric("envoy_http_downstream_cx_http2_active"), "its end")


def same_port(daemon, configuration):
    """Return a configuration that listens where the daemon does."""
    configuration["listeners"][0]["address"] = f"127.0.0.1:{daemon.port}"
    return configuration


def test_reloads_under_load_lose_nothing_and_keep_connections():
    def saying(word):
        return document([{"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": word}}], [])
    with Daemon(saying("0")) as daemon:
        load = H2Load(daemon.port)
        load.warm()
        for number in range(1, 4):
            daemon.write(same_port(daemon, saying(str(number))))
            assert daemon.reload()["accepted"]
            load.warm()
        load.stop()
        assert load.lost == []
        assert set(load.bodies) == {b"0", b"1", b"2", b"3"}
        assert load.opened == 2
        daemon.settled()


@pytest.mark.parametrize("workers", (1, 2))
def test_term_under_load_loses_nothing(workers):
    with Upstream.saying(answer) as upstream, Daemon(one_cluster(upstream.address, workers=workers)) as daemon:
        load = H2Load(daemon.port, count=3)
        load.warm()
        daemon.signal("TERM")
        assert daemon.process.wait(20) == 0
        load.stop()
        assert load.lost == []
        assert load.opened <= 3 * workers  # to the one that stops listening last


@pytest.mark.skipif(MODE == "workers", reason="looks at one process")
@pytest.mark.parametrize("is_reading", (True, False), ids=("window", "socket"))
def test_a_reader_that_stops_holds_memory_flat(is_reading):
    """Either it gives no credit, or it has a large window and reads nothing from its socket."""

    size = 50_000_000
    wide = Settings(initial_stream_window_size=2**31 - 1, initial_connection_window_size=2**31 - 1)
    with Upstream.saying(answer) as upstream, Daemon(one_cluster(upstream.address, route={"timeout": "0s"})) as daemon:
        with H2Client(daemon.port) as client:
            client.ask("/big?3000000")
        before = daemon.resident_bytes()
        settings = Settings(initial_stream_window_size=WINDOW) if is_reading else wide
        with H2Client(daemon.port, settings, keeps=False, consumes=False, receive_bytes=65536) as client:
            streams = [client.begin(request(f"/big?{size}")) for _ in range(8)]
            if is_reading:
                while any(client.answers[stream].size < WINDOW for stream in streams):
                    assert client.read()
            with H2Client(daemon.port) as other:
                assert other.ask("/x").status == 200
            assert daemon.resident_bytes() - before < 12 << 20
            client.consumes = True
            for stream in streams:
                client.session.consume(stream, client.answers[stream].size)
            client.flush()
            client.wait(*streams)
            assert [client.answers[stream].size for stream in streams] == [size] * 8
            assert daemon.resident_bytes() - before < 16 << 20
        daemon.settled()
