"""Plays the table of hostile requests to meshd, Envoy, nginx and HAProxy and writes docs/conformance.md.

    python -m tests.conversation.verdicts

The four run side by side, each in front of an upstream of their own; it takes some three minutes.
"""

import contextlib
import pathlib
import re
import socket
import sys
import tempfile
import threading
from functools import partial
from itertools import groupby

from tests.conversation import peers
from tests.conversation.cases import CASES
from tests.conversation.client import Client, Cut
from tests.conversation.expected import expect
from tests.conversation.reasons import INTRODUCTION, REASONS
from tests.conversation.recorder import Seen
from tests.integration.harness.upstream import Upstream, reply

LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.I).search
PAGE = pathlib.Path(__file__).parents[2] / "docs" / "conformance.md"
SILENCE_S = 0.4
PEERS = {"meshd": peers.meshd, "Envoy": partial(peers.running, peers.envoy),
         "nginx": partial(peers.running, peers.nginx), "HAProxy": partial(peers.running, peers.haproxy)}


class Reader(Upstream):
    """An upstream that takes what comes: ``whole`` are the requests that it could read."""

    def __init__(self):
        self.whole = []
        super().__init__(self.serve)

    def serve(self, peer):
        """Answer each with 200."""
        with contextlib.suppress(ValueError):
            while True:
                head = peer.head()
                length = LENGTH(head)
                body = peer.read(int(length[1])) if length else peer.body(head)
                self.whole.append(Seen(head, body, []))
                peer.send(reply(b"ok"))


def judge(port, upstream, case):
    """Return what a proxy made of a case, in the words of the page."""
    mark = len(upstream.whole)
    heard = []
    with Client(port, SILENCE_S) as client:
        with contextlib.suppress(socket.timeout):
            client.send(case.data)
        with contextlib.suppress(socket.timeout, Cut, EOFError, AssertionError):
            while True:
                heard.append(client.answer())
        is_closed = client.is_ended or bool(heard) and heard[-1].closes
    return words([one.status for one in heard], is_closed, [one.body for one in upstream.whole[mark:]], case)


def words(statuses, is_closed, bodies, case):
    """Return the statuses, ``closed``, and what the upstream was told where that does not follow from them."""
    runs = [(status, len(list(same))) for status, same in groupby(statuses)]
    told = [f"{status} ×{count}" if count > 1 else str(status) for status, count in runs]
    told += ["closed"] if is_closed else [] if statuses else ["waits"]
    if len(bodies) != sum(status == 200 for status in statuses):
        told.append(f"(forwarded {len(bodies)})")
    elif not case.status:
        told += [] if bodies == [request.body for request in case.requests][:len(bodies)] else ["(another body)"]
    elif bodies and case.data.startswith(b"POST"):
        told.append(f"(body of {', '.join(str(len(body)) for body in bodies)})")
    return " ".join(told)


def expected(case):
    """Return the words for what meshd has to do, which the tests hold it to."""
    wanted = expect(case)
    return words(wanted.statuses, wanted.is_closed, [request.body for request in wanted.requests], case)


def collect():
    """Return ({peer: version}, {peer: {case: words}})."""
    versions, found = {}, {}

    def play(name, run):
        with Reader() as upstream, tempfile.TemporaryDirectory() as folder:
            with run(folder, upstream.address) as (port, versions[name]):
                found[name] = {case.name: judge(port, upstream, case) for case in CASES}

    threads = [threading.Thread(target=play, args=item) for item in PEERS.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found.keys() == PEERS.keys(), f"expected all of {list(PEERS)}, got {list(found)}"
    return versions, found


def page(versions, found):
    """Return the page."""
    parts = [INTRODUCTION.format(**versions)]
    for group, cases in groupby(CASES, lambda case: case.name.partition("/")[0]):
        title, reason = REASONS[group]
        parts += [f"\n## {title}\n\n{reason}\n\n| case | {' | '.join(PEERS)} |\n|---|{'---|' * len(PEERS)}\n"]
        for case in cases:
            row = [found[name][case.name] for name in PEERS]
            parts.append(f"| `{case.name}` | {' | '.join(row)} |\n")
    return "".join(parts)


def read(text):
    """Return {case: {peer: words}} of the page's tables."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return {row[0].strip("`"): dict(zip(PEERS, row[1:], strict=True)) for row in rows}


if __name__ == "__main__":
    text = page(*collect())
    PAGE.write_text(text)
    sys.stdout.write(f"{len(read(text))} cases written to {PAGE.name}\n")
