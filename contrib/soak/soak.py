#!/usr/bin/env python3
"""Runs meshd for long under a load that never asks twice, with reloads, deaths and changes, and looks for growth.

The load is mixed (GETs on kept and on new connections, POSTs, chunked and big bodies, slow answers, WebSockets), with
HTTP/1.1 and HTTP/2 over TLS and a hop of mutual TLS beside it, whose certificates live ten minutes and are replaced
(renewal.py). It passes where nothing was lost but by a kill, new connections soon have the new certificates, memory and
descriptors stand still after a warm-up, and the log has no unhandled error. Run it from a checkout, with the Python
that has meshd. Exit code 0: passed, or undecided without --strict; 1: failed.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.integration.harness.daemon import Daemon, document  # noqa: E402
from tests.integration.harness.echo import Echo  # noqa: E402
from tests.integration.harness.loss import Loss, Result, touches  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parent))

import renewal  # noqa: E402
import slope  # noqa: E402
import watch  # noqa: E402

RSS_LIMIT_MIB = 1.0
"""Growth of resident memory in an hour."""
STEP_MIB = 2.5
"""Growth by so much is no slope, however straight the line through it: Python takes arenas of 1 MiB, and the C
library's heap grows by 1.2 MiB in the first 15,000 connections of TLS, and no more in the next ones."""
FDS_LIMIT = 4
"""Descriptors more at the end than after the warm-up."""
WARM_SHARE, WARM_LEAST_S = 0.2, 10.0
"""The warm-up. Each kind of event comes in it once: the first of a kind takes memory that the next ones use again."""
FIRST_KILL = 0.5
"""When in the warm-up an upstream dies for the first time."""
PROBE_RATE, PROBE_S = 200, 8.0
DOWN_S = 2.0
"""How long a killed upstream stays away."""
SETTLE_S = 1.0
"""After it is back: what was in flight ends."""
MEMBERS = 20
"""Addresses of 127.0.0.0/8 that a list has; behind each is one of the two upstreams."""
STAYING = 14
"""How many of them are in the next list too."""
LINES = 10
"""Faults of one kind that are shown."""
EXPLAINED = (502, 503, 504)
HEADER = " minute     MiB   fds  cpu %  answered  lost reloads kills changes renewals over TLS  MiB an hour"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60, help="how long (default: 60; 10 in CI)")
    parser.add_argument("--load", default="half", help="requests/s, or 'half' of what is measured (default: half)")
    parser.add_argument("--reload", type=float, default=60, metavar="S", help="a reload every S seconds (default: 60)")
    parser.add_argument("--kill", type=float, default=300, metavar="S", help="an upstream dies every S (default: 300)")
    parser.add_argument("--churn", type=float, default=10, metavar="S", help="members change every S (default: 10)")
    parser.add_argument("--renew", type=float, default=60, metavar="S", help="new certificates every S (default: 60)")
    parser.add_argument("--sample", type=float, default=5, metavar="S", help="a sample every S seconds (default: 5)")
    parser.add_argument("--print", type=float, default=60, metavar="S", help="a line every S seconds (default: 60)")
    parser.add_argument("--json", metavar="FILE", help="write the samples and the verdict there")
    parser.add_argument("--strict", action="store_true", help="exit 1 also where the run was too short to be sure")
    return parser.parse_args(arguments)


class Members:
    """A file of the addresses that the cluster has (Prometheus' format). Each change lets some go, some come.

    In every other list is one more, where nobody listens: it is found again and again, refuses, and is ejected.
    """

    def __init__(self, folder: str, echoes: list[Echo]) -> None:
        self.path = os.path.join(folder, "members.json")
        self.echoes = echoes
        self.changes = 0
        self._draw = random.Random(1)
        self._targets: list[str] = []
        self.change()

    def change(self) -> None:
        """Write another list."""
        draw = self._draw
        self._targets = draw.sample(self._targets, min(STAYING, len(self._targets)))
        while len(self._targets) < MEMBERS:
            port = self.echoes[len(self._targets) % len(self.echoes)].port
            self._targets.append(f"127.{draw.randrange(1, 250)}.{draw.randrange(250)}.{draw.randrange(1, 250)}:{port}")
        flapping = ["127.0.0.1:1"] * (self.changes % 2)
        with open(self.path + ".new", "w") as file:
            json.dump([{"targets": self._targets + flapping}], file)
        os.replace(self.path + ".new", self.path)
        self.changes += 1


def mesh(members: Members, secured: renewal.Renewal, word: str, **top) -> dict:
    """Return the configuration: the members in turn, and direct answers that change with each reload."""
    routes = [{"match": {"path": "/word"}, "direct_response": {"status": 200, "body": word}},
              {"match": {"prefix": "/"}, "cluster": "up", "retry": {"retry": {"attempts": 2}}}]
    cluster = {
        "name": "up", "discovery": {"file": {"files": [members.path]}},
        "outlier_detection": {"outlier_detection": {"max_ejection_percent": 50}},
        "circuit_breaker": {"limits": {"max_retries": 100}},
    }
    return secured.added_to(document(routes, [cluster], **top), word)


