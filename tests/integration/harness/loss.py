"""A load that proves that nothing is lost: it never asks twice, and each answer is compared with what was asked.

    with Echo() as echo, Daemon(one_cluster(echo.address)) as daemon, Loss(daemon.port) as load:
        load.warm()
        ...                       # the fault
        result = load.stop()
        result.assert_nothing_lost()

Lost is: no whole answer, a wrong answer, a status other than 200 that the fault does not explain, a connection refused.
A connection that closes after an answer with ``connection: close`` is none; one that closes without a word counts as
``unannounced``, and where a request was on its way it is lost as ``raced``. The upstream must be ``echo.Echo``.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
MIX = {"get": 44, "fresh": 25, "slow": 10, "post": 12, "chunked": 8, "big": 1}
"""Weights: GETs on kept connections and on new ones, answers after 0.1 s, POSTs of 1 KiB, in chunks, of 256 KiB."""
REQUESTS_PER_CONNECTION = 8
"""At most as many kept connections as are used so often a second: a drain gives an idle one only a second."""


def touches(row, spans):
    """Say whether a request or WebSocket was due, or ended, in or across one of these (begin, end)."""
    return any(begin <= row["at_s"] and row.get("due_s", row["at_s"]) <= end for begin, end in spans)


class Result:
    """What the load has seen; times are seconds after its start. ``losses`` has the first 2,000, ``lost`` counts all.

    ``excused`` maps each second in which a status was explained to how many were. ``first_refused_s`` is None where no
    connect was refused; ``connect_s`` is the longest connect, ``schedule_s`` how late the load itself was at most.
    """

    def __init__(self, found):
        count = found["counts"].get
        self.began, self.first_refused_s = found["began"], found["first_refused_s"]
        self.seconds, self.kinds, self.reasons, self.seen = (
            found["seconds"], found["kinds"], found["reasons"], found["seen"])
        self.sent, self.answered, self.lost = count("sent", 0), count("answered", 0), count("lost", 0)
        self.explained = sum(number for name, number in found["counts"].items() if name.startswith("explained_"))
        self.excused = {int(second): number for second, number in found["excused"].items()}
        self.refused, self.raced, self.unannounced, self.announced = (
            count(name, 0) for name in ("refused", "raced", "unannounced", "announced"))
        self.echoes, self.opened, self.alive, self.closed_count = (
            count(name, 0) for name in ("echoes", "websockets_opened", "websockets_alive", "websockets_closed"))
        self.losses, self.closed, self.latency_s = found["losses"], found["closed"], found["latency_s"]
        self.connect_s = found["most_s"].get("connect", 0.0)
        self.schedule_s = found["most_s"].get("schedule", 0.0)

    def outside(self, spans):
        """Return the losses, and the ends of WebSockets, that touch none of these (begin, end)."""
        return [row for row in self.losses + self.closed if not touches(row, spans)]

    def assert_nothing_lost(self):
        """Fail, with all that is known, where anything was lost or nothing was asked."""
        assert self.answered + self.explained > 0, f"nothing was answered\n{self}"
        assert not self.lost, str(self)

    def __str__(self):
        times = ", ".join(f"{name} {seconds * 1e3:.1f} ms" for name, seconds in self.latency_s.items())
        lines = [
            f"{self.sent} requests in {self.seconds:.1f} s: {self.answered} answered, {self.explained} explained, "
            f"{self.lost} lost, {self.raced} raced; closes {self.announced} announced, {self.unannounced} not",
            f"latency {times}; connect at most {self.connect_s * 1e3:.1f} ms, {self.refused} refused; "
            f"the load itself at most {self.schedule_s * 1e3:.0f} ms late",
            f"WebSockets: {self.opened} opened, {self.alive} alive, {self.closed_count} closed, {self.echoes} echoes",
            *(f"lost: {count} {reason}" for reason, count in self.reasons.items()),
            *(f"lost at {row['at_s']:.3f} s, due {row['due_s']:.3f}: {row['kind']}: {row['reason']}"
              for row in self.losses[:10]),
        ]
        return "\n".join(lines)


class Loss:
    """The load's process. ``watch`` is a response field whose values are counted (``Result.seen``); ``explained`` are
    statuses that the fault explains; an answer that takes longer than ``patience_s`` is lost. ``prefix`` is a command
    before its own (``ip netns exec``, say), ``host`` the address that it asks.
    """

    def __init__(self, port, *, rate=500, mix=None, websockets=8, watch="", explained=(), patience_s=15.0,
                 echo_every_s=0.25, connections=None, most=512, seed=1, host="127.0.0.1",
                 prefix=()):
        connections = max(1, min(32, rate // REQUESTS_PER_CONNECTION)) if connections is None else connections
        options = {
            "host": host, "port": port, "rate": rate, "mix": MIX if mix is None else mix, "websockets": websockets,
            "watch": watch, "explained": list(explained), "patience_s": patience_s, "echo_every_s": echo_every_s,
            "connections": connections, "most": most, "seed": seed,
        }
        self._websockets = websockets
        self._rate = rate
        self._result = None
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-S", "-m", "tests.integration.harness.loss_load", json.dumps(options)], cwd=ROOT,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.began = self.look().began

    def _command(self, word):
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the load has ended with {self.process.wait(10)}"
        return Result(json.loads(line))

    def now(self):
        """Return seconds since the load's start, to compare with a Result's times."""
        return time.monotonic() - self.began

    def look(self):
        """Return what it has seen so far."""
        return self._command("look")

    def warm(self, count=None, limit_s=30.0):
        """Wait for so many more answers (a second's worth), and for every WebSocket."""
        goal = self.look().answered + (self._rate if count is None else count)
        until = time.monotonic() + limit_s
        while (found := self.look()).answered < goal or found.alive < self._websockets:
            assert time.monotonic() < until, f"no such load after {limit_s} s\n{found}"
            time.sleep(0.05)

    def ending(self):
        """Tell it that the listener may end from now on: a refused connect is no loss any more."""
        self._command("ending")

    def stop(self):
        """Ask no more, wait for what is in flight, return the Result."""
        if self._result is None:
            self._result = self._command("stop")
            self.process.stdin.close()
            self.process.wait(10)
            self.process.stdout.close()
        return self._result

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
