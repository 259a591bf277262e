"""The filter fault in a real daemon: delays and aborts as a client sees them, slow answers with bounded memory."""

import socket
import threading
import time

import pytest

from tests.integration.harness.client import ask, at_once, dial, get, read_head, read_to_end, timed
from tests.integration.harness.daemon import Daemon, one_cluster
from tests.integration.harness.program import Program
from tests.integration.process import wait_for

ALL = {"numerator": 100}


@pytest.fixture(scope="module")
def upstream():
    """An upstream that answers ``/big?N`` with N bytes, and all else with ok."""
    with Program() as program:
        yield program


def faulty(upstream, fault, listener=(), route=()):
    """Return a configuration with this fault filter before the router."""
    made = one_cluster(upstream.address, route=route, listener=dict(listener))
    made["listeners"][0]["filters"].insert(0, {"fault": fault})
    return made


def count(daemon, name):
    """Return a number of the filter's."""
    return daemon.metric(f"envoy_http_fault_{name}")


def test_a_delay_then_an_abort_with_flags_details_and_numbers(upstream):
    fault = {"delay": {"fixed_delay": "300ms", "percentage": ALL},
             "abort": {"http_status": 418, "percentage": ALL}}
    with Daemon(faulty(upstream, fault)) as daemon:
        (status, _, body), seconds = timed(ask, daemon.port)
        assert (status, body) == (418, b"fault filter abort")
        assert 0.3 <= seconds < 2
        row = daemon.access(status=418)
        assert (row["flags"], row["details"], row["attempts"]) == ("DI,FI", "fault_filter_abort", 0)
        assert (count(daemon, "delays_injected"), count(daemon, "aborts_injected")) == (1, 1)
        assert count(daemon, "active_faults") == 0


def test_many_delays_at_once_hold_no_thread_and_do_not_add_up(upstream):
    fault = {"delay": {"fixed_delay": "3s", "percentage": ALL}}
    with Daemon(faulty(upstream, fault)) as daemon:
        ask(daemon.port)
        before = threads(daemon)
        socks = [dial(daemon.port, get("/")) for _ in range(300)]
        wait_for(lambda: count(daemon, "active_faults") == 300, "300 delayed requests")
        assert threads(daemon) == before
        begin = time.monotonic()
        assert all(b" 200 " in read_head(sock) for sock in socks)
        assert time.monotonic() - begin < 10
        for sock in socks:
            sock.close()
        wait_for(lambda: count(daemon, "active_faults") == 0, "the end of the delays")


def threads(daemon):
    """Return how many threads the daemon has."""
    total = 0
    for pid in daemon.pids:
        with open(f"/proc/{pid}/status") as file:
            total += int(file.read().partition("Threads:")[2].split()[0])
    return total


def test_a_delay_ends_when_the_client_goes(upstream):
    fault = {"delay": {"fixed_delay": "1h", "percentage": ALL}}
    with Daemon(faulty(upstream, fault)) as daemon:
        sock = dial(daemon.port, get("/"))
        wait_for(lambda: count(daemon, "active_faults") == 1, "a delayed request")
        sock.close()
        wait_for(lambda: count(daemon, "active_faults") == 0, "the end of the delay")
        row = daemon.access(details="downstream_remote_disconnect")
        assert row["flags"] in ("DI,DC", "DC,DI")
        daemon.settled()


def test_a_route_has_its_own_faults_and_another_has_none(upstream):
    fault = {"abort": {"http_status": 503, "percentage": ALL}}
    made = faulty(upstream, fault)
    own = {"abort": {"http_status": 404, "percentage": ALL}}
    made["listeners"][0]["filters"][-1]["router"]["virtual_hosts"][0]["routes"] = [
        {"match": {"path": "/own"}, "cluster": "up", "filters": {"fault": {"fault": own}}},
        {"match": {"path": "/none"}, "cluster": "up", "disabled_filters": ["fault"]},
        {"match": {"prefix": "/"}, "cluster": "up"},
    ]
    with Daemon(made) as daemon:
        assert [ask(daemon.port, path)[0] for path in ("/own", "/none", "/")] == [404, 200, 503]


def test_header_control_is_for_trusted_clients_where_it_is_allowed(upstream):
    fault = {"abort": {"header_abort": True, "percentage": ALL}, "trusted_sources": ["10.0.0.0/8"]}
    listener = {"http": {"use_remote_address": False, "xff_num_trusted_hops": 0}}
    wish = {"x-envoy-fault-abort-request": "451"}
    with Daemon(faulty(upstream, fault, listener)) as daemon:
        trusted, stranger = {"x-forwarded-for": "10.1.2.3"}, {"x-forwarded-for": "203.0.113.9"}
        assert ask(daemon.port, headers={**wish, **trusted})[0] == 451
        assert ask(daemon.port, headers={**wish, **stranger})[0] == 200
        assert ask(daemon.port, headers=trusted)[0] == 200
    with Daemon(faulty(upstream, {"abort": {"http_status": 503, "percentage": {"numerator": 0}}}, listener)) as daemon:
        assert ask(daemon.port, headers={**wish, **trusted})[0] == 200


