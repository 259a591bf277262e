"""What Istio's documents say of captured connections, on the wire: visible hosts, virtual addresses, unknown hosts."""

import socket
import subprocess
import sys

import pytest

from tests.integration.harness.capture import STRANGER, Pair
from tests.integration.harness.sidecars import Nginx, Sidecar, curl, istio, open_folder
from tests.istio.view import document, service, sidecar

WEB, BYTES = 8080, 9000
CLOSED = {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}


@pytest.fixture
def place():
    """Two machines with a web server and an application of bytes on the far one, and a folder for documents."""
    with Pair() as pair, open_folder() as folder, Nginx(pair.far, WEB, folder):
        pair.far.mirror(BYTES, uid=STRANGER, word="app")
        yield pair.near, pair.far, folder


def web(name, far, **more):
    """Return a service of HTTP at the far machine."""
    return service(name, endpoints=[far.address], ports=((WEB, "http"),), **more)


def count(daemon, name, port, host):
    """Return how many requests or connections have gone to a service."""
    return daemon.metric(f"envoy_cluster_upstream_{name}_total", cluster_name=f"outbound|{port}||{host}")


def test_services_on_one_port_are_told_apart_by_host_or_by_address(place):
    near, far, folder = place
    texts = (
        web("a.test", far), web("b.test", far),
        service("one.test", endpoints=[far.address], ports=((BYTES, "tcp"),), addresses=["10.200.0.1"]),
        service("two.test", endpoints=[far.address], ports=((BYTES, "tcp"),), addresses=["10.200.0.2"]),
        service("net.test", endpoints=[far.address], ports=((BYTES, "tcp"),), addresses=["10.201.0.0/16"]),
        service("wild.test", hosts=["*.wild.test"], endpoints=(), ports=((WEB, "http"),), resolution="NONE"),
        document("MeshConfig", "mesh", CLOSED))
    with Sidecar(near, istio(folder, "client", *texts)) as daemon:
        near.enable()
        for host in ("a.test", "b.test"):
            assert curl(near, f"http://203.0.113.1:{WEB}/", "-H", f"Host: {host}")[0] == 200
            assert count(daemon, "rq", WEB, host) == 1
        for address, host in (("10.200.0.1", "one.test"), ("10.200.0.2", "two.test"), ("10.201.7.7", "net.test")):
            assert near.ask(address, BYTES).startswith("app"), host
            assert count(daemon, "cx", BYTES, host) == 1
        # any name below the wildcard goes where its client meant to go
        assert curl(near, f"http://{far.address}:{WEB}/", "-H", "Host: x.wild.test") == (
            200, f"{near.address} x.wild.test /")
        assert count(daemon, "rq", WEB, "*.wild.test") == 1
        # nobody's: 502 to requests, closed otherwise, and counted
        assert curl(near, f"http://{far.address}:{WEB}/", "-H", "Host: nobody.test")[0] == 502
        assert not near.ask(far.address, BYTES).startswith("app")
        assert daemon.metric("envoy_cluster_upstream_cx_none_healthy", cluster_name="BlackHoleCluster") == 1


def test_a_sidecar_document_says_which_hosts_are_seen(place):
    near, far, folder = place
    port = {"number": 7000, "protocol": "HTTP", "name": "http"}
    egress = [{"port": port, "hosts": ["./b.test"], "captureMode": "NONE"}, {"hosts": ["./a.test"]}]
    texts = web("a.test", far), service("b.test", endpoints=[{"address": far.address, "ports": {"http": WEB}}],
                                        ports=((7000, "http"),)), web("c.test", far), sidecar(egress, **CLOSED)
    with Sidecar(near, istio(folder, "client", *texts)) as daemon:
        near.enable()
        url = f"http://203.0.113.1:{WEB}/"
        assert curl(near, url, "-H", "Host: a.test")[0] == 200
        assert curl(near, url, "-H", "Host: c.test")[0] == 502, "not among the hosts"
        assert curl(near, "http://127.0.0.1:7000/", "-H", "Host: b.test")[0] == 200, "a listener that is not captured"
        assert daemon.ports["127.0.0.1_7000"] == 7000


def test_ingress_goes_to_a_unix_socket(place):
    near, far, folder = place
    path = folder / "app"
    ports = [{"port": {"number": 7100, "protocol": "TCP", "name": "tcp"}, "defaultEndpoint": f"unix://{path}"}]
    made = istio(folder, "server", document("Sidecar", "server", {"ingress": ports}))
    with socket.socket(socket.AF_UNIX) as server, Sidecar(near, made) as daemon:
        server.bind(str(path))
        path.chmod(0o777)
        server.listen()
        server.settimeout(10)
        near.enable()
        with socket_of(far, near.address, 7100) as client:
            sock, _ = server.accept()
            with sock:
                sock.sendall(b"from the socket\n")
            assert client.communicate(timeout=10)[0] == b"from the socket\n"
        assert daemon.metric("envoy_cluster_upstream_cx_total", cluster_name="inbound|7100||") == 1


def socket_of(machine, host, port):
    """Return a process that reads all that a server says."""
    code = f"import socket; print(socket.create_connection(({host!r}, {port}), 10).makefile().read(), end='')"
    return subprocess.Popen([*machine.prefix(STRANGER), sys.executable, "-S", "-c", code], stdout=subprocess.PIPE)
