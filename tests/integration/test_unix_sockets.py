"""Unix sockets, by path and abstract, on both sides, for HTTP and TCP: modes, stale files, reloads, workers."""

import os
import socket
import stat
import threading
import uuid

import pytest

from tests.integration.harness.client import read_until
from tests.integration.harness.daemon import Daemon
from tests.integration.process import wait_for

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def kernel(address):
    """Return an address as the kernel has it."""
    path = address.removeprefix("unix:")
    return "\0" + path[1:] if path.startswith("@") else path


class Server:
    """Answers every read with ``ok`` in HTTP."""

    def __init__(self, address):
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(kernel(address))
        self.socket.listen(64)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        try:
            while True:
                sock = self.socket.accept()[0]
                threading.Thread(target=self.serve, args=(sock,), daemon=True).start()
        except OSError:
            pass

    def serve(self, sock):
        with sock:
            while sock.recv(65536):
                sock.sendall(OK)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.socket.close()


def document(address, upstream, **listener):
    """Return a configuration with one listener of each protocol; that of TCP has ``-tcp`` behind its address."""
    routes = [{"match": {"prefix": "/"}, "cluster": "up"}]
    router = {"virtual_hosts": [{"name": "a", "domains": ["*"], "routes": routes}]}
    proxy = {"tcp_proxy": {"cluster": "up"}}
    return {"node": {"id": "test"}, "clusters": [{"name": "up", "endpoints": [{"address": upstream}]}], "listeners": [
        {"name": "http", "address": address, "filters": [{"router": router}], **listener},
        {"name": "tcp", "address": f"{address}-tcp", "network_filters": [proxy], **listener}]}


def answered(address):
    """Say whether the daemon answers there."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(kernel(address))
        sock.sendall(GET)
        return read_until(sock, b"ok").startswith(b"HTTP/1.1 200")


@pytest.fixture(params=("path", "abstract"))
def place(request, tmp_path):
    """Return a function that makes addresses."""
    if request.param == "path":
        return lambda name: f"unix:{tmp_path}/{name}"
    token = uuid.uuid4().hex[:8]
    return lambda name: f"unix:@{token}-{name}"


def test_http_and_tcp_between_unix_sockets(place):
    with Server(place("up")) as server, Daemon(document(place("in"), server.address)) as daemon:
        for address in (place("in"), place("in-tcp")):
            assert answered(address)
        bound = {row["name"]: row["bound"] for row in daemon.json("/listeners")["listeners"]}
        assert bound == {"http": place("in"), "tcp": place("in-tcp")}
        assert daemon.json("/clusters")["clusters"][0]["endpoints"][0]["address"] == place("up")
        daemon.write({**document(place("in"), server.address), "node": {"id": "other"}})
        assert daemon.reload()["accepted"]
        assert answered(place("in")) and answered(place("in-tcp"))


def test_workers_share_them(place):
    with Server(place("up")) as server, Daemon({**document(place("in"), server.address), "workers": 2}):
        assert all(answered(place("in")) for _ in range(20))
        assert answered(place("in-tcp"))


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.mark.parametrize("workers", (1, 2))
def test_modes_of_files_and_their_changes(tmp_path, workers):
    path = tmp_path / "in"
    with Server(f"unix:{tmp_path}/up") as server:
        settings = {**document(f"unix:{path}", server.address, socket_mode="660"), "workers": workers}
        with Daemon(settings) as daemon:
            assert (mode_of(path), mode_of(f"{path}-tcp")) == (0o660, 0o660)
            daemon.write({**document(f"unix:{path}", server.address, socket_mode="0606"), "workers": workers})
            assert daemon.reload()["accepted"]
            assert mode_of(path) == 0o606
            assert answered(f"unix:{path}")
        assert not path.exists()


def test_stale_files_are_replaced_and_live_ones_are_not(tmp_path):
    path = tmp_path / "in"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with Server(f"unix:{tmp_path}/up") as server:
        with Daemon(document(f"unix:{path}", server.address)) as daemon:
            assert answered(f"unix:{path}")
            with Server(f"unix:{tmp_path}/live") as live:
                daemon.write(document(live.address, server.address))
                outcome = daemon.reload()
                assert not outcome["accepted"] and "already in use" in outcome["text"]
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.connect(kernel(live.address))
            assert answered(f"unix:{path}")
        wait_for(lambda: not path.exists(), "the file to go")
