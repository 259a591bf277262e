"""An upstream that ends, with FIN or a reset, at every possible byte of its answer: a cut one never looks whole."""

import pytest

from tests.conversation.client import Client, Cut
from tests.conversation.mesh import Mesh
from tests.conversation.puppet import Puppet
from tests.conversation.recorder import read_body

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ANSWERS = {
    "content-length": b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 5\r\n\r\nhello",
    "chunked": CHUNKED + b"2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\n\r\n",
    "trailers": CHUNKED + b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
    "until-close": b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nhello",
    "until-close-1.0": b"HTTP/1.0 200 OK\r\n\r\nhello",
    "interim": b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "no-body": b"HTTP/1.1 204 No Content\r\nA: b\r\n\r\n",
}
ROWS = [(name, ending) for name in ANSWERS for ending in ("fin", "reset")]


@pytest.fixture(scope="module")
def mesh():
    with Mesh(Puppet()) as made:
        yield made


def cut_at(puppet, data, ending):
    """Answer the next /act with ``data`` and end."""
    def act(peer, head):
        read_body(peer, head)
        peer.send(data)
        if ending == "reset":
            peer.reset()
        return False
    puppet.act = act


def head_bytes(data):
    """Return where the final head ends."""
    return data.index(b"\r\n\r\n", data.index(b" 20")) + 4


def is_whole(name, cut, ending):
    """Say whether ``cut`` bytes of an answer are an answer."""
    data = ANSWERS[name]
    if name.startswith("until-close"):
        return ending == "fin" and cut >= head_bytes(data)
    return cut == len(data)


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
@pytest.mark.parametrize("name, ending", ROWS)
def test_answer_cut_at_every_byte(mesh, name, ending, version):
    data, puppet = ANSWERS[name], mesh.upstream
    wanted = []
    for cut in range(len(data) + 1):
        cut_at(puppet, data[:cut], ending)
        with Client(mesh.port) as client:
            client.send(b"GET /act HTTP/%b\r\nHost: a\r\n\r\n" % version)
            wanted.append((client, told(client), verdict(name, cut, ending, version)))
        puppet.done.get(timeout=20)
        mesh.fresh()
    assert [(cut, row[1:]) for cut, row in enumerate(wanted) if row[1] not in row[2]] == []
    rows = [mesh.rows(client, 1) for client, _, _ in wanted]
    assert {len(row) for row in rows} == {1}
    flags = {503: "UC", 502: "UPE"}
    assert [row for row, in rows[1:] if row["flags"] != flags.get(row["status"], row["flags"])] == []
    assert {str(row["attempts"]) for row, in rows[1:]} == {"1"}
    assert rows[0][0]["flags"] in ("UC", "UC,URX")  # a GET on a kept connection that ends without a byte goes once more


def test_post_on_a_kept_connection_that_ends_is_not_sent_again(mesh):
    mesh.fresh()
    cut_at(mesh.upstream, b"", "fin")
    mark = len(mesh.upstream.seen)
    with Client(mesh.port) as client:
        client.send(b"POST /act HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
        assert client.answer().status == 503
    mesh.fresh()
    assert [head[:9] for _, head in mesh.upstream.seen[mark:]] == [b"POST /act", b"GET /fres"]


def told(client):
    """Return what the client got: a status and whether whole; a client of 1.0 knows a cut by the reset alone."""
    try:
        heard = client.answer()
    except (Cut, EOFError):
        return "cut"
    if not (heard.get(b"content-length") or heard.get(b"transfer-encoding")) and client.is_reset:
        return "cut"
    return heard.status


def verdict(name, cut, ending, version):
    """Return what the client may get. A reset may overtake what was sent before it."""
    data = ANSWERS[name]
    status = 204 if name == "no-body" else 200
    if is_whole(name, cut, ending):
        return (status,) if ending == "fin" else (status, 503, "cut")
    if cut < head_bytes(data):
        has_part = cut and data[:cut][-4:] != b"\r\n\r\n"
        return (503,) if not has_part else (502,) if ending == "fin" else (502, 503)
    return ("cut",) if ending == "fin" else ("cut", 503)


@pytest.mark.parametrize("name", ["until-close", "chunked", "content-length"])
def test_body_that_came_before_the_cut_reaches_the_client(mesh, name):
    data = ANSWERS[name]
    cut_at(mesh.upstream, data[:head_bytes(data)] + (b"3\r\nhel\r\n" if name == "chunked" else b"hel"), "fin")
    with Client(mesh.port) as client:
        client.send(b"GET /act HTTP/1.1\r\nHost: a\r\n\r\n")
        if name == "until-close":
            assert client.answer().body == b"hel"
        else:
            with pytest.raises(Cut):
                client.answer()
    mesh.upstream.done.get(timeout=20)
    mesh.fresh()
