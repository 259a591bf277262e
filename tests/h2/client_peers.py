"""meshd, HAProxy and Envoy as HTTP/2 clients of scripted servers: they pass requests of HTTP/1.1 on."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from tests.h2.cases.client import CASES
from tests.h2.peers import envoy_listener, run_haproxy
from tests.h2.script import Scripts, play
from tests.integration.harness.daemon import Daemon, document
from tests.integration.harness.envoy import Envoy, different_ports, envoy_cluster, envoy_program

HAPROXY = """
global
    log /dev/null local0
defaults
    mode http
    retries 0
    timeout connect 5s
    timeout client 10s
    timeout server 10s
frontend f
    bind 127.0.0.1:{front}
    default_backend b
backend b
    server s 127.0.0.1:{port} proto h2
"""
OPTIONS = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
    "explicit_http_config": {"http2_protocol_options": {}}}}


@contextlib.contextmanager
def meshd(ports: list[int], engine: str = "fast") -> Iterator[int]:
    """Yield the port of a daemon that sends /N to the Nth of these servers."""
    routes = [{"match": {"path": f"/{number}"}, "cluster": f"c{number}"} for number in range(len(ports))]
    clusters = [{"name": f"c{number}", "protocol": "http2", "endpoints": [{"address": f"127.0.0.1:{port}"}]}
                for number, port in enumerate(ports)]
    with _environment(engine) as environment, Daemon(document(routes, clusters), environment=environment) as daemon:
        yield daemon.port


@contextlib.contextmanager
def _environment(engine: str) -> Iterator[dict[str, str]]:
    """Yield an environment in which ``auto`` is the pure engine, if that is wanted: ngh2 is not found."""
    with tempfile.TemporaryDirectory() as folder:
        if engine == "pure":
            with open(os.path.join(folder, "ngh2.py"), "w") as file:
                file.write("raise ImportError('not here')\n")
        path = os.pathsep.join([folder, *filter(None, [os.environ.get("PYTHONPATH")])])
        yield {"PYTHONPATH": path}


@contextlib.contextmanager
def haproxy(port: int) -> Iterator[tuple[int, subprocess.Popen]]:
    """Yield the port and the process of an HAProxy that sends /0 to a server; skips without one."""
    [front] = different_ports(1)
    with run_haproxy(HAPROXY.format(front=front, port=port), front) as process:
        yield front, process


@contextlib.contextmanager
def envoy(ports: list[int]) -> Iterator[int]:
    """Yield the port of an Envoy that does the same; skips without one."""
    [front] = different_ports(1)
    routes = [{"match": {"path": f"/{number}"}, "route": {"cluster": f"c{number}"}} for number in range(len(ports))]
    clusters = [{**envoy_cluster(f"c{number}", "127.0.0.1", port), "typed_extension_protocol_options": OPTIONS}
                for number, port in enumerate(ports)]
    proxy = Envoy(envoy_program(), [envoy_listener(front, "HTTP1", routes)], {}, clusters)
    try:
        yield front
    finally:
        proxy.close()


def judge_client(peer, is_strict: bool = False, at_once: int = 8) -> dict[str, str]:
    """Return the outcome of each case for a client: "" for passed."""
    scripts = Scripts(CASES, not is_strict)
    try:
        with peer([scripts.ports[case.id] for case in CASES]) as port, ThreadPoolExecutor(at_once) as pool:
            return dict(pool.map(
                lambda at: (CASES[at].id, play(CASES[at], at, port, scripts, is_strict)), range(len(CASES))))
    finally:
        scripts.close()


def judge_haproxy(at_once: int = 4) -> dict[str, str]:
    """Return the outcome of each case for an HAProxy of its own, as one may end it."""
    scripts = Scripts(CASES, True)

    def one(case):
        with haproxy(scripts.ports[case.id]) as (port, process):
            outcome = play(case, 0, port, scripts)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
                outcome = f"ended by signal {-process.returncode}"
            return case.id, outcome
    try:
        with ThreadPoolExecutor(at_once) as pool:
            return dict(pool.map(one, CASES))
    finally:
        scripts.close()
