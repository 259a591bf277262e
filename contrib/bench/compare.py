#!/usr/bin/env python3
"""Compares meshd with Envoy, nginx and HAProxy in turn, round after round.

The proxy runs on core 0, load and backend on core 1. A drift of the machine hits all alike, so quote the ratios of
medians, never the absolute figures. A row is void when the load core was over 90 % busy: then the load generator was
measured. Run it with the Python that has meshd installed.
"""

import argparse
import contextlib
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import call
import measure
import mechanism
import picking
import sampling
import secure
import stream
from case import CASES, Target
from peer import BACKEND, EXAMPLE, PEERS, Ground, Peer

VOID_PERCENT = 90
REFERENCES = {"-all": "envoy-all", "-tcp": "envoy-tcp", "-tls": "envoy-tls", "-grpc": "envoy-grpc"}
EVERY = PEERS | mechanism.PEERS | stream.PEERS | secure.PEERS | call.PEERS
NAMED = ("tls-keepalive", "tls-handshake", "h2-tls", "grpc-unary", "tcp-small", "tcp-1m")
WIRE = (
    (("start-memory", "tls-keepalive", "tls-handshake", "h2-tls"), list(secure.PEERS)[:-1]),
    (("grpc-unary",), list(call.PEERS)[:-1]),
    (("h2-small", "h2-big"), ["envoy", "meshd"]),
    (("tcp-small", "tcp-1m"), list(stream.PEERS)[:-1]),
)
"""Cases and proxies of ``--wire``: all but those without compiled leaves."""
BESIDE = ("p50_ms", "p99_ms", "p999_ms", "rate", "rss_kib", "pss_kib", "cpu_us", "load_idle", "bad")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="*", choices=CASES, 
                        default=[name for name in CASES if name not in NAMED],
                        help="cases (default: those of HTTP in the clear)")
    parser.add_argument("--proxy", nargs="*", choices=EVERY, default=list(PEERS),
                        help="proxies (default: those without -all (every mechanism on), -tcp, -tls and -grpc)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (default: 3)")
    parser.add_argument("--seconds", type=int, default=3, help="length of one measurement (default: 3)")
    parser.add_argument("--rate", type=int, default=3200, help="requests/s of fixed-rate (default: 3200)")
    parser.add_argument("--python", default=sys.executable, help="the Python that has meshd (default: this one)")
    parser.add_argument("--json", metavar="FILE", help="write every measurement there")
    parser.add_argument("--wire", action="store_true", help="TLS, HTTP/2, gRPC and TCP, each with its proxies")
    parser.add_argument("--pick", action="store_true", help="time the load balancers' pick alone, and end")
    parser.add_argument("--profile", action="store_true", help="show where meshd spends its time, and end")
    return parser.parse_args()


class Arena:
    """The processes of one run and the folder with their files."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.running: dict[str, subprocess.Popen] = {}

    def start(self, peer: Peer, core: int, wrapper: tuple[str, ...] = ()) -> subprocess.Popen:
        """Start a peer on a core; what it prints goes to NAME.out."""
        command = wrap(peer.command(self.ground), wrapper)
        with open(self.ground.folder / f"{peer.name}.out", "a") as out:
            process = subprocess.Popen(
                ["taskset", "-c", str(core), *command], stdout=out, stderr=subprocess.STDOUT,
                env=os.environ | peer.environment,
            )
        self.running[peer.name] = process
        return process

    def is_serving(self, peer: Peer) -> bool:
        """Wait for a started peer; say why and forget it where it does not serve."""
        name = peer.name
        try:
            measure.wait_ready(self.ground.port(name), peer.scheme)
            return True
        except TimeoutError as error:
            text = (self.ground.folder / f"{name}.out").read_text()[-600:]
            print(f"{name}: did not start: {error}\n{text}", flush=True)
            self.end(name)
            return False

    def end(self, name: str, limit_s: float = 10.0) -> None:
        """End one process and wait for it."""
        process = self.running.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def empty_logs(self) -> None:
        """Cut the access logs, which are open for appending, to nothing."""
        for pattern in ("*.log", "*.out"):
            for path in self.ground.folder.glob(pattern):
                os.truncate(path, 0)


def wrap(command: list[str], wrapper: tuple[str, ...]) -> list[str]:
    """Put a script in the place of ``-m MODULE``."""
    return [command[0], *wrapper, *command[command.index("-m") + 1:]] if wrapper else command


@contextlib.contextmanager
def arena(python: str, proxies: list[str]) -> Iterator[Arena]:
    """Make a folder, start the backends that these proxies need, and end everything afterwards."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    folder = Path(tempfile.mkdtemp(prefix="meshd-bench-"))
    folder.chmod(0o755)  # nginx's worker runs as another user
    place = Arena(Ground(folder, python))
    try:
        place.start(BACKEND, measure.LOAD_CORE)
        measure.wait_ready(place.ground.backend[0])
        for server in call.SERVERS if any(name in call.PEERS for name in proxies) else ():
            place.start(server, measure.LOAD_CORE)
            measure.wait_ready(place.ground.port(server.name), "h2c")
        yield place
    finally:
        for name in list(place.running):
            place.end(name)
        shutil.rmtree(folder, ignore_errors=True)


