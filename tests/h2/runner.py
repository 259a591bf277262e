"""Runs server cases, on a session in memory or on a socket: ``python -m tests.h2.runner HOST:PORT [WORD ...]``."""

import socket
import sys
import time
from itertools import groupby

from meshd.http.h2.code import SETTINGS
from meshd.http.h2.session import start
from meshd.http.h2.settings import Settings
from meshd.http.h2.sink import Sink
from meshd.http.head import ResponseHead
from meshd.http.headers import Headers
from tests.h2.case import BARRIER, Case, Heard, Until
from tests.h2.wire import ACK, START, Reader, ping, settings_ack

SMALL = b"hello, this is a body"
BIG = b"0123456789" * 10000
SETTINGS_OF_MEMORY = Settings(
    initial_stream_window_size=65535, initial_connection_window_size=65535, max_concurrent_streams=10)

PATIENCE_S = 1.0


class App(Sink):
    """Answers a request once it is whole: ``/big`` with 100,000 bytes, others with a few. ``/hold`` is not consumed."""

    def __init__(self) -> None:
        self.session = None
        self.heads = {}
        self.counts = []

    def on_request(self, stream_id, head, is_last):
        self.heads[stream_id] = head
        if is_last:
            self._answer(stream_id)

    def on_body(self, stream_id, data):
        if self.heads[stream_id].path != b"/hold":
            self.session.consume(stream_id, len(data))

    def on_end(self, stream_id, trailers):
        self._answer(stream_id)

    def on_count(self, name):
        self.counts.append(name)

    def _answer(self, stream_id: int) -> None:
        head = self.heads[stream_id]
        body = BIG if head.path == b"/big" else SMALL
        fields = Headers.of((b"content-length", b"%d" % len(body)))
        self.session.respond(stream_id, ResponseHead(200, fields), head.method == b"HEAD")
        if head.method != b"HEAD":
            self.session.send(stream_id, body, True)


class MemoryTalk:
    """A conversation with a session of ours; ``engine`` is its."""

    holds = True

    def __init__(self, engine: str, settings: Settings = SETTINGS_OF_MEMORY) -> None:
        self.app = App()
        self.session = self.app.session = start("server", settings, self.app, engine)
        self._reader = Reader()
        self.heard = Heard(is_done=False)

    def send(self, data: bytes) -> None:
        """Let the session have bytes."""
        self.session.receive(data)

    def read(self) -> bool:
        """Read what there is; False where nothing came and nothing will."""
        data = self.session.take()
        self.heard.frames += self._reader.read(data)
        self.heard.is_over = self.session.is_closed
        return bool(data)

    def close(self) -> None:
        """Nothing to do."""


class SocketTalk:
    """A conversation over TCP. ``is_foreign``: with a server that is none of ours, ``holds``: that takes no body of
    /hold.
    """

    def __init__(self, address: tuple[str, int], patience_s: float = PATIENCE_S, is_foreign: bool = False,
                 holds: bool = False) -> None:
        self._socket = socket.create_connection(address, timeout=5)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = Reader()
        self._patience_s = patience_s
        self.holds = holds
        self.heard = Heard(is_foreign=is_foreign)

    def send(self, data: bytes) -> None:
        """Write bytes; what a peer that has closed does not take is lost."""
        try:
            self._socket.settimeout(5)
            self._socket.sendall(data)
        except OSError:
            pass

    def read(self) -> bool:
        """Read what comes next."""
        self._socket.settimeout(self._patience_s)
        try:
            data = self._socket.recv(1 << 16)
        except TimeoutError:
            return False
        except OSError:
            data = b""
        if not data:
            self.heard.is_over = True
            return False
        self.heard.frames += self._reader.read(data)
        return True

    def close(self) -> None:
        """Let go."""
        self._socket.close()


NOT_TRIED = "not tried"


def run(case: Case, talk) -> str:
    """Return "" where the peer did as the case says, else what it did."""
    try:
        return _run(case, talk)
    finally:
        talk.close()


def _run(case: Case, talk) -> str:
    heard = talk.heard
    talk.send(case.first)
    their = {}
    if case.first.startswith(START[:24]) and len(case.first) > 24:
        _listen(talk, lambda: any(frame.kind == SETTINGS and not frame.flags & ACK for frame in heard.frames))
        their = _settings(heard)
        talk.send(settings_ack())
    steps = None if case.is_held and not talk.holds else case.steps(their)
    if steps is None:
        return NOT_TRIED
    for is_until, group in groupby(steps, lambda step: isinstance(step, Until)):
        if is_until:
            for step in group:
                _listen(talk, lambda: any(frame.is_end and frame.stream_id == step.stream_id for frame in heard.frames))
        else:
            talk.send(b"".join(group))  # in one write: an answer that came in between would be another state
    if case.has_barrier:
        talk.send(ping(BARRIER))
    _listen(talk, lambda: case.expect.judge(heard) is not None)
    heard.is_done = True
    return case.expect.judge(heard)


def _listen(talk, is_enough) -> None:
    ends = time.monotonic() + 5
    while not is_enough() and not talk.heard.is_over and time.monotonic() < ends:
        if not talk.read():
            return


def _settings(heard: Heard) -> dict[int, int]:
    found = {}
    for frame in heard.of(SETTINGS):
        for at in range(0, len(frame.payload), 6):
            key = int.from_bytes(frame.payload[at:at + 2], "big")
            found[key] = int.from_bytes(frame.payload[at + 2:at + 6], "big")
    return found


def main(arguments: list[str]) -> int:
    """Run all cases, or those with one of the words in them, against an address; print what fails."""
    from tests.h2.cases import SERVER
    host, _, port = arguments[0].rpartition(":")
    failed = 0
    for case in SERVER:
        if arguments[1:] and not any(word in case.id for word in arguments[1:]):
            continue
        outcome = run(case, SocketTalk((host.strip("[]"), int(port)), is_foreign=True))
        failed += outcome not in ("", NOT_TRIED)
        print(f"{'ok' if not outcome else outcome if outcome == NOT_TRIED else 'FAILED'} {case.id}"
              + (f": {outcome}" if outcome and outcome != NOT_TRIED else ""))
    print(f"{failed} of {len(SERVER)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
