#!/usr/bin/env python3
"""Compares two workers with one: requests for each second of CPU time, round after round, and the ratio of the two.

Both run on both cores, side by side and asked in turn; load and backend share the second core. What counts is the CPU
time of the whole process tree, supervisor included, for each request: the cores are too few for more. Envoy with one
and two worker threads stands beside: what it loses too is the machine's. Run it with the Python that has meshd
installed. Exit code 1 where meshd's ratio of medians is below --least.
"""

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Callable

import measure
from compare import Arena, arena
from peer import Ground, envoy, meshd_text

COUNTS = (1, 2)
CASES: dict[str, Callable[[str, argparse.Namespace], float]] = {
    "small": lambda url, options: measure.wrk(url, 64, options.seconds)["rps"],
    "small-512c": lambda url, options: measure.wrk(url, 512, options.seconds)["rps"],
    "churn": lambda url, options: measure.wrk(url, 32, options.seconds, "-H", "Connection: close")["rps"],
    "fixed-rate": lambda url, options: measure.h2load_rate(url, 64, options.seconds, options.rate)["rate"],
}
"""How each case asks, and the requests/s that came of it; the names are those of case.py."""


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="*", choices=CASES, default=list(CASES), help="cases (default: all)")
    parser.add_argument("--proxy", nargs="*", choices=PROXIES, default=list(PROXIES), help="proxies (default: both)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (default: 3)")
    parser.add_argument("--seconds", type=int, default=5, help="length of one measurement (default: 5)")
    parser.add_argument("--rate", type=int, default=3200, help="requests/s at a fixed rate (default: 3200)")
    parser.add_argument("--least", type=float, default=0.85, help="the least ratio that will do (default: 0.85)")
    parser.add_argument("--python", default=sys.executable, help="the Python that has meshd (default: this one)")
    return parser.parse_args()


def meshd(ground: Ground, name: str, count: int) -> list[str]:
    """Return the command of a meshd with so many workers."""
    text = f"workers: {count}\n{meshd_text(ground, name)}"
    return [ground.python, "-m", "meshd.cli.daemon", "-c", ground.write(f"{name}.yaml", text)]


PROXIES: dict[str, Callable[[Ground, str, int], list[str]]] = {"meshd": meshd, "envoy": envoy}


def start(place: Arena, proxy: str, count: int) -> None:
    """Start a proxy with so many workers, on every core."""
    name = f"{proxy}-{count}"
    command = PROXIES[proxy](place.ground, name, count)
    with open(place.ground.folder / f"{name}.out", "a") as out:
        place.running[name] = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=os.environ)
    if not place.is_serving(name, place.ground.port(name)):
        raise SystemExit(1)


def each_cpu_s(place: Arena, name: str, case: str, options: argparse.Namespace) -> float:
    """Return the requests for each second of CPU time that the proxy ``name`` takes for them."""
    pid, url = place.running[name].pid, f"http://127.0.0.1:{place.ground.port(name)}/"
    before = measure.cpu_seconds(pid)
    requests = CASES[case](url, options) * options.seconds
    used = measure.cpu_seconds(pid) - before
    place.empty_logs()
    return requests / used


def compare(options: argparse.Namespace) -> list[float]:
    """Run every case; print a line for each proxy and return meshd's ratios of medians."""
    names = [(proxy, count) for proxy in options.proxy for count in COUNTS]
    ratios = []
    with arena(options.python) as place:
        for proxy, count in names:
            start(place, proxy, count)
        for case in options.case:
            rows: dict[tuple[str, int], list[float]] = {name: [] for name in names}
            for _ in range(options.rounds):
                for proxy, count in names:
                    rows[proxy, count].append(each_cpu_s(place, f"{proxy}-{count}", case, options))
            ratios += [ratio for proxy in options.proxy
                       if (ratio := report(case, proxy, rows[proxy, 1], rows[proxy, 2])) and proxy == "meshd"]
    return ratios


def report(case: str, proxy: str, single: list[float], double: list[float]) -> float:
    """Print one line; return the ratio of the medians."""
    one, two = statistics.median(single), statistics.median(double)
    rounds = ", ".join(f"{mine / other:.2f}" for other, mine in zip(single, double, strict=True))
    figures = f"requests/CPU s: one worker {one:6.0f}  two {two:6.0f}  ratio {two / one:.2f} ({rounds})"
    print(f"{case:12} {proxy:6} {figures}", flush=True)
    return two / one


def main() -> int:
    """Run what the command line asks for."""
    options = parse()
    return int(min(compare(options)) < options.least)


if __name__ == "__main__":
    sys.exit(main())
