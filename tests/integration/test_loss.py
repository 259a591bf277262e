"""The instrument that the loss tests stand on: every loss that a scripted server plants is seen, and named."""

import re
import socket
import threading

import pytest

from tests.integration.harness.echo import Echo
from tests.integration.harness.loss import MIX, Loss
from tests.integration.harness.upstream import Upstream, reply
from tests.integration.process import free_port, wait_for

EVERY = 4
GETS = {"rate": 100, "mix": {"get": 1}, "websockets": 0, "connections": 2}


class Planter:
    """A server that answers rightly but for each EVERYth request of a connection, with which it does ``fault``."""

    def __init__(self, fault):
        self.planted = 0
        self._fault = fault
        self._lock = threading.Lock()
        self.upstream = Upstream(self._script)

    def _script(self, peer):
        for number in range(1, 1_000_000):
            target = peer.head().split()[1]
            if number % EVERY:
                peer.send(reply(target))
                continue
            with self._lock:
                self.planted += 1
            if self._fault(peer, target) is False:
                return


def closed(peer, target):
    return False


def reset(peer, target):
    peer.reset()
    return False


def cut(peer, target):
    peer.send(reply(target)[:-1])
    return False


def cut_in_head(peer, target):
    peer.send(reply(target)[:12])
    return False


def cut_by_reset(peer, target):
    peer.send(reply(target)[:-1])
    peer.reset()
    return False


def wrong(peer, target):
    peer.send(reply(target.replace(b"=", b"=1")))


def doubled(peer, target):
    peer.send(reply(target) * 2)


def garbled(peer, target):
    peer.send(b"nonsense\r\n\r\n")


def status(peer, target):
    peer.send(reply(target, b"503 Service Unavailable"))


def silent(peer, target):
    peer.wait_end()
    return False


@pytest.mark.parametrize("fault, reason", [
    (closed, "raced (closed)"), (reset, "raced (reset)"), (cut, "cut (closed)"), (cut_in_head, "cut (closed)"),
    (cut_by_reset, "cut (reset)"), (wrong, "wrong answer"), (doubled, "wrong answer"),
    (garbled, "garbled: b'nonsense\\r\\n\\r\\n'"), (status, "status 503"), (silent, "timeout"),
])
def test_every_planted_loss_is_seen_and_named(fault, reason):
    planter = Planter(fault)
    with planter.upstream, Loss(planter.upstream.port, patience_s=1.0, **GETS) as load:
        wait_for(lambda: planter.planted >= 10, "losses")
        result = load.stop()
    assert result.reasons == {f"get: {reason}": planter.planted}
    assert result.lost == planter.planted == len(result.losses)
    assert result.sent == result.answered + result.lost
    assert result.raced == (planter.planted if "raced" in reason else 0)
    with pytest.raises(AssertionError, match=re.escape(reason)):
        result.assert_nothing_lost()


def test_explained_status_is_no_loss():
    planter = Planter(status)
    with planter.upstream, Loss(planter.upstream.port, explained=(503,), **GETS) as load:
        wait_for(lambda: planter.planted >= 10, "losses")
        result = load.stop()
    result.assert_nothing_lost()
    assert result.explained == planter.planted


def test_announced_close_is_no_loss_and_one_without_a_word_is_told():
    def announced(peer, target):
        peer.send(reply(target, headers=b"connection: close\r\n"))
        return False

    def unannounced(peer, target):
        peer.send(reply(target))
        return False

    for fault, expected in ((announced, (0, 1)), (unannounced, (1, 0))):
        planter = Planter(fault)
        with planter.upstream, Loss(planter.upstream.port, **GETS) as load:
            wait_for(lambda: planter.planted >= 10, "closes")
            result = load.stop()
        told, silent_ones = result.announced > 0, result.unannounced + result.raced > 0
        assert (silent_ones, told) == expected
        assert result.lost == result.raced


