"""Plays the table of hostile requests to meshd, Envoy, nginx and HAProxy and writes docs/conformance.md.

    python -m tests.conversation.verdicts

The four run side by side, each in front of an upstream of their own; it takes some four minutes.
"""

import contextlib
import pathlib
import queue
import re
import socket
import sys
import tempfile
import threading
import time
from functools import partial
from itertools import groupby

from tests.conversation import answers, outcome, peers
from tests.conversation.cases import CASES
from tests.conversation.client import Client, Cut
from tests.conversation.expected import expect
from tests.conversation.outcome import ROWS, plays
from tests.conversation.puppet import Puppet
from tests.conversation.reasons import INTRODUCTION, REASONS
from tests.conversation.recorder import Seen
from tests.integration.harness.upstream import Upstream, reply
from tests.integration.process import wait_for

LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.I).search
PAGE = pathlib.Path(__file__).parents[2] / "docs" / "conformance.md"
SILENCE_S = 0.4
ANSWER_SILENCE_S = 1.5
"""Longer than Envoy waits before it closes (delayed_close_timeout)."""
SWITCH = b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" \
         b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
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
    told = [phrase(statuses)] if statuses else []
    told += ["closed"] if is_closed else [] if statuses else ["waits"]
    if len(bodies) != sum(status == 200 for status in statuses):
        told.append(f"(forwarded {len(bodies)})")
    elif not case.status:
        told += [] if bodies == [request.body for request in case.requests][:len(bodies)] else ["(another body)"]
    elif bodies and case.data.startswith(b"POST"):
        told.append(f"(body of {', '.join(str(len(body)) for body in bodies)})")
    return " ".join(told)


class Lenient(Client):
    """A client that takes a status line of HTTP/1.0 too."""

    status_line = staticmethod(re.compile(rb"HTTP/1\.[01] [1-5][0-9][0-9](?: [\t -~\x80-\xff]*)?").fullmatch)


def judge_answer(port, puppet, row):
    """Return what a client got of an upstream's answer, in the words of the page."""
    over = threading.Event()

    def act(peer, head):
        with contextlib.suppress(OSError):
            peer.send(row.data)
            if not plays(row).get("is_closed"):
                over.wait(60)
    puppet.forget()
    puppet.act = act
    told = []
    with Lenient(port, ANSWER_SILENCE_S) as client:
        client.send(row.method + b" /act HTTP/1.1\r\nHost: a\r\n" + (SWITCH if is_tunnel(row) else b"\r\n"))
        try:
            heard = client.answer(row.method)
            told = [status for status, _ in heard.interim] + [heard.status]
            if not row.refusal and heard.status == 200 and heard.body != row.answers[-1].body:
                told.append("(another body)")
            told += ["closed"] if heard.closes else []
        except socket.timeout:
            told = ["waits"]
        except AssertionError:
            told = ["relayed"]
        except (Cut, EOFError):
            told = ["cut"]
    over.set()
    with contextlib.suppress(queue.Empty):
        puppet.done.get(timeout=5)
    wait_for(lambda: not puppet.open, "the end of the upstream's connections")
    time.sleep(0.1)  # so that the proxy has seen it too
    return phrase(told)


def is_tunnel(row):
    """Say whether the request of a row asks for an upgrade."""
    return bool(row.answers) and row.answers[-1].ending == "tunnel"


def phrase(told):
    """Return words, with a count where one comes again."""
    runs = [(word, len(list(same))) for word, same in groupby(told)]
    return " ".join(f"{word} ×{count}" if count > 1 else str(word) for word, count in runs)


def expected_answer(row):
    """Return the words for what a client of meshd has to get, which the tests hold it to."""
    wanted = outcome.expect(row)
    interim = [answer.status for answer in row.answers if answer.status < 200 and answer.ending == "end"]
    return "cut" if wanted.is_cut else phrase([*interim, wanted.status])


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
        with Puppet() as puppet, tempfile.TemporaryDirectory() as folder:
            with run(folder, puppet.address) as (port, _):
                found[name] |= {row.name: judge_answer(port, puppet, row) for row in ROWS}

    threads = [threading.Thread(target=play, args=item) for item in PEERS.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found.keys() == PEERS.keys(), f"expected all of {list(PEERS)}, got {list(found)}"
    return versions, found


def group_of(case):
    """Return the key of a row's section."""
    group = case.name.partition("/")[0]
    if group != "resp":
        return group
    return next(name for name in ("FIELDS", "LENGTHS", "CHUNKS", "BODILESS", "INTERIM", "HOPS")
                if case in getattr(answers, name))


def page(versions, found):
    """Return the page."""
    parts = [INTRODUCTION.format(**versions)]
    for group, cases in groupby([*CASES, *ROWS], group_of):
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
