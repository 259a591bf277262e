"""The load's connections: non-blocking, never asking twice. Used by ``loss_load`` in the load's process.

Strategy: a link is connecting, idle, busy with one request, or closed. What the server does is judged at once: an end
in the middle of an answer is ``cut``, one before the first byte is ``closed``, or ``raced`` where the connection had
served before (it was closed just as the request was on its way, which a server that announces its closes never does).
"""

import errno
import os
import re
import select
import socket

from tests.integration.harness.echo import CHUNKED, LENGTH, chunks

CLOSE = re.compile(rb"\r\nconnection: *close", re.I)
CONNECTING, IDLE, BUSY, CLOSED = "connecting", "idle", "busy", "closed"
READ_BYTES = 262144
WORDS = {errno.ECONNREFUSED: "refused", errno.ECONNRESET: "reset", errno.EPIPE: "reset"}


def word(number):
    """Return a name for an error number."""
    return WORDS.get(number) or os.strerror(number).lower()


class Answer:
    """Collects one answer. ``is_whole`` when it is; ValueError where it is none."""

    __slots__ = ("data", "head", "status", "body", "closes", "surplus", "is_whole")

    def __init__(self):
        self.data = bytearray()
        self.head = self.body = self.surplus = b""
        self.status = 0
        self.closes = self.is_whole = False

    def take(self, data):
        """Take what came."""
        self.data += data
        if not self.status:
            self._take_head()
        if self.status and not self.is_whole:
            self._take_body()

    def _take_head(self):
        end = self.data.find(b"\r\n\r\n")
        if not b"HTTP/1.1 ".startswith(self.data[:9]):
            raise ValueError(f"garbled: {bytes(self.data[:20])!r}")
        if end < 0:
            return
        self.head = bytes(self.data[:end + 4])
        self.status = int(self.head[9:12])
        self.closes = CLOSE.search(self.head) is not None
        del self.data[:end + 4]

    def _take_body(self):
        if CHUNKED.search(self.head):
            body, end = chunks(self.data, 0)
        else:
            length = LENGTH.search(self.head)
            end = int(length[1]) if length else 0
            body = bytes(self.data[:end]) if len(self.data) >= end else None
        if body is not None:
            self.is_whole, self.body, self.surplus = True, body, bytes(self.data[end:])


class Link:
    """One connection of the load: the part that is the same for requests and WebSockets."""

    def __init__(self, load, kind, now, due):
        self.load = load
        self.kind = kind
        self.since = now
        self.due = due
        self.state = CONNECTING
        self.out = memoryview(b"")
        self.mask = select.EPOLLOUT
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        load.links[self.sock.fileno()] = self
        load.poll.register(self.sock, self.mask)
        error = self.sock.connect_ex((load.host, load.port))
        if error not in (0, errno.EINPROGRESS):
            self.refused(error, now)

    def on_event(self, mask, now):
        """The poll says something."""
        if self.state == CONNECTING:
            error = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                self.refused(error, now)
                return
            self.load.tally.top("connect", now - self.since)
            self.connected(now)
        elif mask & ~select.EPOLLOUT:
            self.read(now)
        if self.state != CLOSED:
            self.write(now)

    def refused(self, error, now):
        """The connection was not made."""
        self.close()
        if error == errno.ECONNREFUSED:
            self.load.tally.refuse(self.kind, now, self.due)
        else:
            self.load.tally.lose(self.kind, f"connect: {word(error)}", now, self.due)

    def read(self, now):
        """Take what came."""
        try:
            data = self.sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self.ended(word(error.errno), now)
            return
        if data:
            self.received(data, now)
        else:
            self.ended("closed", now)

    def write(self, now):
        """Send what waits; an error is seen by the next read, after an answer that may have come before it."""
        try:
            while self.out:
                self.out = self.out[self.sock.send(self.out):]
        except BlockingIOError:
            pass
        except OSError:
            self.out = memoryview(b"")
        mask = select.EPOLLIN | (select.EPOLLOUT if self.out else 0)
        if mask != self.mask:
            self.mask = mask
            self.load.poll.modify(self.sock, mask)

    def close(self):
        """Close it."""
        if self.state != CLOSED:
            self.state = CLOSED
            del self.load.links[self.sock.fileno()]
            self.sock.close()


