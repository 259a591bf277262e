"""A close, a reset or garbage in each phase of an answer (fault 7): what the client gets; nobody gets the rest.

``tests/integration/test_cut_upstream.py`` has every byte, ``test_hostile_upstream.py`` every way to write an answer.
"""

import pytest

from tests.conversation.client import Client, Cut
from tests.conversation.mesh import Mesh
from tests.conversation.puppet import Puppet
from tests.conversation.recorder import read_body
from tests.integration.faults.phases import CUT, ENDINGS, GARBAGE, PHASES, expected

ROWS = [(phase, ending) for phase in PHASES for ending in ENDINGS]


@pytest.fixture(scope="module")
def mesh():
    with Mesh(Puppet(), route={"retry": {"retry": {"attempts": 0}}}) as made:
        yield made


def act_of(phase, ending, puppet):
    """Return what the upstream does with the request."""
    def act(peer, head):
        if phase.is_read:
            read_body(peer, head)
        peer.send(phase.data)
        if ending == "garbage":
            peer.send(GARBAGE)
            puppet.wait_end(peer)
        elif ending == "reset":
            peer.reset()
        return False
    return act


@pytest.mark.parametrize("phase, ending", ROWS, ids=[f"{phase.name}-{ending}" for phase, ending in ROWS])
def test_answer_that_fails_in_this_phase(mesh, phase, ending):
    puppet, wanted = mesh.upstream, expected(phase, ending)
    puppet.forget()
    puppet.act = act_of(phase, ending, puppet)
    mesh.fresh()
    with Client(mesh.port) as client:
        client.send(b"POST /act HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
        try:
            found = client.answer().status
        except (Cut, EOFError):
            found = CUT
        assert found in wanted.seen
        number = puppet.done.get(timeout=20)
        row = mesh.rows(client, 1)[0]
    assert (row["flags"], row["details"], row["attempts"]) in [(*end, 1) for end in wanted.ends], row
    mesh.fresh()
    assert puppet.seen[-1][0] != number, "a connection that had failed was used again"
    assert puppet.late == []


def test_no_phase_before_the_last_byte_looks_like_success():
    early = [phase for phase in PHASES if not phase.is_whole]
    assert all(200 not in expected(phase, ending).seen for phase in early for ending in ("close", "reset"))
