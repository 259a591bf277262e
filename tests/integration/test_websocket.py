"""WebSocket through the daemon: a real client and a real server library, and both half-closes on raw sockets."""

import asyncio
import contextlib
import os
import socket
import threading
import time

import pytest

from tests.integration.harness.client import ask, dial, read_head, read_to_end, read_until
from tests.integration.harness.daemon import Daemon, one_cluster
from tests.integration.harness.upstream import Upstream, reply
from tests.integration.process import wait_for

websockets = pytest.importorskip("websockets")

UPGRADE = (b"GET /tunnel HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
           b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n"
LIMITS = {"route": {"timeout": "3s"}}


async def speak(server):
    """Echo; ``bye`` makes the server close."""
    async for message in server:
        if message == "bye":
            await server.close(1001, "server's wish")
        await server.send(message)


class Library:
    """A websockets server in a thread with a loop of its own."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.server = self.run(self._start())
        self.address = f"127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def _start(self):
        return await websockets.serve(speak, "127.0.0.1", 0, max_size=4 << 20)

    def run(self, coroutine):
        """Return a coroutine's result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    async def _stop(self):
        self.server.close()
        await self.server.wait_closed()

    def close(self):
        """End it."""
        self.run(self._stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@pytest.fixture(scope="module")
def library():
    made = Library()
    yield made
    made.close()


@pytest.fixture(scope="module")
def daemon(library):
    with Daemon(one_cluster(library.address, **LIMITS)) as made:
        yield made
        made.settled()


def connect(daemon, path="/ws"):
    """Return a client, for ``async with``."""
    return websockets.connect(f"ws://127.0.0.1:{daemon.port}{path}", max_size=4 << 20)


def test_echoes_text_and_binary(daemon):
    async def talk():
        async with connect(daemon) as client:
            for message in ("hello", "", "snow ☃", b"\x00\xff" * 1000, b""):
                await client.send(message)
                assert await client.recv() == message

    asyncio.run(talk())


def test_echoes_a_mebibyte_in_both_directions(daemon):
    async def talk():
        async with connect(daemon) as client:
            message = bytes(range(256)) * 4096
            await client.send(message)
            assert await client.recv() == message

    asyncio.run(talk())


def test_many_messages_on_many_connections_keep_their_order(daemon):
    async def one(number):
        async with connect(daemon) as client:
            for count in range(50):
                await client.send(f"{number} {count}")
            assert [await client.recv() for _ in range(50)] == [f"{number} {count}" for count in range(50)]

    async def all_of_them():
        await asyncio.gather(*(one(number) for number in range(20)))

    asyncio.run(all_of_them())


def test_ping_gets_its_pong(daemon):
    async def talk():
        async with connect(daemon) as client:
            await asyncio.wait_for(await client.ping(b"mark"), 10)

    asyncio.run(talk())


def test_client_closes(daemon):
    async def talk():
        async with connect(daemon, "/closes") as client:
            await client.close(1000, "done")
            return client.close_code

    assert asyncio.run(talk()) == 1000
    entry = daemon.access(path="/closes")
    assert (entry["status"], entry["flags"]) == (101, "-")


def test_server_closes(daemon):
    async def talk():
        async with connect(daemon, "/closed") as client:
            await client.send("bye")
            with contextlib.suppress(websockets.ConnectionClosed):
                await client.recv()
            return client.close_code, client.close_reason

    assert asyncio.run(talk()) == (1001, "server's wish")
    assert daemon.access(path="/closed")["status"] == 101


def test_tunnel_outlives_the_route_timeout(daemon):
    async def talk():
        async with connect(daemon) as client:
            await asyncio.sleep(3.5)
            await client.send("still here")
            assert await client.recv() == "still here"

    asyncio.run(talk())


# Raw: what the library does not do


def all_stopped(pid):
    """Say whether every thread of a process stands still."""
    states = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/stat") as file:
            states.append(file.read().rpartition(")")[2].split()[0])
    return set(states) == {"T"}


@contextlib.contextmanager
def tunnel(script, **options):
    """Yield (daemon, client) with a tunnel to a script, which begins after the 101."""
    def begin(peer):
        peer.head()
        peer.send(SWITCH)
        script(peer)

    with Upstream(begin) as upstream, Daemon(one_cluster(upstream.address, **options)) as daemon:
        with dial(daemon.port, UPGRADE) as client:
            assert read_head(client).startswith(b"HTTP/1.1 101 ")
            yield daemon, client
        daemon.settled()


def test_clients_half_close_reaches_the_server_which_goes_on_sending():
    def script(peer):
        got = b""
        with contextlib.suppress(EOFError):
            while True:
                peer._more()
        got = peer.rest
        peer.send(b"got %d bytes, " % len(got) + b"y" * 300_000)

    with tunnel(script, **LIMITS) as (daemon, client):
        client.sendall(b"x" * 300_000)
        client.shutdown(socket.SHUT_WR)
        data, was_reset = read_to_end(client)
        assert not was_reset
        assert data == b"got 300000 bytes, " + b"y" * 300_000
        assert daemon.access(path="/tunnel")["flags"] == "-"


def test_servers_half_close_reaches_the_client_which_goes_on_sending():
    received = []

    def script(peer):
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)  # much is in the daemon's kernel at the end
        peer.send(b"that is all")
        peer.sock.shutdown(socket.SHUT_WR)
        going.wait(20)
        size = 0
        while data := peer.sock.recv(262144):
            size += len(data)
        received.append(size)

    going = threading.Event()
    deep = {"pool": {"buffer_high": "64MiB", "buffer_low": "32MiB"}}  # all stands in the daemon when the client is gone
    with tunnel(script, **LIMITS, cluster=deep) as (daemon, client):
        assert read_to_end(client) == (b"that is all", False)
        client.sendall(b"x" * 16_000_000)
        client.close()
        time.sleep(0.5)
        going.set()
        assert wait_for(lambda: received, "the end at the server") == [16_000_000]
        assert daemon.access(path="/tunnel")["flags"] == "-"


def test_server_that_resets_a_tunnel_resets_the_client():
    with tunnel(lambda peer: peer.reset()) as (daemon, client):
        assert read_to_end(client)[0] == b""
        assert daemon.access(path="/tunnel")["flags"] == "UC"


def test_client_that_resets_a_tunnel_resets_the_server():
    def script(peer):
        assert read_to_end(peer.sock)[1]
        ended.set()

    ended = threading.Event()
    with tunnel(script) as (daemon, client):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        assert ended.wait(10)
        assert daemon.access(path="/tunnel")["flags"] == "DC"


def test_server_that_resets_just_as_the_client_ends_its_half_is_no_fault_of_ours():
    """A stopped daemon finds both at once: to end the client's half it turns to a connection that is gone."""
    def script(peer):
        peer.sock.shutdown(socket.SHUT_WR)
        going.wait(20)
        peer.reset()
        ended.set()

    going, ended = threading.Event(), threading.Event()
    with tunnel(script) as (daemon, client):
        assert read_to_end(client) == (b"", False)
        daemon.signal("STOP")
        wait_for(lambda: all_stopped(daemon.process.pid), "the daemon to stop")
        client.close()
        going.set()
        assert ended.wait(10)
        daemon.signal("CONT")
        assert daemon.access(path="/tunnel")["status"] == 101


def test_bytes_behind_the_upgrade_request_and_the_101_are_part_of_the_tunnel():
    def script(peer):
        peer.head()
        peer.send(SWITCH + b"early")
        peer.send(b"got " + peer.read(5))

    with Upstream(script) as upstream, Daemon(one_cluster(upstream.address)) as daemon:
        with dial(daemon.port, UPGRADE + b"eager") as client:
            assert b"earlygot eager" in read_until(client, b"eager")
        daemon.settled()


@pytest.mark.parametrize("answer", [b"200 OK", b"403 Forbidden", b"426 Upgrade Required"])
def test_refused_upgrade_is_a_plain_answer_and_the_connection_lives(answer):
    with Upstream.saying(reply(b"no", answer)) as upstream, Daemon(one_cluster(upstream.address)) as daemon:
        with dial(daemon.port, UPGRADE) as client:
            assert read_until(client, b"no").startswith(b"HTTP/1.1 " + answer)
            client.sendall(b"GET /next HTTP/1.1\r\nhost: a\r\n\r\n")
            assert read_until(client, b"no").startswith(b"HTTP/1.1 " + answer)
        assert b"upgrade: websocket" in upstream.heads[0].lower()
        daemon.settled()


def test_upgrade_with_a_body_is_not_tunnelled():
    with Upstream.saying(lambda head, body: reply(body)) as upstream, Daemon(one_cluster(upstream.address)) as daemon:
        found = ask(daemon.port, "/b", "POST", b"body", {"connection": "upgrade", "upgrade": "websocket"})
        assert found[::2] == (200, b"body")
        assert b"upgrade" not in upstream.heads[0].lower()
        daemon.settled()


def test_other_protocols_are_not_passed_on():
    with Upstream.saying(reply()) as upstream, Daemon(one_cluster(upstream.address)) as daemon:
        assert ask(daemon.port, headers={"connection": "upgrade, http2-settings", "upgrade": "h2c",
                                         "http2-settings": "AAMAAABk"})[0] == 200
        assert b"h2c" not in upstream.heads[0]
        assert b"http2-settings" not in upstream.heads[0].lower()
        daemon.settled()


def test_unasked_101_is_502():
    with Upstream.saying(SWITCH) as upstream, Daemon(one_cluster(upstream.address)) as daemon:
        assert ask(daemon.port, "/u")[0] == 502
        assert daemon.access(path="/u")["flags"].startswith("UPE")
        daemon.settled()
