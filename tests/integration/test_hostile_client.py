"""Hostile and odd clients against the real daemon: every row of ``tests.conversation.cases``, in one write and in many.

After each row a fresh request gets its own answer, and the upstream has seen exactly the requests that it should have.
"""

import pytest

from tests.conversation.cases import CASES
from tests.conversation.client import Client
from tests.conversation.expected import expect
from tests.conversation.mesh import Mesh

ADDED = (b"x-forwarded-for", b"x-forwarded-proto", b"x-request-id", b"transfer-encoding", b"connection")


@pytest.fixture(scope="module")
def mesh():
    with Mesh() as made:
        yield made


@pytest.mark.parametrize("mode", ["whole", "split"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_conversation(mesh, case, mode):
    wanted = expect(case)
    mark = len(mesh.upstream.whole)
    with Client(mesh.port) as client:
        client.send(case.data, mode)
        heard = [client.answer() for _ in wanted.statuses]
        assert [one.status for one in heard] == list(wanted.statuses), heard
        assert [one.closes for one in heard] == [False] * (len(heard) - 1) + [wanted.is_closed]
        if wanted.is_closed:
            assert (client.until_end(), client.is_reset) == (b"", False)
        else:
            mesh.fresh(client)
    mesh.fresh()
    seen = mesh.upstream.whole[mark:]
    check_forwarded(mesh, client, case, seen[:len(wanted.requests)], wanted.requests, heard)
    assert [one.target[:7] for one in seen[len(wanted.requests):]] == [b"/fresh/"] * (1 if wanted.is_closed else 2)
    check_log(mesh, client, wanted)


def check_forwarded(mesh, client, case, seen, requests, heard):
    assert [one.faults() for one in seen] == [[]] * len(requests)
    told = [(one.method, one.target, one.get(b"host")[0].lower(), one.body) for one in seen]
    assert told == [(one.method, one.target, one.host or b"127.0.0.1:%d" % mesh.port, one.body) for one in requests]
    for one, answer in zip(seen, heard, strict=False):
        assert answer.body == one.head + one.body
    if case.names is not None and seen:
        names = [name for name, _ in seen[-1].fields if name not in ADDED]
        assert sorted(names) == sorted(name for name in case.names if name not in ADDED)
    if seen:
        assert seen[-1].get(b"x-forwarded-for")[0].endswith(client.host.encode())


def check_log(mesh, client, wanted):
    rows = mesh.rows(client, len(wanted.statuses))[:len(wanted.statuses)]
    assert [row["status"] for row in rows] == list(wanted.statuses)
    flags = [row["flags"] for row in rows]
    if wanted.detail:
        assert (flags[-1], rows[-1]["details"]) == (wanted.flag, wanted.detail)
        flags.pop()
    assert flags == ["-"] * len(flags)
