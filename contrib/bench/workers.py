#!/usr/bin/env python3
"""Compares two workers with one: requests for each second of CPU time, round after round, and the ratio of the two.

Both meshds run on both cores, side by side and asked in turn; load and backend share the second core. What counts is
the CPU time of the whole process tree, supervisor included, for each request: the cores are too few for more. Run it
with the Python that has meshd installed. Exit code 1 where the ratio of medians is below --least.
"""

import argparse
import os
import statistics
import subprocess
import sys

import measure
from compare import Arena, arena
from peer import Ground, meshd_text

CONNECTIONS = (64, 512)
COUNTS = (1, 2)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="rounds (default: 3)")
    parser.add_argument("--seconds", type=int, default=5, help="length of one measurement (default: 5)")
    parser.add_argument("--rate", type=int, default=3200, help="requests/s at a fixed rate (default: 3200)")
    parser.add_argument("--least", type=float, default=0.85, help="the least ratio that will do (default: 0.85)")
    parser.add_argument("--python", default=sys.executable, help="the Python that has meshd (default: this one)")
    return parser.parse_args()


def start(place: Arena, count: int) -> None:
    """Start a meshd with so many workers, on every core."""
    name = f"workers-{count}"
    text = f"workers: {count}\n{meshd_text(place.ground, name)}"
    command = [place.ground.python, "-m", "meshd.cli.daemon", "-c", place.ground.write(f"{name}.yaml", text)]
    with open(place.ground.folder / f"{name}.out", "a") as out:
        place.running[name] = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=os.environ)
    if not place.is_serving(name, place.ground.port(name)):
        raise SystemExit(1)


def each_cpu_s(place: Arena, count: int, options: argparse.Namespace, connections: int | None) -> float:
    """Return the requests for each second of CPU time: in a closed loop, or at the fixed rate."""
    name = f"workers-{count}"
    url, before = address(place.ground, name), measure.cpu_seconds(place.running[name].pid)
    if connections is None:
        rate = measure.h2load_rate(url, CONNECTIONS[0], options.seconds, options.rate)["rate"]
    else:
        rate = measure.wrk(url, connections, options.seconds)["rps"]
    used = measure.cpu_seconds(place.running[name].pid) - before
    place.empty_logs()
    return rate * options.seconds / used


def address(ground: Ground, name: str) -> str:
    """Return where a meshd of this name is asked."""
    return f"http://127.0.0.1:{ground.port(name)}/"


def compare(options: argparse.Namespace) -> list[float]:
    """Run every case; print a line for each and return the ratios of medians."""
    ratios = []
    with arena(options.python) as place:
        for count in COUNTS:
            start(place, count)
        for connections in (*CONNECTIONS, None):
            rows = {count: [] for count in COUNTS}
            for _ in range(options.rounds):
                for count in COUNTS:
                    rows[count].append(each_cpu_s(place, count, options, connections))
            one, two = (statistics.median(rows[count]) for count in COUNTS)
            ratios.append(two / one)
            single = ", ".join(f"{mine / other:.2f}" for other, mine in zip(rows[1], rows[2], strict=True))
            case = f"{options.rate} requests/s" if connections is None else f"{connections} connections"
            figures = f"requests/CPU s: one worker {one:6.0f}  two {two:6.0f}  ratio {two / one:.2f} ({single})"
            print(f"{case:16} {figures}", flush=True)
    return ratios


def main() -> int:
    """Run what the command line asks for."""
    options = parse()
    return int(min(compare(options)) < options.least)


if __name__ == "__main__":
    sys.exit(main())