def test_only_what_leads_to_a_cluster(upstream):
    fault = {"abort": {"http_status": 503, "percentage": ALL}, "upstream_cluster": "up"}
    made = faulty(upstream, fault)
    made["clusters"].append({"name": "other", "endpoints": [{"address": upstream.address}]})
    made["listeners"][0]["filters"][-1]["router"]["virtual_hosts"][0]["routes"].insert(
        0, {"match": {"path": "/other"}, "cluster": "other"})
    with Daemon(made) as daemon:
        assert [ask(daemon.port, path)[0] for path in ("/other", "/")] == [200, 503]


def test_an_answer_leaves_at_the_rate_and_whole(upstream):
    fault = {"response_rate_limit": {"limit_kbps": 256, "percentage": ALL}}
    with Daemon(faulty(upstream, fault)) as daemon:
        (status, headers, body), seconds = timed(ask, daemon.port, "/big?262144")
        assert (status, len(body), body.strip(b"x")) == (200, 262144, b"")
        assert 0.9 <= seconds < 3
        (_, _, body), seconds = timed(ask, daemon.port, "/")
        assert body == b"ok" and seconds < 0.9
        assert count(daemon, "response_rl_injected") == 2
        daemon.settled()


def test_a_slow_answer_is_not_gathered_in_memory(upstream):
    fault = {"response_rate_limit": {"limit_kbps": 512, "percentage": ALL}}
    with Daemon(faulty(upstream, fault)) as daemon:
        ask(daemon.port, "/big?1000")
        before = daemon.resident_bytes()
        socks = [dial(daemon.port, get("/big?1000000000")) for _ in range(4)]
        wait_for(lambda: count(daemon, "response_rl_injected") == 5, "all answers")
        until = time.monotonic() + 2
        total = 0
        while time.monotonic() < until:
            for sock in socks:
                total += len(sock.recv(65536))
        assert total <= 4 * 512 * 1024 * 3.5
        assert daemon.resident_bytes() - before < 32 * 1024 * 1024
        for sock in socks:
            sock.close()
        wait_for(lambda: count(daemon, "active_faults") == 0, "the end of the answers")
        daemon.settled()


def test_a_client_that_is_slower_than_the_rate_keeps_the_upstream_waiting(upstream):
    fault = {"response_rate_limit": {"limit_kbps": 100_000, "percentage": ALL}}
    with Daemon(faulty(upstream, fault)) as daemon:
        ask(daemon.port, "/big?1000")
        before = daemon.resident_bytes()
        sock = dial(daemon.port, get("/big?300000000"))
        until = time.monotonic() + 2
        while time.monotonic() < until:
            assert daemon.resident_bytes() - before < 32 * 1024 * 1024
        total = 0
        while total < 50_000_000:
            data = sock.recv(65536)
            assert data
            total += len(data)
        assert daemon.resident_bytes() - before < 32 * 1024 * 1024
        sock.close()
        daemon.settled()


def test_an_upstream_that_cuts_its_answer_is_a_cut_answer(upstream):
    fault = {"response_rate_limit": {"limit_kbps": 64, "percentage": ALL}}
    listening = socket.create_server(("127.0.0.1", 0))

    def serve():
        sock, _ = listening.accept()
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + b"x" * 20000)
        time.sleep(0.2)
        sock.close()

    threading.Thread(target=serve, daemon=True).start()
    up = type("Up", (), {"address": f"127.0.0.1:{listening.getsockname()[1]}"})
    with Daemon(faulty(up, fault)) as daemon:
        data, _ = read_to_end(dial(daemon.port, get("/")))
        assert b" 200 " in data and len(data) < 21000
        wait_for(lambda: count(daemon, "active_faults") == 0, "the end of the answer")
    listening.close()


def test_explain_tells_the_chances(upstream):
    fault = {"abort": {"http_status": 503, "percentage": {"numerator": 1, "denominator": "MILLION"}}}
    with Daemon(faulty(upstream, fault)) as daemon:
        code, out = daemon.ctl("explain", "GET", "http://a/")
        assert code == 0
        assert "aborts 0.0001 % of requests with status 503" in out


def test_faults_are_injected_while_the_configuration_is_replaced(upstream):
    made = faulty(upstream, {"delay": {"fixed_delay": "500ms", "percentage": ALL}, "max_active_faults": 100})
    with Daemon(made) as daemon:
        results = []
        load = threading.Thread(target=lambda: results.extend(at_once(20, lambda: ask(daemon.port)[0], workers=20)))
        load.start()
        wait_for(lambda: count(daemon, "active_faults") == 20, "20 delayed requests")
        made["listeners"][0]["filters"][0] = {"fault": {"abort": {"http_status": 418, "percentage": ALL}}}
        daemon.write(made)
        assert daemon.reload()["accepted"]
        assert ask(daemon.port)[0] == 418
        load.join(10)
        assert results == [200] * 20
        wait_for(lambda: count(daemon, "active_faults") == 0, "the end of the delays")
