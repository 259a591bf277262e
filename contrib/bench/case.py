"""The cases: what is asked of each proxy, and which figure counts. Read by compare.py."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass

import call
import measure

IDLE_CONNECTIONS = 2000


@dataclass(frozen=True)
class Target:
    """One running proxy and how long to ask it."""

    port: int
    pid: int
    seconds: int
    rate: int
    scheme: str = "http"

    def url(self, path: str = "/") -> str:
        """Return the address of a path on it."""
        return f"{self.scheme.replace('h2c', 'http')}://127.0.0.1:{self.port}{path}"


@dataclass(frozen=True)
class Case:
    """``key`` is the figure that counts; ``has_load`` says that CPU and the load core are worth reading."""

    name: str
    run: Callable[[Target], dict]
    key: str = "rps"
    has_load: bool = True


def closed_loop(connections: int, path: str = "/", *extra: str) -> Callable[[Target], dict]:
    """Return a case that keeps so many connections busy."""
    return lambda target: measure.wrk(target.url(path), connections, target.seconds, *extra)


def streams(connections: int, each: int, path: str = "/") -> Callable[[Target], dict]:
    """Return a case that keeps so many HTTP/2 connections busy with so many streams each, by prior knowledge."""
    return lambda target: measure.h2load(target.url(path), connections, each, target.seconds)


def handshakes(target: Target) -> dict:
    """Make full handshakes of TLS and nothing else."""
    return measure.handshakes(target.port, 4, target.seconds)


def unary_calls(target: Target) -> dict:
    """Make gRPC's unary calls."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(call.MESSAGE)
        file.flush()
        return measure.h2load(target.url(call.PATH), 8, 16, target.seconds, "-d", file.name,
                              "-H", "content-type: application/grpc", "-H", "te: trailers")


def fixed_rate(target: Target) -> dict:
    """Ask at a rate that every proxy can serve, and look at how long each answer takes."""
    return measure.h2load_rate(target.url(), 64, target.seconds, target.rate)


def idle(target: Target) -> dict:
    """Hold keep-alive connections that do nothing."""
    return measure.idle_connections(target.port, IDLE_CONNECTIONS, target.pid)


def start_memory(target: Target) -> dict:
    """Read the memory of a proxy that has just started and served one request."""
    time.sleep(0.5)
    return measure.memory_kib(target.pid)


CASES = {
    case.name: case
    for case in (
        Case("start-memory", start_memory, "rss_kib", has_load=False),
        Case("small", closed_loop(64)),
        Case("small-512c", closed_loop(512)),
        Case("one-conn", closed_loop(1)),
        Case("big-1MiB", closed_loop(16, "/big")),
        Case("h2-small", streams(8, 16)),
        Case("h2-big", streams(4, 4, "/big")),
        Case("churn", closed_loop(32, "/", "-H", "Connection: close")),
        Case("fixed-rate", fixed_rate, "p99_ms"),
        Case("idle-2000", idle, "kib_per_connection", has_load=False),
        Case("tls-keepalive", closed_loop(64)),
        Case("tls-handshake", handshakes),
        Case("h2-tls", streams(8, 16)),
        Case("grpc-unary", unary_calls),
        Case("tcp-small", closed_loop(64)),
        Case("tcp-1m", closed_loop(16, "/big")),
    )
}
