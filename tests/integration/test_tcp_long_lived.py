"""Long-lived TCP connections through two daemons with mutual TLS between them outlive reloads of both.

``MESHD_TEST_CONNECTIONS=5000`` asks for so many, and for 20 reloads of each. It prints what they cost.
"""

import contextlib
import os
import resource
import selectors
import socket
import threading
import time

import pytest

from tests.integration.harness.daemon import MODE, Daemon
from tests.integration.harness.tls import Mesh
from tests.integration.process import free_port, wait_for

WHOLE = "MESHD_TEST_CONNECTIONS"
CONNECTIONS, RELOADS = (int(os.environ[WHOLE]), 20) if WHOLE in os.environ else (300, 3)
SPARE_FDS = 500
IDLE_TLS_BYTES = 40 * 1024
"""What an idle connection may cost in one daemon, that is two sockets, one of them with TLS."""


class Echoes:
    """Sends back what comes, on thousands of connections in one thread. ``address`` is where it listens."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self.listener, selectors.EVENT_READ)
        self._is_over = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._is_over:
            for key, _ in self._selector.select(0.1):
                if key.fileobj is self.listener:
                    self._selector.register(self.listener.accept()[0], selectors.EVENT_READ)
                else:
                    self._serve(key.fileobj)

    def _serve(self, sock):
        data = b""
        with contextlib.suppress(OSError):
            data = sock.recv(65536)
            sock.sendall(data)
        if not data:
            self._selector.unregister(sock)
            sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._is_over = True
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()


def settings(mesh, port, number, endpoint, listener=(), cluster=()):
    """Return a configuration; another ``number`` makes another chain of filters and another cluster."""
    limits = [{"connection_limit": {"max_connections": 50000}}] * (number % 2)
    return {
        "node": {"id": f"test-{number}"}, "secrets": mesh.settings(),
        "listeners": [{"name": "public", "address": f"127.0.0.1:{port}", **dict(listener),
                       "network_filters": [*limits, {"tcp_proxy": {"cluster": "up"}}]}],
        "clusters": [{"name": "up", "connect_timeout": f"{20 + number}s", "endpoints": [{"address": endpoint}],
                      "circuit_breaker": {"limits": {"max_connections": 50000}},
                      **dict(cluster)}]}


def say(sock, text):
    """Send and see it come back."""
    sock.sendall(text)
    assert sock.recv(100) == text


@pytest.mark.timeout(900)
@pytest.mark.skipif(MODE != "", reason="counts connections of one process")
@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 2 * CONNECTIONS + SPARE_FDS,
                    reason="too few descriptors may be open: ulimit -n")
def test_long_lived_connections_survive_reloads_of_both_sides(capsys):
    ports = free_port(), free_port()
    with Mesh() as mesh, Echoes() as echoes, contextlib.ExitStack() as stack:
        inner_of = lambda number: settings(  # noqa: E731
            mesh, ports[0], number, echoes.address, listener={"tls": mesh.serving("required")})
        outer_of = lambda number: settings(  # noqa: E731
            mesh, ports[1], number, f"127.0.0.1:{ports[0]}", cluster={"tls": mesh.calling()})
        daemons = [(stack.enter_context(Daemon(make(0))), make) for make in (inner_of, outer_of)]
        idle = [daemon.resident_bytes() for daemon, _ in daemons]
        began = time.monotonic()
        clients = [connect(stack, ports[1]) for _ in range(CONNECTIONS)]
        opened_s = time.monotonic() - began
        each = [(daemon.resident_bytes() - before) / CONNECTIONS for (daemon, _), before in zip(daemons, idle)]
        reloads = [reload(daemon, make, number, clients[number::RELOADS])
                   for number in range(1, RELOADS + 1) for daemon, make in daemons]
        for number, client in enumerate(clients):
            say(client, b"%d" % number)
        grown = [(daemon.resident_bytes() - before) / 2 ** 20 for (daemon, _), before in zip(daemons, idle)]
        for daemon, _ in daemons:
            assert daemon.metric("envoy_listener_downstream_cx_active", listener="public") == CONNECTIONS
            assert daemon.metric("envoy_cluster_upstream_cx_total", cluster_name="up") == CONNECTIONS
        with capsys.disabled():
            print(f"\n{CONNECTIONS} connections opened in {opened_s:.0f} s; inner {each[0] / 1024:.1f} KiB each,"
                  f" outer {each[1] / 1024:.1f}; {len(reloads)} reloads, {max(reloads):.2f} s at most; then "
                  f"{grown[0]:.1f} and {grown[1]:.1f} MiB more than without")
        assert max(each) < IDLE_TLS_BYTES
        for client in clients:
            client.close()
        gauge = "envoy_cluster_upstream_cx_active"
        wait_for(lambda: not any(daemon.metric(gauge) for daemon, _ in daemons), "their end")


def connect(stack, port):
    """Return a connection that has been used once."""
    sock = stack.enter_context(socket.create_connection(("127.0.0.1", port), 60))
    say(sock, b"hello")
    return sock


def reload(daemon, make, number, clients):
    """Put another configuration in force; return the seconds that it took. Some of the clients talk afterwards."""
    daemon.write(make(number))
    began = time.monotonic()
    assert daemon.reload()["accepted"]
    took_s = time.monotonic() - began
    for client in clients:
        say(client, b"%d" % number)
    return took_s
