"""The load's process: an open-loop schedule over non-blocking sockets in one epoll loop. ``loss.Loss`` starts it.

Each request is due at a fixed time whatever became of those before it, and its latency counts from then; none is made
twice. Reads commands from standard input (``look``, ``ending``, ``stop``) and answers each with a line of JSON.
"""

import collections
import json
import os
import random
import re
import select
import sys
import time

from tests.integration.harness.loss_tally import Tally
from tests.integration.harness.loss_wire import CLOSED, Asker, WebSocket

BIG_BYTES = 262144
SMALL_BYTES = 1024
LOOK_S = 0.05
"""How often deadlines and WebSockets are looked at."""
REOPEN_S = 0.2
"""How long a WebSocket that ended is not opened again."""
BLOCK = bytes(range(256)) * (BIG_BYTES // 256)


def plain(kind, number):
    """Return (request, expected body) of a GET; the upstream says the target back."""
    target = b"/%b?n=%d" % (kind.encode(), number)
    return b"GET %b HTTP/1.1\r\nhost: loss\r\n\r\n" % target, target


def post(kind, number, size=SMALL_BYTES):
    """Return (request, expected body) of a POST with content-length."""
    body = (b"%d " % number + BLOCK)[:size]
    return b"POST /%b HTTP/1.1\r\nhost: loss\r\ncontent-length: %d\r\n\r\n%b" % (kind.encode(), size, body), body


def big(kind, number):
    """Return a POST of 256 KiB."""
    return post(kind, number, BIG_BYTES)


def chunked(kind, number):
    """Return a POST in two chunks."""
    first, second = b"%d first" % number, BLOCK[:SMALL_BYTES]
    parts = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (first, second, b""))
    return b"POST /%b HTTP/1.1\r\nhost: loss\r\ntransfer-encoding: chunked\r\n\r\n%b" % (kind.encode(), parts), \
        first + second


MAKERS = {"get": plain, "fresh": plain, "slow": plain, "post": post, "chunked": chunked, "big": big}


class Load:
    """``options`` are those of ``loss.Loss``."""

    def __init__(self, options):
        self.host, self.port = options["host"], options["port"]
        self.rate = options["rate"]
        self.patience_s = options["patience_s"]
        self.echo_every_s = options["echo_every_s"]
        self.poll = select.epoll()
        self.links = {}
        self.tally = Tally(time.monotonic(), options["explained"])
        self._random = random.Random(options["seed"])
        self._kinds, self._weights = list(options["mix"]), list(options["mix"].values())
        watched = options["watch"].encode()
        self._watched = re.compile(rb"\r\n%b: *([^\r]*)" % watched, re.I) if watched else None
        self._most, self._kept = options["most"], options["connections"]
        self._idle = collections.deque()
        self._waiting = collections.deque()
        self._sockets = [None] * options["websockets"]
        self._number = 0
        self._next_look = 0.0
        self._is_stopping = False
        for _ in range(options["connections"]):
            Asker(self, "idle", self.tally.began, self.tally.began)

    # What the links tell

    def rest(self, link):
        """A connection is free: the next request that waits is its, or it waits for one; a burst's are not kept."""
        if self._waiting:
            link.ask(self._waiting.popleft(), time.monotonic())
        elif len(self._idle) >= self._kept:
            link.close()
        else:
            self._idle.append(link)

    def watch(self, head):
        """Count the values of the response field that is watched."""
        if self._watched:
            found = self._watched.search(head)
            self.tally.seen[found[1].decode("latin-1") if found else ""] += 1

    # The schedule

    def run(self):
        """Ask until told to stop; then wait for what is in flight, and report."""
        self.poll.register(0, select.EPOLLIN)
        due = time.monotonic()
        while not self._is_stopping:
            now = time.monotonic()
            while due <= now:
                self._fire(due, now)
                due += 1 / self.rate
            self._turn(min(due, self._next_look) - now)
        until = time.monotonic() + self.patience_s + 1
        while self._in_flight() and time.monotonic() < until:
            self._turn(LOOK_S)
        self._tell()

    def _in_flight(self):
        return self._waiting or any(isinstance(link, Asker) and link.job for link in self.links.values())

    def _fire(self, due, now):
        self.tally.top("schedule", now - due)
        self.tally.counts["sent"] += 1
        self._number += 1
        kind = self._random.choices(self._kinds, self._weights)[0]
        job = (kind, *MAKERS[kind](kind, self._number), due)
        if kind == "fresh":
            Asker(self, kind, now, due).ask(job, now)
            return
        link = self._free()
        if link is not None:
            link.ask(job, now)
        elif len(self.links) < self._most:
            Asker(self, kind, now, due).ask(job, now)
        else:
            self._waiting.append(job)

    def _free(self):
        """Return the connection that has been idle for longest: each is used in turn."""
        while self._idle:
            link = self._idle.popleft()
            if link.state != CLOSED:
                return link
        return None

    def _turn(self, wait_s):
        for number, mask in self.poll.poll(max(0.0, wait_s)):
            if number == 0:
                self._obey()
            elif number in self.links:
                self.links[number].on_event(mask, time.monotonic())
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + LOOK_S
            self._look(now)

    def _look(self, now):
        for link in list(self.links.values()):
            link.look(now, self.patience_s)
        while self._waiting and now - self._waiting[0][3] > self.patience_s:
            kind, _, _, due = self._waiting.popleft()
            self.tally.lose(kind, "timeout: no connection was free", now, due)
        for place, one in enumerate(self._sockets):
            is_due = one is None or (one.state == CLOSED and now - one.since > REOPEN_S)
            if is_due and not (self.tally.is_ending or self._is_stopping):
                self._sockets[place] = WebSocket(self, now)

    # Commands

    def _obey(self):
        for command in os.read(0, 4096).decode().split() or ["stop"]:
            if command == "stop":
                self._is_stopping = True
                return
            self.tally.is_ending |= command == "ending"
            self._tell()

    def _tell(self):
        self.tally.counts["websockets_alive"] = sum(
            one is not None and one.state != CLOSED and one.is_open for one in self._sockets)
        print(json.dumps(self.tally.as_dict(time.monotonic())), flush=True)


if __name__ == "__main__":
    Load(json.loads(sys.argv[1])).run()
