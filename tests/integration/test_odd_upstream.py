"""Conversations with upstreams that no table can hold: who answers early, late, twice, unasked, or goes away."""

import threading

import pytest

from tests.conversation.client import Client, Cut
from tests.conversation.mesh import Mesh
from tests.conversation.puppet import Puppet
from tests.conversation.recorder import read_body
from tests.integration.harness.upstream import reply

OK = reply(b"hello")
GET = b"GET /act HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /act HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"


@pytest.fixture(scope="module")
def mesh():
    with Mesh(Puppet(), route={"upgrades": ["websocket"]}) as made:
        yield made


@pytest.fixture
def puppet(mesh):
    return mesh.upstream


@pytest.fixture
def client(mesh, puppet):
    puppet.forget()
    with Client(mesh.port) as made:
        yield made
    mesh.fresh()
    assert puppet.late == []


def line_of(mesh, client):
    row = mesh.rows(client, 1)[0]
    return row["status"], row["flags"]


@pytest.mark.parametrize("extra", [OK, b"HTTP/1.1 100 Continue\r\n\r\n", b"x", b"\r\n", b"HTTP/1.1 408 Gone\r\n\r\n"])
def test_late_second_answer_is_nobodys(mesh, puppet, client, extra):
    first = threading.Event()

    def act(peer, head):
        peer.send(OK)
        assert first.wait(20)
        peer.send(extra)
        puppet.wait_end(peer)
    puppet.act = act
    client.send(GET)
    assert client.answer().body == b"hello"
    first.set()
    number = puppet.done.get(timeout=20)
    mesh.fresh(client)
    assert puppet.seen[-1][0] != number


def test_second_answer_is_not_given_to_a_pipelined_request(mesh, puppet, client):
    puppet.play(OK + reply(b"evil"), is_last=True)
    client.send(GET + b"GET /own HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.answer().body == b"hello"
    assert client.answer().body.startswith(b"GET /own ")
    puppet.done.get(timeout=20)


def test_half_close_behind_an_answer_ends_the_connection(mesh, puppet, client):
    def act(peer, head):
        peer.send(OK)
        peer.sock.shutdown(1)
        puppet.wait_end(peer)
    puppet.act = act
    client.send(GET)
    assert client.answer().body == b"hello"
    number = puppet.done.get(timeout=20)
    mesh.fresh(client)
    assert puppet.seen[-1][0] != number


@pytest.mark.parametrize("status", [b"413 Content Too Large", b"200 OK", b"401 Unauthorized", b"500 Oops"])
@pytest.mark.parametrize("ending", ["close", "stay"])
def test_answer_before_the_body_was_sent(mesh, puppet, client, status, ending):
    def act(peer, head):
        peer.send(reply(b"early", status, b"connection: close\r\n" if ending == "close" else b""))
        if ending == "close":
            return
        peer.wait_end()
    puppet.act = act
    client.send(POST % 5)
    heard = client.answer()
    assert (heard.status, heard.body) == (int(status[:3]), b"early")
    client.send(b"hello")
    if heard.closes:
        assert client.until_end() == b""
    else:
        mesh.fresh(client)
    number = puppet.done.get(timeout=20)
    mesh.fresh()
    assert puppet.seen[-1][0] != number
    assert line_of(mesh, client) == (int(status[:3]), "-")


def test_answer_in_the_middle_of_a_large_body_reaches_the_client(mesh, puppet, client):
    def act(peer, head):
        peer.read(100000)
        peer.send(reply(b"enough", b"413 Content Too Large", b"connection: close\r\n"))
        peer.sock.shutdown(1)
        peer.wait_end()
    puppet.act = act
    client.send(POST % 5000000)
    sender = threading.Thread(target=client.send, args=(b"x" * 5000000, "split"))
    sender.start()
    heard = client.answer()
    assert (heard.status, heard.body) == (413, b"enough")
    sender.join(20)
    puppet.done.get(timeout=20)
    client.half_close()
    assert client.until_end() == b""


def test_interim_answers_without_end_are_refused(mesh, puppet, client):
    def act(peer, head):
        with pytest.raises(OSError):
            while True:
                peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 100)
        puppet.late.clear()
    puppet.act = act
    client.send(GET)
    heard = client.answer()
    assert (heard.status, len(heard.interim)) == (502, 8)
    puppet.done.get(timeout=20)
    assert line_of(mesh, client) == (502, "UPE")


def test_interim_answers_are_not_for_a_client_of_1_0(mesh, puppet, client):
    puppet.play(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + OK)
    client.send(b"GET /act HTTP/1.0\r\nHost: a\r\n\r\n")
    heard = client.answer()
    assert (heard.status, heard.interim, heard.body) == (200, (), b"hello")


