"""Servers of HTTP/2 that are scripts, one for each client case, for clients that are programs of their own."""

import contextlib
import socket
import threading
import time

import attrs

from meshd.http.h2.code import HEADERS, REFUSED_STREAM, RST_STREAM
from tests.h2.case import BARRIER, Heard
from tests.h2.cases.client import ClientCase
from tests.h2.wire import END_STREAM, Reader, ping, rst

PREFACE_BYTES = 24
PATIENCE_S = 2.0


class Scripts:
    """``ports`` has where each case is played, ``heard`` what the client said on the first connection of each."""

    def __init__(self, cases, is_foreign: bool) -> None:
        self._listeners = {case.id: socket.create_server(("127.0.0.1", 0)) for case in cases}
        self.ports = {name: listener.getsockname()[1] for name, listener in self._listeners.items()}
        self.heard = {case.id: Heard(is_foreign=is_foreign) for case in cases}
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._serve, args=(case,), daemon=True) for case in cases]
        for thread in self._threads:
            thread.start()

    def _serve(self, case: ClientCase) -> None:
        """Play a case on one connection after another."""
        heard = self.heard[case.id]
        listener = self._listeners[case.id]
        listener.settimeout(0.2)
        while not self._is_over.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with connection, contextlib.suppress(OSError):
                self._play(connection, case, heard)
            heard = Heard()  # of those that come again nothing is asked

    def _play(self, connection, case: ClientCase, heard: Heard) -> None:
        connection.settimeout(0.2)
        reader = Reader()
        left = PREFACE_BYTES
        begun = 0
        has_greeted = False
        while not self._is_over.is_set():
            try:
                data = connection.recv(65536)
            except TimeoutError:
                continue
            except ConnectionError:
                data = b""
            if not data:
                heard.is_over = True
                return
            heard.frames += reader.read(data[left:])
            left -= min(left, len(data))
            if not has_greeted and heard.frames:
                has_greeted = True
                _send(connection, case.first or case.send)
            for request in heard.of(HEADERS)[begun:]:
                begun += 1
                again = rst(request.stream_id, REFUSED_STREAM)
                _send(connection, (case.send if case.first else b"") + ping(BARRIER) if begun == 1 else again)

    def close(self) -> None:
        """End it."""
        self._is_over.set()
        for thread in self._threads:
            thread.join()
        for listener in self._listeners.values():
            listener.close()


def _send(connection: socket.socket, data: bytes) -> None:
    """Write what the client may not take any more: what it said before is read all the same."""
    with contextlib.suppress(ConnectionError):
        connection.sendall(data)


@attrs.define
class Answer:
    """What a client of HTTP/1.1 got through the one that is tested; ``status`` is 0 where there was no answer."""

    status: int = 0
    body: bytes = b""
    is_whole: bool = False

    @property
    def is_success(self) -> bool:
        """Whether it looks like an answer of the server's."""
        return self.is_whole and self.status < 500


def ask(connection: socket.socket, path: str, method: str) -> Answer:
    """Send a request and read its answer, as far as it comes."""
    answer = Answer()
    file = connection.makefile("rb")
    with contextlib.suppress(OSError, ValueError, LookupError):
        connection.sendall(f"{method} {path} HTTP/1.1\r\nhost: a.example\r\n\r\n".encode())
        while answer.status < 200:
            answer.status = int(file.readline().split()[1])
            fields = {}
            while line := file.readline().strip():
                name, _, value = line.partition(b":")
                fields[name.lower()] = value.strip()
        answer.is_whole = method == "HEAD" or answer.status == 304 or _read_body(file, fields, answer)
    return answer


def _read_body(file, fields: dict[bytes, bytes], answer: Answer) -> bool:
    """Read a body into ``answer``; say whether it is whole."""
    if b"content-length" in fields:
        size = int(fields[b"content-length"])
        answer.body = file.read(size)
        return len(answer.body) == size
    if fields.get(b"transfer-encoding") != b"chunked":
        answer.body = file.read()
        return True
    while size := int(file.readline().split(b";")[0], 16):
        answer.body += file.read(size)
        file.readline()
    return True


def judge(case: ClientCase, heard: Heard, answer: Answer, is_strict: bool = False) -> str | None:
    """Return "" where client and answer are as the case says, None where they may still be, else what there was.

    ``is_strict``: a stream error must not end the connection.
    """
    verdicts = [_judge(case, told, heard, answer, is_strict) for told in (case.told, *case.others)]
    if True in verdicts:
        return ""
    if None in verdicts and not heard.is_done:
        return None
    return f"{heard.summary}; answer {answer.status}" + ("" if answer.is_whole else " in part")


def _judge(case: ClientCase, told: tuple, heard: Heard, answer: Answer, is_strict: bool) -> bool | None:
    goaway = heard.goaway
    is_broken = goaway is not None and goaway.code or heard.is_over
    has_code = goaway is None or not goaway.code or heard.allows(goaway.code, case.codes)
    if "error" in told:
        return is_broken and has_code and ("response" in told or not answer.is_success) or None
    if "reset" in told and case.codes:
        if answer.is_success and case.method != b"HEAD":
            return False
        resets = [frame.code for frame in heard.of(RST_STREAM, 1)]
        if any(not heard.allows(code, case.codes) for code in resets):
            return False
        if heard.is_alive and (resets or _has_ended(case.send)):
            return True
        return has_code and not is_strict if is_broken else None
    is_alive = heard.is_alive or "goaway" in told and not (goaway is not None and goaway.code)
    if "reset" in told:
        return answer.status >= 500 and is_alive or None
    return answer == Answer(case.status, case.body, True) and is_alive or None


def _has_ended(sent: bytes) -> bool:
    """Say whether the script has ended stream 1: of one that is closed nothing need be said."""
    while len(sent) >= 9:
        if sent[3] in (0, HEADERS) and sent[4] & END_STREAM and sent[5:9] == b"\0\0\0\1":
            return True
        sent = sent[9 + int.from_bytes(sent[:3], "big"):]
    return False


def play(case: ClientCase, number: int, port: int, scripts: Scripts, is_strict: bool = False) -> str:
    """Ask for a case through a proxy at ``port``; return the outcome."""
    heard = scripts.heard[case.id]
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        answer = ask(connection, f"/{number}", case.method.decode())
        ends = time.monotonic() + PATIENCE_S
        while (outcome := judge(case, heard, answer, is_strict)) is None:
            time.sleep(0.01)
            heard.is_done = time.monotonic() > ends
    return outcome
