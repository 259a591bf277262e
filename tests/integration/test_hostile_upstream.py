"""Hostile and odd upstreams behind the real daemon: each row of ``tests.conversation.answers``, in one write and many.

After each row a fresh request gets its own answer, and a connection is used again only where both sides can.
"""

import pytest

from tests.conversation.client import Client, Cut
from tests.conversation.mesh import Mesh
from tests.conversation.outcome import ROWS, expect, plays
from tests.conversation.puppet import Puppet
from tests.integration.harness.daemon import MODE

OURS = (b"transfer-encoding", b"connection", b"upgrade")


@pytest.fixture(scope="module")
def mesh():
    with Mesh(Puppet(), route={"upgrades": ["websocket"]}) as made:
        yield made


@pytest.mark.parametrize("mode", ["whole", "split"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_conversation(mesh, row, mode):
    wanted, puppet = expect(row), mesh.upstream
    puppet.play(row.data, mode, **plays(row))
    mark = len(puppet.seen)
    is_tunnel = bool(row.answers) and row.answers[-1].ending == "tunnel"
    with Client(mesh.port) as client:
        client.send(row.method + b" /act HTTP/1.1\r\nHost: a\r\n")
        client.send(b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n" if is_tunnel else b"\r\n")
        if wanted.is_cut:
            with pytest.raises((Cut, EOFError)):
                client.answer(row.method)
        else:
            heard = client.answer(row.method)
            check_answer(row, wanted, heard)
            if is_tunnel:
                assert client.until_end() == row.answers[-1].body
        number = puppet.done.get(timeout=20)
        if not wanted.is_cut and not is_tunnel:
            assert not heard.closes
            mesh.fresh(client)
    mesh.fresh()
    assert puppet.late == []
    assert [head.split(b" ")[1][:5] for _, head in puppet.seen[mark:]].count(b"/act") == 1
    is_reused = puppet.seen[-1][0] == number
    if MODE == "workers":  # a fresh client may be another worker's, which has connections of its own
        assert wanted.is_reused or not is_reused
    else:
        assert is_reused == wanted.is_reused
    line = mesh.rows(client, 1)[0]
    assert (line["status"], line["flags"], line["details"]) == (wanted.status, wanted.flag, wanted.detail)


def check_answer(row, wanted, heard):
    assert heard.status == wanted.status
    interim = [answer.status for answer in row.answers if answer.status < 200 and answer.ending == "end"]
    assert [status for status, _ in heard.interim] == interim
    if wanted.body is not None and heard.status != 101:
        assert heard.body == wanted.body
    if row.names is not None:
        assert [name for name, _ in heard.fields if name not in OURS] == list(row.names)