def test_switch_of_protocols_that_nobody_asked_for_is_refused(mesh, puppet, client):
    puppet.play(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nx", is_last=True)
    client.send(GET)
    assert client.answer().status == 502
    puppet.done.get(timeout=20)
    assert line_of(mesh, client) == (502, "UPE")


def test_asked_for_switch_that_is_declined_is_an_answer(mesh, puppet, client):
    puppet.play(OK)
    client.send(GET[:-2] + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert client.answer().body == b"hello"
    mesh.fresh(client)


def test_request_pipelined_behind_a_declined_switch_is_a_request(mesh, puppet, client):
    def act(peer, head):
        peer.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            peer.read(1)
        peer.sock.settimeout(None)
        peer.send(OK)
        return True
    puppet.act = act
    client.send(GET[:-2] + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\nGET /own HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.answer().body == b"hello"
    assert client.answer().body.startswith(b"GET /own HTTP/1.1\r\nHost: a\r\nx-forwarded-for:")


@pytest.mark.parametrize("ending", ["fin", "reset"])
def test_client_that_leaves_before_the_answer_ends_the_attempt(mesh, puppet, client, ending):
    began = threading.Event()

    def act(peer, head):
        began.set()
        puppet.wait_end(peer)
    puppet.act = act
    client.send(GET)
    assert began.wait(20)
    if ending == "fin":
        client.half_close()
        assert client.until_end() == b""
    else:
        client.reset()
    puppet.done.get(timeout=20)
    assert line_of(mesh, client) == (0, "DC")


def test_tunnel_passes_bytes_and_both_half_closes(mesh, puppet, client):
    def act(peer, head):
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        assert peer.read(4) == b"\0\1GE"
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        peer.sock.shutdown(1)
        assert peer.read(4) == b"more"
        puppet.wait_end(peer)
    puppet.act = act
    client.send(GET[:-2] + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n\0\1GE")
    heard = client.answer()
    assert (heard.status, heard.get(b"connection"), heard.get(b"upgrade")) == (101, [b"upgrade"], [b"websocket"])
    assert client.until_end() == b"HTTP/1.1 200 OK\r\n\r\n"
    client.send(b"more")
    client.half_close()
    puppet.done.get(timeout=20)


@pytest.mark.parametrize("data", [b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n", b"junk"])
def test_what_an_idle_upstream_says_is_nobodys(mesh, puppet, client, data):
    first = threading.Event()

    def act(peer, head):
        peer.send(OK)
        first.wait(20)
        peer.send(data)
        peer.sock.shutdown(1)
        puppet.wait_end(peer)
    puppet.act = act
    client.send(GET)
    assert client.answer().body == b"hello"
    first.set()
    puppet.done.get(timeout=20)
    mesh.fresh(client)


@pytest.mark.parametrize("version, method", [(b"1.0", b"GET"), (b"1.1", b"GET"), (b"1.1", b"HEAD")])
@pytest.mark.parametrize("name, data", [
    ("chunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"),
    ("length", OK), ("until-close", b"HTTP/1.1 200 OK\r\n\r\nhello"),
    ("1.0", b"HTTP/1.0 200 OK\r\n\r\nhello"), ("1.0-length", b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
])
def test_answer_is_framed_for_its_client(mesh, puppet, client, version, method, name, data):
    is_head = method == b"HEAD"
    puppet.play(data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if is_head else data,
                is_closed=name in ("until-close", "1.0", "1.0-length"))
    client.send(method + b" /act HTTP/%b\r\nHost: a\r\nConnection: keep-alive\r\n\r\n" % version)
    heard = client.answer(method)
    assert heard.line.startswith(b"HTTP/1.1 200")
    assert heard.body == (b"" if is_head else b"hello")
    has_length = "length" in name
    if version == b"1.0":
        assert heard.get(b"transfer-encoding") == []
        assert (heard.get(b"connection"), client.is_reset) == ([b"keep-alive"] if has_length else [b"close"], False)
    else:
        assert heard.get(b"transfer-encoding") == ([] if has_length or is_head else [b"chunked"])
        assert heard.trailers == ([(b"x-sum", b"1")] if name == "chunked" and not is_head else [])
        mesh.fresh(client)


@pytest.mark.parametrize("fields, gone", [
    (b"Connection: x-a\r\nX-A: 1\r\n", b"x-a"), (b"Keep-Alive: timeout=1\r\n", b"keep-alive"),
    (b"Connection: keep-alive\r\nKeep-Alive: timeout=1\r\n", b"keep-alive"),
    (b"Proxy-Connection: close\r\n", b"proxy-connection"), (b"Upgrade: h2c\r\nConnection: upgrade\r\n", b"upgrade"),
    (b"Connection: close\r\n", b"connection"), (b"Trailer: x\r\n", b"trailer"),
])
def test_hop_by_hop_fields_of_an_answer_go_no_further(mesh, puppet, client, fields, gone):
    puppet.play(reply(b"hello", headers=fields + b"X-Kept: 1\r\n"), is_closed=b"close" in fields)
    client.send(GET)
    heard = client.answer()
    assert (heard.get(gone), heard.get(b"x-kept"), heard.body) == ([], [b"1"], b"hello")
    mesh.fresh(client)


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_cut_answer_without_length_is_a_reset_for_its_client(mesh, puppet, client, version):
    puppet.play(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", is_closed=True)
    client.send(b"GET /act HTTP/%b\r\nHost: a\r\n\r\n" % version)
    try:
        assert client.answer().body in (b"", b"hello")
    except (Cut, EOFError):
        pass
    assert client.is_reset
    assert line_of(mesh, client) == (200, "UC")


@pytest.mark.parametrize("size", [1000, 60000])
def test_large_heads_are_relayed(mesh, puppet, client, size):
    puppet.play(reply(b"hello", headers=b"x-large: " + b"a" * size + b"\r\n"))
    client.send(GET)
    heard = client.answer()
    assert heard.get(b"x-large") == [b"a" * size]
    mesh.fresh(client)


def test_reset_before_any_answer_to_a_post_is_503_and_not_sent_again(mesh, puppet, client):
    def act(peer, head):
        read_body(peer, head)
        peer.reset()
    puppet.act = act
    mark = len(puppet.seen)
    client.send(POST % 5 + b"hello")
    assert client.answer().status == 503
    mesh.fresh(client)
    assert [head[:5] for _, head in puppet.seen[mark:]] == [b"POST ", b"GET /"]
    assert line_of(mesh, client) == (503, "UC")