def test_new_connections_that_are_closed_or_reset_are_lost():
    for end, reason in ((lambda peer: peer.head(), "closed"), (lambda peer: (peer.head(), peer.reset()), "reset")):
        with Upstream(end) as upstream, Loss(upstream.port, **GETS | {"mix": {"fresh": 1}, "connections": 0}) as load:
            wait_for(lambda: load.look().lost >= 20, "losses")
            result = load.stop()
        assert set(result.reasons) == {f"fresh: {reason}"}
        assert result.lost == result.sent


def test_refused_connect_is_a_loss_until_the_end_is_announced():
    with Loss(free_port(), **GETS | {"connections": 1}) as load:
        wait_for(lambda: load.look().lost >= 20, "losses")
        load.ending()
        before = load.look()
        wait_for(lambda: load.look().refused >= before.refused + 20, "refused connects")
        result = load.stop()
    assert result.lost == before.lost
    assert set(result.reasons) == {"get: refused", "idle: refused"}


def test_full_accept_queue_is_seen_as_a_slow_connect():
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, socket.socket() as filler:
        filler.setblocking(False)
        filler.connect_ex(listener.getsockname())
        with Loss(listener.getsockname()[1], patience_s=1.0, **GETS | {"mix": {"fresh": 1}, "connections": 0}) as load:
            wait_for(lambda: load.look().lost >= 20, "losses")
            result = load.stop()
    assert set(result.reasons) == {"fresh: timeout"}


def test_bodies_that_come_back_changed_are_lost():
    def script(peer):
        while True:
            head = peer.head()
            body = peer.body(head)
            kinds.add(head.split()[1])
            peer.send(reply(body[:-1] + b"?"))

    kinds = set()
    mix = {"post": 1, "chunked": 1, "big": 1}
    with Upstream(script) as upstream, Loss(upstream.port, **GETS | {"mix": mix}) as load:
        wait_for(lambda: load.look().lost >= 30, "losses")
        result = load.stop()
    assert result.lost == result.sent
    assert set(result.reasons) == {f"{kind}: wrong answer" for kind in mix}


SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n"


def test_lost_echoes_and_ends_of_websockets_are_seen():
    def refuses(peer):
        peer.head()
        peer.send(reply(b"no", b"426 Upgrade Required"))

    def changes(peer):
        peer.head()
        peer.send(SWITCH)
        peer.send(peer.read(7)[:6] + b"?")

    def keeps(peer):
        peer.head()
        peer.send(SWITCH)
        peer.wait_end()

    options = {"rate": 1, "connections": 0, "websockets": 2, "patience_s": 1.0, "echo_every_s": 0.05}
    for script, reason in ((refuses, "status 426"), (changes, "wrong echo"), (keeps, "timeout")):
        with Upstream(script) as upstream, Loss(upstream.port, **options | {"mix": {"fresh": 1}}) as load:
            wait_for(lambda: load.look().lost >= 4, "losses")
            reasons = {name for name in load.stop().reasons if name.startswith("websocket")}
        assert reasons == {f"websocket: {reason}"}


def test_websocket_that_the_server_ends_is_told_with_its_time():
    def ends(peer):
        peer.head()
        peer.send(SWITCH)
        peer.send(peer.read(7))

    with Upstream(ends) as upstream, Loss(upstream.port, rate=1, mix={"fresh": 1}, websockets=2, connections=0) as load:
        result = wait_for(lambda: (found := load.look()).closed_count >= 4 and found, "ends")
        load.stop()
    assert all(row["reason"] == "closed" and 0 <= row["age_s"] <= row["at_s"] for row in result.closed)
    assert result.echoes >= 4


def test_all_kinds_at_a_server_that_loses_nothing():
    with Echo() as echo, Loss(echo.port, rate=300) as load:
        load.warm(600)
        result = load.stop()
    result.assert_nothing_lost()
    assert set(result.kinds) == set(MIX)
    assert (result.alive, result.closed_count, result.unannounced, result.refused) == (8, 0, 0, 0)
    assert result.sent == result.answered == sum(result.kinds.values())
    assert 0 < result.latency_s["p50"] <= result.latency_s["p99"] <= result.latency_s["longest"]