@dataclass
class Soak:
    """One run. ``spans`` are the times (of the load) at which an upstream was away; ``faults`` end in exit code 1."""

    options: argparse.Namespace
    daemon: Daemon
    members: Members
    secured: renewal.Renewal
    top: dict
    samples: list[watch.Sample] = field(default_factory=list)
    spans: list[tuple[float, float]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    reloads: int = 0
    kills: int = 0
    rate: int = 0
    answered: int = 0

    def run(self) -> None:
        """Load, disturb and sample until the time is over."""
        self.rate = self.chosen_rate()
        print(f"{self.rate} requests/s for {self.options.minutes:g} min\n{HEADER}", flush=True)
        with Loss(self.daemon.port, rate=self.rate, explained=EXPLAINED) as load:
            load.warm()
            self.secured.start()
            self.turns(load)
            self.secured.stop()
            self.judge(load.stop())

    def chosen_rate(self) -> int:
        """Return the requests/s: those asked for, or half of what one core can do at the CPU time of this mix."""
        if self.options.load != "half":
            return int(self.options.load)
        with Loss(self.daemon.port, rate=PROBE_RATE, explained=EXPLAINED) as load:
            load.warm()
            before, used = load.look().answered, self.sample().cpu_s
            time.sleep(PROBE_S)
            each_s = (self.sample().cpu_s - used) / max(1, load.look().answered - before)
        capacity = self.top.get("workers", 1) / each_s
        print(f"{each_s * 1e6:.0f} us of CPU a request: capacity {capacity:.0f} requests/s", flush=True)
        return max(1, int(capacity / 2))

    def sample(self) -> watch.Sample:
        """Return a sample of the daemon's tree."""
        return watch.take(self.daemon.process.pid, time.monotonic())

    def turns(self, load: Loss) -> None:
        """Do what is due, in turn."""
        options, begin = self.options, time.monotonic()
        due = {self.reload: options.reload, self.kill: options.kill, self.change: options.churn,
               self.renew: options.renew, self.tell: options.print}
        next_at = {act: begin + every for act, every in due.items()}
        next_at[self.kill] = begin + min(options.kill, FIRST_KILL * self.warm_s())
        while (now := time.monotonic()) < begin + options.minutes * 60 and self.daemon.process.poll() is None:
            self.samples.append(watch.take(self.daemon.process.pid, now - begin))
            for act, at in next_at.items():
                if at <= now:
                    act(load)
                    next_at[act] = at + due[act]
            time.sleep(max(0.0, now + options.sample - time.monotonic()))

    def reload(self, load: Loss) -> None:
        """Change the direct answer."""
        self.reloads += 1
        listener = {"address": f"127.0.0.1:{self.daemon.port}"}
        self.daemon.write(mesh(self.members, self.secured, f"word {self.reloads}", listener=listener, **self.top))
        outcome = self.daemon.reload()
        if not outcome["accepted"]:
            self.faults.append(f"reload {self.reloads}: refused: {outcome['summary']}")

    def kill(self, load: Loss) -> None:
        """Kill an upstream, and start it again."""
        victim = self.members.echoes[self.kills % len(self.members.echoes)]
        self.kills += 1
        begin = load.now()
        victim.kill()
        time.sleep(DOWN_S)
        victim.start()
        self.spans.append((begin, load.now() + SETTLE_S))

    def change(self, load: Loss) -> None:
        """Let members come and go."""
        self.members.change()

    def renew(self, load: Loss) -> None:
        """Replace the certificates."""
        self.secured.renew()

    def tell(self, load: Loss) -> None:
        """Print a line of the table."""
        first, last, seen = self.samples[0], self.samples[-1], load.look()
        cpu = 100 * (last.cpu_s - first.cpu_s) / max(1e-9, last.at_s - first.at_s)
        print(f"{last.at_s / 60:7.1f} {last.resident_mib:7.1f} {last.descriptors:5} {cpu:6.1f} {seen.answered:9} "
              f"{seen.lost:5} {self.reloads:7} {self.kills:5} {self.members.changes:7} "
              f"{self.secured.renewals:8} {self.secured.answered:8}  {self.slope()}", flush=True)

    # The verdict

    def warm_s(self) -> float:
        """Return how long the warm-up takes."""
        return max(WARM_LEAST_S, WARM_SHARE * self.options.minutes * 60)

    def rested(self) -> list[watch.Sample]:
        """Return the samples after the warm-up."""
        return [one for one in self.samples if one.at_s >= self.warm_s()]

    def every_s(self) -> float:
        """Return the width of the intervals whose lowest samples count: about 40 in a run."""
        return max(3 * self.options.sample, self.options.minutes * 1.5)

    def slope(self) -> slope.Slope:
        """Return the growth of resident memory in MiB an hour."""
        return slope.fit(slope.lows(((one.at_s, one.resident_mib) for one in self.rested()), self.every_s()))

    def more(self, name: str) -> float:
        """Return how much more of something is there at the end: the median of the last third less the first's."""
        values = [getattr(one, name) for one in self.rested()]
        third = max(1, len(values) // 3)
        return median(values[-third:]) - median(values[:third]) if values else 0

    def memory(self) -> str:
        """Return the verdict on resident memory."""
        found = self.slope().verdict(RSS_LIMIT_MIB)
        is_step = found == slope.FAILED and self.more("resident_mib") <= STEP_MIB
        return slope.UNDECIDED if is_step else found

    def judge(self, result: Result) -> None:
        """Note every fault."""
        print(result)
        print(self.secured)
        self.faults += self.secured.judged()[:LINES]
        self.answered = result.answered
        if self.daemon.process.poll() is not None:
            self.faults.append(f"meshd ended with {self.daemon.process.returncode}")
        for row in result.outside(self.spans)[:LINES]:
            self.faults.append(f"lost at {row['at_s']:.1f} s: {row.get('kind', 'open WebSocket')}: {row['reason']}")
        if result.lost > len(result.losses):
            self.faults.append(f"lost {result.lost} in all")
        for second, count in result.excused.items():
            if not touches({"at_s": second + 1, "due_s": second}, self.spans):
                self.faults.append(f"{count} answers of 5xx at {second} s though no upstream was away")
        if (more := self.more("descriptors")) > FDS_LIMIT:
            self.faults.append(f"descriptors: {more} more: expected at most {FDS_LIMIT}")
        if self.memory() == slope.FAILED:
            self.faults.append(f"resident memory: MiB {self.slope()}: expected at most {RSS_LIMIT_MIB:g}")

    def verdict(self) -> str:
        """Return passed, undecided or failed."""
        return slope.FAILED if self.faults else self.memory()

    def report(self) -> dict:
        """Return all of it as plain data."""
        found = self.slope()
        return {
            "verdict": self.verdict(), "faults": self.faults, "rate": self.rate, "reloads": self.reloads,
            "kills": self.kills, "changes": self.members.changes, "answered": self.answered,
            "renewals": self.secured.renewals, "answered_over_tls": self.secured.answered,
            "certificate_seen_s": self.secured.seen_s,
            "descriptors_more": self.more("descriptors"),
            "resident_mib_more": self.more("resident_mib"),
            "limit_mib_per_hour": RSS_LIMIT_MIB, "resident_mib_per_hour": found.per_hour, "points": found.points,
            "confidence": slope.CONFIDENCE, "margin_mib_per_hour": found.margin if found.is_known else None,
            "samples": [asdict(one) for one in self.samples],
        }


def ended(daemon: Daemon) -> str:
    """End the daemon; return what was wrong with that, or ''."""
    daemon.signal("TERM")
    try:
        code = daemon.process.wait(30)
    except subprocess.TimeoutExpired:
        return "meshd did not end within 30 s after SIGTERM"
    return f"meshd ended with {code} after SIGTERM" if code else ""


def soak(options: argparse.Namespace, top: dict) -> dict:
    """Run it on a daemon of its own with ``top`` in its configuration; return the report."""
    with Echo("0.0.0.0") as one, Echo("0.0.0.0") as other, tempfile.TemporaryDirectory(prefix="soak-") as folder, \
            renewal.Renewal() as secured:
        top = {"telemetry": ["prometheus", {"access_log": {"path": "/dev/null"}}]} | top
        members = Members(folder, [one, other])
        daemon = Daemon(mesh(members, secured, "word 0", **top))
        try:
            run = Soak(options, daemon, members, secured, top)
            run.run()
            if fault := ended(daemon):
                run.faults.append(fault)
            run.faults += [f"log: {line.strip()}" for line in daemon.cries()[:LINES]]
            return run.report()
        finally:
            daemon.kill()


def conclusion(report: dict) -> str:
    """Return the last line."""
    margin = report["margin_mib_per_hour"]
    known = f"{report['resident_mib_per_hour']:+.2f} +- {margin or 0:.2f} MiB an hour ({report['confidence']:.0%})"
    memory = "of too few samples" if margin is None else known
    return (f"{report['verdict']}: resident memory {memory}, limit {report['limit_mib_per_hour']:g}; "
            f"descriptors {report['descriptors_more']:+g}, limit {FDS_LIMIT}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    options = parse(arguments)
    report = soak(options, {})
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=1))
    for fault in report["faults"]:
        print(f"fault: {fault}")
    print(conclusion(report))
    return int(report["verdict"] == slope.FAILED or (options.strict and report["verdict"] == slope.UNDECIDED))


if __name__ == "__main__":
    sys.exit(main())
