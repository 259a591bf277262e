"""Ports of Istio's services without a protocol: what a captured client speaks is found out from its first bytes."""

import subprocess
import sys
import time

import pytest

from tests.integration.harness.capture import STRANGER, Pair
from tests.integration.harness.sidecars import Nginx, Sidecar, curl, istio, open_folder
from tests.istio.view import document

WEB, FIRST, LAST = 8080, 9000, 9001
"""Ports of a web server, one that speaks first, one that waits for its client."""
VIP = "10.200.0.1"
PORTS = (WEB, FIRST, LAST)
PATIENT_S = 2.0
ANSWER = ("import socket\nserver = socket.create_server(('', {port}))\nprint('ready', flush=True)\n"
          "while True:\n sock, _ = server.accept()\n sock.sendall(b'got ' + sock.recv(100)); sock.close()")
TALK = ("import socket\nsock = socket.create_connection(({host!r}, {port}), 3)\nsock.sendall({data!r})\n"
        "print(sock.makefile().read())")


@pytest.fixture
def pair():
    """Two machines."""
    with Pair() as made:
        yield made


def entry(far):
    """Return a service at the far machine whose ports say nothing."""
    return document("ServiceEntry", "any", {
        "hosts": ["any.shop.test"], "resolution": "STATIC", "location": "MESH_INTERNAL", "addresses": [VIP],
        "ports": [{"number": port, "name": f"p{port}"} for port in PORTS], "endpoints": [{"address": far.address}]})


def workload():
    """Return the service that the far machine's workload is one of."""
    return document("Service", "any", {"selector": {"app": "any"}, "ports": [
        {"port": port, "name": f"p{port}"} for port in (WEB, FIRST)]})


def say(machine, host, port, data):
    """Return what a server says to these bytes."""
    return machine.run(sys.executable, "-S", "-c", TALK.format(host=host, port=port, data=data), uid=STRANGER).stdout


def test_requests_are_routed_bytes_are_relayed_and_nobody_hangs(pair):
    near, far = pair.near, pair.far
    far.mirror(FIRST, uid=STRANGER, word="app")
    command = [*far.prefix(), sys.executable, "-c", ANSWER.format(port=LAST)]
    with open_folder() as folder, Nginx(far, WEB, folder), subprocess.Popen(command, stdout=subprocess.PIPE) as last:
        try:
            assert last.stdout.readline() == b"ready\n"
            client, server = istio(folder, "client", entry(far)), istio(
                folder, "server", workload(), labels={"app": "any"})
            with Sidecar(near, client) as one, Sidecar(far, server) as two:
                for machine in (near, far):
                    machine.enable()
                spoken(near, one, two)
        finally:
            last.kill()


def spoken(near, one, two):
    """What the client's machine sends, and what both sidecars make of it."""
    assert curl(near, f"http://{VIP}:{WEB}/shop") == (200, f"127.0.0.6 {VIP}:{WEB} /shop")
    assert curl(near, f"http://{VIP}:{WEB}/", "-H", "Host: whoever.test") == (200, "127.0.0.6 whoever.test /")
    cluster = f"outbound|{WEB}||any.shop.test"
    assert one.metric("envoy_cluster_upstream_rq_total", cluster_name=cluster) == 2
    assert two.metric("envoy_cluster_upstream_rq_total", cluster_name=f"inbound|{WEB}||") == 2

    began = time.monotonic()
    assert near.ask(VIP, FIRST).startswith(f"app {FIRST}"), "the server speaks first"
    assert time.monotonic() - began < PATIENT_S
    assert one.metric("envoy_cluster_upstream_cx_total", cluster_name=f"outbound|{FIRST}||any.shop.test") == 1
    assert one.metric("envoy_cluster_upstream_rq_total", cluster_name=f"outbound|{FIRST}||any.shop.test") == 0
    assert two.metric("envoy_cluster_upstream_cx_total", cluster_name=f"inbound|{FIRST}||") == 1

    for data in (b"\x00\x01binary", b"GET but no HTTP\r\n", b"PRI * HTTP/9\r\n"):
        assert say(near, VIP, LAST, data) == f"got {data.decode()}\n".replace("\r\n", "\n"), data
    assert two.metric("envoy_cluster_upstream_cx_total", cluster_name="InboundPassthroughCluster") == 3

    # HTTP to a port of the workload that no service names is counted as such, and answered by who is there
    assert "HTTP/1.1 400" not in say(near, VIP, LAST, b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    assert two.metric("envoy_cluster_upstream_rq_total", cluster_name="InboundPassthroughCluster") == 1


def test_http2_stays_http2_to_the_server(pair):
    near, far = pair.near, pair.far
    with open_folder() as folder, Nginx(far, WEB, folder, "http2"):
        client, server = istio(folder, "client", entry(far)), istio(folder, "server", workload(), labels={"app": "any"})
        with Sidecar(near, client) as one, Sidecar(far, server):
            for machine in (near, far):
                machine.enable()
            assert curl(near, f"http://{VIP}:{WEB}/two", "--http2-prior-knowledge") == (
                200, f"127.0.0.6 {VIP}:{WEB} /two")
            assert one.metric("envoy_http_inspector_http2_found") == 1
