"""Times the cold check of a large mesh of Istio documents, and reloads after one changed file, with CPU time beside.

    .venv/bin/python contrib/bench/reload.py [--services 1000] [--endpoints 10000] [--reloads 5] [--json FILE]

The mesh is that of ``tests/istio/scale.py``. On a machine with other work wall times are longer than CPU times; the CPU
time of daemon and reader together is what a reload takes on an idle one. ``late`` is how long requests to the admin API
waited during the reload, ``turn`` the CPU time of the longest turn of the reactor (``turns.py``).
"""

import argparse
import http.client
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.istio.scale import write  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
START_S = 180.0
PROBE_S = 0.005


class Admin(http.client.HTTPConnection):
    """A connection to the admin API's unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=120)
        self._path = path

    def connect(self) -> None:
        """Connect to the path."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask(path: str, target: str, method: str = "GET") -> tuple[int, bytes]:
    """Return the status and body of one answer."""
    connection = Admin(path)
    try:
        connection.request(method, target)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def spent_s(pid: int) -> tuple[float, float]:
    """Return the CPU seconds of a process, and those of its children, living or ended."""
    own, children = 0.0, 0.0
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(") ")[2].split() if entry.name.isdigit() else []
        except OSError:
            continue
        if fields and entry.name == str(pid):
            own = sum(map(int, fields[11:13])) / TICKS
            children += sum(map(int, fields[13:15])) / TICKS
        elif fields and int(fields[1]) == pid:
            children += sum(map(int, fields[11:15])) / TICKS
    return own, children


def resident_mib(pid: int) -> list[int]:
    """Return the resident memory of a process and then of each of its children, in MiB."""
    pids = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    return [int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{one}/status").read_text())[1]) // 1024 for one in pids]


class Probe(threading.Thread):
    """Asks for the daemon's health all the time; ``waits_s`` are how long each answer took."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.waits_s: list[float] = []
        self._path = path
        self._is_over = threading.Event()

    def run(self) -> None:
        """Ask until it is over."""
        while not self._is_over.wait(PROBE_S):
            began = time.monotonic()
            ask(self._path, "/healthz")
            self.waits_s.append(time.monotonic() - began)

    def end(self) -> list[float]:
        """End it; return all waits, the shortest first."""
        self._is_over.set()
        self.join()
        return sorted(self.waits_s)


def check(config: str) -> dict[str, float]:
    """Return what a cold check takes."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([sys.executable, "-m", "meshd.cli.daemon", "--check", "-c", config], check=True, cwd=ROOT,
                   stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_s": round(time.monotonic() - began, 2), "cpu_s": round(cpu_s, 2)}


def wait_until_ready(admin: str, daemon: subprocess.Popen) -> None:
    """Return when the daemon is ready; raises RuntimeError where it is not in time."""
    until = time.monotonic() + START_S
    while time.monotonic() < until and daemon.poll() is None:
        try:
            if ask(admin, "/ready")[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise RuntimeError(f"the daemon is not ready: exit code {daemon.poll()}")


def change(folder: str, number: int) -> None:
    """Give one route another timeout."""
    path = Path(folder, "mesh.d", "routes-00007.yaml")
    path.write_text(re.sub(r"timeout: \d+s", f"timeout: {number + 3}s", path.read_text(), count=1))


def reload(folder: str, daemon: subprocess.Popen, number: int, probes: bool) -> dict[str, Any]:
    """Change one file and reload; return what that took."""
    admin = os.path.join(folder, "admin")
    change(folder, number)
    probe = Probe(admin)
    if probes:
        probe.start()
    before, began = spent_s(daemon.pid), time.monotonic()
    outcome = json.loads(ask(admin, "/reload", "POST")[1])
    ended, after = time.monotonic(), spent_s(daemon.pid)
    waits = probe.end() if probes else [0.0]
    if not outcome["accepted"]:
        raise RuntimeError(f"the reload was refused: {outcome}")
    return {
        "wall_s": round(ended - began, 2), "daemon_cpu_s": round(after[0] - before[0], 2),
        "reader_cpu_s": round(after[1] - before[1], 2), "late_ms": round(waits[-1] * 1e3, 1),
        "late_p99_ms": round(waits[int(len(waits) * 0.99)] * 1e3, 1), "resident_mib": resident_mib(daemon.pid),
        "began": began, "ended": ended,
    }


def longest_turn_ms(turns: list[tuple[float, float]], row: dict[str, Any]) -> float:
    """Return the CPU time of the longest turn during a reload."""
    return max((cpu_s for at, cpu_s in turns if row["began"] <= at <= row["ended"] + 1.0), default=0.0) * 1e3


def run(folder: str, reloads: int, settle_s: float, probes: bool) -> list[dict[str, Any]]:
    """Start a daemon and reload it; return a row for each."""
    admin, notes = os.path.join(folder, "admin"), os.path.join(folder, "turns.json")
    daemon = subprocess.Popen(
        [sys.executable, str(ROOT / "contrib/bench/turns.py"), notes, "-c", os.path.join(folder, "mesh.yaml")],
        cwd=ROOT, stderr=open(os.path.join(folder, "log"), "w"))
    try:
        wait_until_ready(admin, daemon)
        time.sleep(settle_s)
        rows = []
        for number in range(reloads):
            rows.append(reload(folder, daemon, number, probes))
            time.sleep(1.0)
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(90)
    turns = json.loads(Path(notes).read_text())
    for row in rows:
        row["turn_ms"] = round(longest_turn_ms(turns, row), 1)
        del row["began"], row["ended"]
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--endpoints", type=int, default=10_000)
    parser.add_argument("--reloads", type=int, default=5)
    parser.add_argument("--settle", type=float, default=20.0, help="seconds from the start to the first reload")
    parser.add_argument("--no-probe", action="store_true", help="ask nothing meanwhile: the daemon's own CPU time")
    parser.add_argument("--no-check", action="store_true", help="leave the cold check out")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = write(folder, arguments.services, arguments.endpoints)
        found: dict[str, Any] = {} if arguments.no_check else {"check": check(config)}
        print("check", found.get("check"), flush=True)
        found["reloads"] = run(folder, arguments.reloads, arguments.settle, not arguments.no_probe)
    for row in found["reloads"]:
        print("reload", row)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
