"""The instruments: load generators on the load core, CPU time, core use, memory, idle connections. Used by case.py."""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROXY_CORE, LOAD_CORE = 0, 1
MILLISECONDS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


class LoadFault(Exception):
    """A load generator's output was not what it prints when all went well."""


def on_load_core(command: list[str], limit_s: float) -> str:
    """Run a load generator on its core and return what it printed."""
    run = subprocess.run(
        ["taskset", "-c", str(LOAD_CORE), *command], capture_output=True, text=True, timeout=limit_s
    )
    return run.stdout + run.stderr


def find(pattern: str, text: str) -> re.Match:
    """Find a pattern, or raise LoadFault with the end of the text."""
    found = re.search(pattern, text, re.M)
    if found is None:
        raise LoadFault(f"expected {pattern!r}, got {text[-300:]!r}")
    return found


def wrk(url: str, connections: int, seconds: int, *extra: str) -> dict:
    """Closed loop: return requests per second, percentiles in ms, MB/s, errors."""
    out = on_load_core(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", *extra, url], seconds + 30)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    errors = re.search(r"Socket errors: (.*)", out)
    return {
        "rps": float(find(r"Requests/sec:\s+([\d.]+)", out)[1]),
        "p50_ms": percentile(out, "50%"),
        "p99_ms": percentile(out, "99%"),
        "bad": int(bad[1]) if bad else 0,
        "errors": errors[1] if errors else "",
    }


def percentile(out: str, name: str) -> float:
    """Return one line of wrk's latency distribution in ms."""
    found = find(rf"^\s+{name}\s+([\d.]+)(us|ms|s)", out)
    return float(found[1]) * MILLISECONDS[found[2]]


def h2load_rate(url: str, connections: int, seconds: int, rate: int) -> dict:
    """Open loop at a fixed rate over HTTP/1.1: return percentiles in ms of every request, from h2load's log."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        each = max(1, rate // connections)
        command = ["h2load", "--h1", f"-c{connections}", f"-D{seconds}", f"--rps={each}", f"--log-file={log}", url]
        out = on_load_core(command, seconds + 30)
        rows = [line.split("\t") for line in log.read_text().splitlines()]
    times = sorted(int(row[2]) / 1000 for row in rows)
    if not times:
        raise LoadFault(f"h2load logged no request: {out[-300:]!r}")
    shares = (("p50_ms", 0.5), ("p99_ms", 0.99), ("p999_ms", 0.999))
    at = {name: times[min(len(times) - 1, int(len(times) * share))] for name, share in shares}
    bad = sum(1 for row in rows if not row[1].startswith("2"))
    return {**at, "rate": len(times) / seconds, "bad": bad}


def h2load(url: str, connections: int, streams: int, seconds: int, *extra: str) -> dict:
    """Closed loop over HTTP/2, by prior knowledge where the address says http: requests per second, errors."""
    command = ["h2load", f"-c{connections}", f"-m{streams}", f"-D{seconds}", *extra, url]
    out = on_load_core(command, seconds + 30)
    found = find(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", out)
    codes = find(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", out)
    rate = float(find(r"finished in [\d.]+\w+, ([\d.]+) req/s", out)[1])
    bad = sum(int(found[number]) for number in (2, 3, 4)) + int(codes[3]) + int(codes[4])
    if int(codes[1]) == 0:
        raise LoadFault(f"h2load had no answer: {out[-300:]!r}")
    return {"rps": rate, "bad": bad}


def handshakes(port: int, clients: int, seconds: int) -> dict:
    """Closed loop of full handshakes of TLS without a request (handshaker.py); ``count`` is how many there were."""
    script = str(Path(__file__).with_name("handshaker.py"))
    command = ["taskset", "-c", str(LOAD_CORE), sys.executable, script, str(port), str(seconds)]
    began = time.monotonic()
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
               for _ in range(clients)]
    texts = [process.communicate(timeout=seconds + 30)[0] for process in running]
    count = sum(int(find(r"^(\d+) handshakes", text)[1]) for text in texts)
    return {"rps": count / (time.monotonic() - began), "count": count}


def tree(pid: int) -> list[int]:
    """Return a process and all that it has started."""
    found, todo = [], [pid]
    while todo:
        process = todo.pop()
        found.append(process)
        try:
            todo += map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split())
        except OSError:
            continue
    return found


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process tree so far."""
    total = 0
    for process in tree(pid):
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def core_jiffies(core: int) -> tuple[int, int]:
    """Return (busy, all) jiffies of a core since boot."""
    fields = [int(item) for item in find(rf"^cpu{core} (.*)$", Path("/proc/stat").read_text())[1].split()]
    return sum(fields) - fields[3] - fields[4], sum(fields)


def memory_kib(pid: int) -> dict:
    """Return resident and proportional memory of a process tree in KiB."""
    sums = {"Rss": 0, "Pss": 0}
    for process in tree(pid):
        try:
            text = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:
            continue
        for name in sums:
            sums[name] += int(find(rf"^{name}:\s+(\d+)", text)[1])
    return {"rss_kib": sums["Rss"], "pss_kib": sums["Pss"]}


def get(port: int, path: str = "/", timeout_s: float = 5.0) -> bytes:
    """Return the first bytes of the answer to one GET."""
    with socket.create_connection(("127.0.0.1", port), timeout_s) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
        return connection.recv(4096)


def answers(port: int, scheme: str) -> bool:
    """Say whether a GET is answered 200: by HTTP/1.1 where ``scheme`` is http, by HTTP/2 for https and h2c."""
    if scheme == "http":
        return get(port).startswith(b"HTTP/1.1 200")
    url = f"{scheme.replace('h2c', 'http')}://127.0.0.1:{port}/"
    return "status codes: 1 2xx" in on_load_core(["h2load", "-n1", "-c1", url], 10.0)


def wait_ready(port: int, scheme: str = "http", limit_s: float = 60.0) -> float:
    """Wait until a GET is answered 200; return the seconds it took. Raises TimeoutError."""
    began = time.monotonic()
    while time.monotonic() - began < limit_s:
        try:
            if answers(port, scheme):
                return time.monotonic() - began
        except (OSError, subprocess.TimeoutExpired):
            pass
        time.sleep(0.02)
    raise TimeoutError(f"port {port}: expected an answer 200 within {limit_s} s")


def idle_connections(port: int, count: int, pid: int) -> dict:
    """Open ``count`` keep-alive connections that made one request each; return the memory of each in KiB."""
    before = memory_kib(pid)["pss_kib"]
    sockets = []
    try:
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", port), 10)
            connection.sendall(b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n")
            connection.recv(4096)
            sockets.append(connection)
        time.sleep(1)
        after = memory_kib(pid)["pss_kib"]
    finally:
        for connection in sockets:
            connection.close()
    return {"kib_per_connection": (after - before) / count}
