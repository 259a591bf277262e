"""TCP between meshd and others: nginx's stream and HAProxy before and behind it, and several workers' connections."""

import os
import shutil
import socket
import subprocess
import tempfile

import pytest

from tests.integration.harness.daemon import Daemon
from tests.integration.process import free_port, wait_for
from tests.integration.test_tcp import Server, connect, document, echo, read_all

NGINX, HAPROXY = shutil.which("nginx"), shutil.which("haproxy")
MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"
DATA = os.urandom(1 << 20) * 2


class Relay:
    """nginx or HAProxy as a relay of TCP in a process of its own."""

    def __init__(self, program, target):
        self.folder = tempfile.mkdtemp(prefix="meshd-relay-")
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        path = os.path.join(self.folder, "conf")
        with open(path, "w") as file:
            file.write(self.nginx(target) if program == NGINX else self.haproxy(target))
        command = [NGINX, "-c", path] if program == NGINX else [HAPROXY, "-db", "-f", path]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self.is_there, program)

    def nginx(self, target):
        """Return nginx's configuration."""
        return (f"load_module {MODULE}; daemon off; pid {self.folder}/pid; error_log {self.folder}/log; events {{}}\n"
                f"stream {{ server {{ listen {self.address}; proxy_pass {target}; proxy_half_close on; }} }}\n")

    def haproxy(self, target):
        """Return HAProxy's configuration."""
        return (f"defaults\n mode tcp\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n"
                f"listen all\n bind {self.address}\n server up {target}\n")

    def is_there(self):
        """Say whether it listens."""
        try:
            socket.create_connection(("127.0.0.1", self.port), 5).close()
            return True
        except OSError:
            return False

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.terminate()
        self.process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)


def exchange(port):
    """Send much, end our half, and return what comes back."""
    with socket.create_connection(("127.0.0.1", port), 20) as sock:
        sock.settimeout(20)
        sock.sendall(DATA[:100_000])
        got = b""
        while len(got) < 100_000:
            got += sock.recv(65536)
        sock.shutdown(socket.SHUT_WR)
        return got + read_all(sock)


@pytest.mark.parametrize("program", [
    pytest.param(NGINX, id="nginx", marks=pytest.mark.skipif(
        not NGINX or not os.path.exists(MODULE), reason="nginx's stream module is not installed")),
    pytest.param(HAPROXY, id="haproxy", marks=pytest.mark.skipif(not HAPROXY, reason="haproxy is not installed")),
])
def test_others_before_and_behind(program):
    with Server(echo) as server, Relay(program, server.address) as behind, Daemon(document(behind.address)) as daemon:
        assert exchange(daemon.port) == DATA[:100_000] + b"bye"
        with Relay(program, f"127.0.0.1:{daemon.port}") as before:
            assert exchange(before.port) == DATA[:100_000] + b"bye"


def test_a_limit_holds_for_all_workers_together():
    limit = {"connection_limit": {"max_connections": 10}}
    with Server(echo) as server, Daemon({**document(server.address, limit), "workers": 2}) as daemon:
        clients, served = [connect(daemon) for _ in range(30)], 0
        for client in clients:
            try:
                client.sendall(b"x")
                served += client.recv(1) == b"x"
            except OSError:
                pass
        assert served == 10
        for client in clients:
            client.close()


def test_unix_sockets_both_ways(tmp_path):
    with Server(echo, str(tmp_path / "up")) as server:
        configuration = document(server.address)
        configuration["listeners"][0]["address"] = f"unix:{tmp_path}/down"
        with Daemon(configuration), socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(20)
            sock.connect(f"{tmp_path}/down")
            sock.sendall(b"hello")
            assert sock.recv(10) == b"hello"
            sock.shutdown(socket.SHUT_WR)
            assert read_all(sock) == b"bye"