class Asker(Link):
    """Makes requests one after the other; ``job`` is the one in flight: (kind, bytes, expected body, due)."""

    job = None
    served = 0
    answer = None

    def ask(self, job, now):
        """Make a request, at once or when the connection stands."""
        self.job = job
        self.kind, data, _, self.due = job
        self.answer = Answer()
        self.out = memoryview(data)
        if self.state != CONNECTING:
            self.state = BUSY
            self.write(now)

    def connected(self, now):
        """The connection stands."""
        self.state = BUSY if self.job else IDLE
        if not self.job:
            self.load.rest(self)

    def received(self, data, now):
        """Judge what came."""
        if self.state == IDLE:
            self.lose(f"surplus: {data[:20]!r}", now)
            return
        try:
            self.answer.take(data)
        except ValueError as error:
            self.lose(str(error), now)
            return
        if self.answer.is_whole:
            self.done(now)

    def done(self, now):
        """The answer is whole: is it the right one?"""
        answer, tally = self.answer, self.load.tally
        kind, _, expected, due = self.job
        if answer.status != 200 and answer.status not in tally.explained:
            self.lose(f"status {answer.status}", now)
        elif answer.surplus or (answer.status == 200 and answer.body != expected):
            self.lose("wrong answer", now)
        else:
            tally.answer(kind, answer.status, now, due)
            self.load.watch(answer.head)
            self.free(answer.closes)

    def free(self, closes):
        """Go on to the next request, or close."""
        self.served += 1
        self.job = None
        self.load.tally.counts["announced"] += closes
        if closes or self.kind == "fresh" or self.out:
            self.close()
        else:
            self.state = IDLE
            self.load.rest(self)

    def lose(self, reason, now):
        """The request in flight is lost; the connection is of no use any more."""
        self.load.tally.lose(self.kind, reason, now, self.due)
        self.job = None
        self.close()

    def ended(self, why, now):
        """The server has closed or reset."""
        if self.state == IDLE:
            self.load.tally.counts["unannounced"] += 1
            self.close()
        elif self.answer.status or self.answer.data:
            self.lose(f"cut ({why})", now)
        elif self.served:
            self.load.tally.counts["raced"] += 1
            self.lose(f"raced ({why})", now)
        else:
            self.lose(why, now)

    def look(self, now, patience_s):
        """Give up a request that has waited for too long."""
        if self.job and now - self.due > patience_s:
            self.lose("timeout", now)


class WebSocket(Link):
    """Holds a WebSocket open; sends a frame with a counter every ``every_s`` and wants the same bytes back."""

    REQUEST = (b"GET /ws HTTP/1.1\r\nhost: loss\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
               b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
    MASK = b"\x00\x00\x00\x00"
    """RFC 6455 5.3 wants a mask on what a client sends; zeros leave the counter readable."""

    def __init__(self, load, now):
        self.answer = Answer()
        self.owed = b""
        self.count = 0
        self.is_open = False
        super().__init__(load, "websocket", now, now)

    def connected(self, now):
        """Ask for the upgrade."""
        self.state = BUSY
        self.out = memoryview(self.REQUEST)

    def received(self, data, now):
        """Judge what came: the answer to the upgrade, then echoes."""
        if not self.is_open:
            self._agreed(data, now)
        elif self.owed.startswith(data):
            self.owed = self.owed[len(data):]
            self.load.tally.counts["echoes"] += not self.owed
        else:
            self._lose("wrong echo", now)

    def _agreed(self, data, now):
        try:
            self.answer.take(data)
        except ValueError as error:
            self._lose(str(error), now)
            return
        if self.answer.status == 101:
            self.is_open = True
            self.since = now
            self.load.tally.counts["websockets_opened"] += 1
        elif self.answer.status:
            self._lose(f"status {self.answer.status}", now)

    def look(self, now, patience_s):
        """Send the next frame; an echo or the upgrade must come in time."""
        if now - self.due > patience_s and (self.owed or not self.is_open):
            self._lose("timeout", now)
        elif self.is_open and not self.owed and now - self.due >= self.load.echo_every_s:
            self.count += 1
            text = b"%d" % self.count
            self.owed = b"\x81" + bytes([0x80 | len(text)]) + self.MASK + text
            self.out = memoryview(self.owed)
            self.due = now
            self.write(now)

    def _lose(self, reason, now):
        self.load.tally.lose(self.kind, reason, now, self.due)
        self.close()

    def ended(self, why, now):
        """The server has ended it: told apart from losses, for a drain's deadline may do so."""
        if self.is_open:
            self.load.tally.close(now, self.since, why, bool(self.owed))
        else:
            self.load.tally.lose(self.kind, why, now, self.due)
        self.close()
