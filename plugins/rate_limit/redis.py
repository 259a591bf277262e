"""One connection to a Redis server, kept open, for the script of ``script``; one for each worker and endpoint.

Strategy: commands are sent as they come and answered in order (pipelining), so a queue of calls is all the bookkeeping.
Every call has the same time to be answered; after it the caller is told, and the answer, when it comes, is dropped.
A connection that has said nothing for ``STALL_S`` while calls wait is given up. While there is none, calls fail at
once, and it is opened again after a back-off, whether somebody asks or not. A state of things is logged once.
"""

from collections import deque

import attrs
from twisted.internet.defer import Deferred, fail

from meshd_plugins.rate_limit.resp import ErrorReply, Parser, RespError, command
from meshd_plugins.rate_limit.script import SHA, SOURCE
from meshd_plugins.rate_limit.store import StoreError

BACKOFF_S, MAX_BACKOFF_S = 0.05, 2.0
STALL_S = 1.0
MAX_CALLS = 4096
"""Calls without an answer at once; each takes some 400 bytes."""
DOWN, OPENING, READY, RESTING = "down", "opening", "ready", "resting"


@attrs.frozen
class Login:
    """What is said to a server first."""

    username: str = ""
    password: str = attrs.field(default="", repr=False)
    database: int = 0

    def commands(self):
        """Yield (what for, bytes)."""
        if self.password:
            yield "AUTH", command("AUTH", *filter(None, (self.username, self.password)))
        if self.database:
            yield "SELECT", command("SELECT", self.database)
        yield "SCRIPT LOAD", command("SCRIPT", "LOAD", SOURCE)


class Call:
    """One command on its way. ``deferred`` is None for those of the login, ``what`` its name."""

    __slots__ = ("what", "words", "deferred", "began", "deadline")

    def __init__(self, what, words, deferred, now, timeout_s):
        self.what = what
        self.words = words
        self.deferred = deferred
        self.began = now
        self.deadline = now + timeout_s


def backoff_s(failures, jitter):
    """Return the seconds until a connection is opened again: ``min(2, 0.05 * 2^(failures - 1)) * (1 + jitter) / 2``.

    ``failures`` in a row (at least 1), ``jitter`` a random number in [0, 1).
    """
    return min(MAX_BACKOFF_S, BACKOFF_S * 2 ** min(failures - 1, 30)) * (1 + jitter) / 2