def measure_row(case, target: Target) -> dict:
    """Run one case once; add CPU per request of the proxy and the load core's idle where there was load."""
    cpu, (busy, total), began = measure.cpu_seconds(target.pid), measure.core_jiffies(1), time.monotonic()
    try:
        row = case.run(target)
    except (measure.LoadFault, OSError, subprocess.SubprocessError) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    if not case.has_load:
        return row
    elapsed = time.monotonic() - began
    busy_after, total_after = measure.core_jiffies(measure.LOAD_CORE)
    share = 100 * (busy_after - busy) / max(1, total_after - total)
    rate = row["rps"] if "rps" in row else row["rate"]
    requests = row.get("count", rate * min(elapsed, target.seconds))
    used = measure.cpu_seconds(target.pid) - cpu
    return row | {"cpu_us": 1e6 * used / max(1.0, requests), "load_idle": 100 - share, "void": share > VOID_PERCENT}


def middle(rows: list[dict], key: str) -> float | None:
    """Return the median of a figure, or None where no row has it."""
    values = [row[key] for row in rows if row.get(key) is not None]
    return statistics.median(values) if values else None


def print_case(name: str, key: str, rows: dict[str, list[dict]]) -> None:
    """Print one line for each proxy: median, ratio to Envoy, what stands beside it."""
    for proxy, own in rows.items():
        name_of = next((peer for part, peer in REFERENCES.items() if part in proxy), "envoy")
        reference = middle(rows.get(name_of, []), key)
        value = middle(own, key)
        if value is None:
            print(f"{name:13} {proxy:11} failed: {own[-1].get('error')}", flush=True)
            continue
        ratio = f"{value / reference:5.2f} x envoy" if reference else " " * 13
        spent, theirs = middle(own, "cpu_us"), middle(rows.get(name_of, []), "cpu_us")
        ratio += f"  by cpu {theirs / spent:5.2f}" if spent and theirs else ""
        medians = {item: middle(own, item) for item in BESIDE if item != key}
        beside = "  ".join(f"{item} {figure:.4g}" for item, figure in medians.items() if figure is not None)
        void = sum(1 for row in own if row.get("void"))
        errors = " ".join({row["errors"] for row in own if row.get("errors")})
        print(f"{name:13} {proxy:11} {key} {value:10.2f}  {ratio}  {beside}", end="")
        print(f"  VOID {void}/{len(own)}" if void else "", errors, flush=True)


def start_rows(place: Arena, options: argparse.Namespace) -> dict[str, list[dict]]:
    """Start each proxy afresh, round after round, and read its memory; meshd also with etc/meshd.yaml."""
    rows: dict[str, list[dict]] = {}
    for _ in range(options.rounds):
        for peer in [*(EVERY[name] for name in options.proxy), EXAMPLE]:
            process = place.start(peer, measure.PROXY_CORE)
            if place.is_serving(peer):
                target = Target(place.ground.port(peer.name), process.pid, 0, 0, peer.scheme)
                rows.setdefault(peer.name, []).append(measure_row(CASES["start-memory"], target))
                place.end(peer.name)
    return rows


def load_rows(place: Arena, name: str, proxies: list[str], options: argparse.Namespace) -> dict[str, list[dict]]:
    """Run one case against every proxy in turn, round after round."""
    rows: dict[str, list[dict]] = {}
    for _ in range(options.rounds):
        for proxy in proxies:
            pid = place.running[proxy].pid
            target = Target(place.ground.port(proxy), pid, options.seconds, options.rate, EVERY[proxy].scheme)
            rows.setdefault(proxy, []).append(measure_row(CASES[name], target))
            place.empty_logs()
    return rows


def compare(options: argparse.Namespace) -> dict:
    """Run all cases and return every measurement: case -> proxy -> rows."""
    result: dict[str, dict] = {}
    with arena(options.python, options.proxy) as place:
        if "start-memory" in options.case:
            result["start-memory"] = start_rows(place, options)
            print_case("start-memory", "rss_kib", result["start-memory"])
        for name in options.proxy:
            place.start(EVERY[name], measure.PROXY_CORE)
        serving = [name for name in options.proxy if place.is_serving(EVERY[name])]
        for name in options.case:
            if name != "start-memory":
                result[name] = load_rows(place, name, serving, options)
                print_case(name, CASES[name].key, result[name])
    return result


def profile(options: argparse.Namespace) -> None:
    """Load the first of meshd's proxies under the sampler and print what it saw."""
    name = next((name for name in options.proxy if name.startswith("meshd")), "meshd")
    with arena(options.python, [name]) as place:
        report = place.ground.folder / "profile.txt"
        process = place.start(EVERY[name], measure.PROXY_CORE, (sampling.__file__, str(report)))
        if not place.is_serving(EVERY[name]):
            return
        case = next((CASES[item] for item in options.case if CASES[item].has_load), CASES["small"])
        port, scheme = place.ground.port(name), EVERY[name].scheme
        row = measure_row(case, Target(port, process.pid, options.seconds, options.rate, scheme))
        place.end(name)
        print(f"{name} {case.name}: {row}\n{report.read_text()}")


def main() -> int:
    """Run what the command line asks for."""
    options = parse()
    if options.pick:
        picking.main()
        return 0
    if options.profile:
        profile(options)
        return 0
    state = "from meshd.hot import compiled; print(compiled())"
    print("meshd:", subprocess.run([options.python, "-c", state], capture_output=True, text=True).stdout.strip())
    result: dict[str, dict] = {}
    for cases, proxies in WIRE if options.wire else ((options.case, options.proxy),):
        result |= compare(argparse.Namespace(**vars(options) | {"case": cases, "proxy": proxies}))
    if options.json:
        Path(options.json).write_text(json.dumps(result, indent=1))
    return 0 if result else 1


if __name__ == "__main__":
    sys.exit(main())