class Client:
    """``use(site, cluster)`` comes first, and again with each runtime. The receiver of its stream."""

    def __init__(self, address, login, timeout_s):
        self.address = address
        self.state = DOWN
        self.reason = ""
        self._login = login
        self._timeout_s = timeout_s
        self._site = self._cluster = self._stream = self._timer = self._retry = None
        self._parser = Parser()
        self._sent, self._waiting, self._due = deque(), deque(), deque()
        self._failures = self._greetings = 0
        self._wake_at = 0.0
        self._said = ""

    def use(self, site, cluster):
        """Open connections by ``site`` to the cluster of this name from now on, and open one if there is none."""
        self._site = site
        self._cluster = cluster
        if self.state == DOWN:
            self._open()

    def take(self, key, rate_per_s, burst):
        """Return a Deferred of (is_admitted, level); fails with StoreError within the timeout."""
        now = self._site.clock.now()
        self._judge_stall(now)
        if self.state in (RESTING, DOWN):
            return fail(StoreError("connection", self.reason))
        if len(self._sent) + len(self._waiting) >= MAX_CALLS:
            return fail(StoreError("overflow", f"{MAX_CALLS} calls are waiting"))
        call = Call("EVALSHA", (1, key, repr(rate_per_s), burst), Deferred(), now, self._timeout_s)
        if self.state == READY:
            self._send(call, command("EVALSHA", SHA, *call.words))
        else:
            self._waiting.append(call)
        self._due.append(call)
        self._wake(call.deadline, now)
        return call.deferred

    def close(self):
        """Nobody wants it any more; it may be used again."""
        self._drop("nobody uses it", DOWN)
        for timer in (self._timer, self._retry):
            if timer is not None:
                timer.cancel()
        self._timer = self._retry = None

    # The connection

    def _open(self):
        self._retry = None
        self.state = OPENING
        self._parser = Parser()
        try:
            self._stream = self._site.connect(self._cluster, self, self.address)
        except KeyError:
            self._fall(f"no cluster {self._cluster!r}")

    def opened(self):
        """The stream is there: say who we are."""
        now = self._site.clock.now()
        calls = [(Call(what, (), None, now, STALL_S), data) for what, data in self._login.commands()]
        self._greetings = len(calls)
        for call, data in calls:
            self._send(call, data)
        self._wake(now + STALL_S, now)

    def received(self, data):
        """Replies have come."""
        stream = self._stream
        try:
            for reply in self._parser.receive(data):
                if not self._sent:
                    raise RespError("reply: nothing was asked")
                self._answer(self._sent.popleft(), reply)
                if self._stream is not stream:
                    return
        except RespError as error:
            self._fall(str(error))

    def lost(self, reason):
        """The stream has ended, or there was none."""
        self._stream = None
        self._fall(reason)

    def _fall(self, reason):
        """There is no connection: fail what waits, and open another after a while."""
        self._failures += 1
        self._complain(reason)
        self._drop(reason, RESTING)
        pause_s = backoff_s(self._failures, self._site.random.random())
        self._retry = self._site.clock.call_later(pause_s, self._open)

    def _drop(self, reason, state):
        self.state = state
        self.reason = reason
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
        calls = [*self._sent, *self._waiting]
        for queue in (self._sent, self._waiting, self._due):
            queue.clear()
        for call in calls:
            refuse(call, StoreError("connection", reason))

    # Calls

    def _send(self, call, data):
        self._sent.append(call)
        self._stream.send(data)

    def _answer(self, call, reply):
        """Give a call its reply."""
        is_error = isinstance(reply, ErrorReply)
        if call.deferred is None:
            self._greeted(call, reply.text if is_error else "")
        elif is_error and reply.code == "NOSCRIPT" and call.what == "EVALSHA":
            call.what = "EVAL"
            self._send(call, command("EVAL", SOURCE, *call.words))
        elif is_error:
            self._complain(f"{call.what} was refused: {reply.text}")
            refuse(call, StoreError("reply", reply.text))
        else:
            self._decide(call, reply)

    def _greeted(self, call, error):
        if error:
            self._fall(f"{call.what} was refused: {error}")
            return
        self._greetings -= 1
        if self._greetings:
            return
        self.state = READY
        self._failures = 0
        if self._said:
            self._site.log.info("redis {address}: works again", address=self.address)
            self._said = ""
        waiting, self._waiting = self._waiting, deque()
        for call in waiting:
            if not call.deferred.called:
                self._send(call, command("EVALSHA", SHA, *call.words))

    def _decide(self, call, reply):
        try:
            admitted, level = reply
            result = (admitted == 1, float(level))
        except (TypeError, ValueError):
            error = RespError(f"reply: expected a number and a level, got {reply!r:.60}")
            refuse(call, StoreError("reply", str(error)))
            raise error from None
        if not call.deferred.called:
            call.deferred.callback(result)

    # Time

    def _expire(self):
        """Tell those whose time is over; look again when the next one's is."""
        self._timer = None
        now = self._site.clock.now()
        due = self._due
        while due and (due[0].deferred.called or due[0].deadline <= now):
            refuse(due.popleft(), StoreError("timeout", f"no answer within {self._timeout_s:g} s"))
        self._judge_stall(now)
        if due:
            self._wake(due[0].deadline, now)
        elif self._sent:
            self._wake(self._sent[0].began + STALL_S, now)

    def _wake(self, at, now):
        """Look at the calls at ``at``, or earlier where that was said before."""
        if self._timer is not None:
            if self._wake_at <= at:
                return
            self._timer.cancel()
        self._wake_at = at
        self._timer = self._site.clock.call_later(max(0.0, at - now), self._expire)

    def _judge_stall(self, now):
        if self._sent and now - self._sent[0].began >= STALL_S:
            self._fall(f"no answer for {STALL_S:g} s")

    def _complain(self, reason):
        """Log a state of things once, until it is well again or another one."""
        if reason != self._said:
            self._said = reason
            self._site.log.warn("redis {address}: {reason}", address=self.address, reason=reason)


def refuse(call, error):
    """Tell the caller that there is no verdict, unless it knows or nobody asks."""
    if call.deferred is not None and not call.deferred.called:
        call.deferred.errback(error)
