"""Istio's tasks of TLS and TCP, as their pages have them: TCP traffic shifting, secure gateways, an ingress gateway
without TLS termination, TLS origination for egress traffic.
"""

import base64
import collections
import contextlib
import hashlib
import json
import socket
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from tests.integration.harness.tls import Mesh, curl, nginx, s_client
from tests.integration.istio.bookinfo import Bookinfo, Proxy
from tests.integration.istio.line import Lines, Tunnels
from tests.integration.istio.tls_documents import API, ECHO, EGRESS, GATEWAY, NGINX, SHIFT, TUNNEL


class Secure(Proxy):
    """A proxy with a folder of secrets."""

    def __init__(self, secrets, *arguments, **options):
        self.secrets = secrets
        super().__init__(*arguments, **options)

    def write(self, configuration):
        """Write the documents, and the native file with the folder."""
        super().write({"secrets": self.secrets.settings(), "documents": ["mesh.d"], "node": {
            "id": "test", "role": self.role, "ports": {str(key): value for key, value in self.own.items()}}})


@pytest.fixture(scope="module")
def secrets():
    """Return a folder of secrets."""
    with Mesh() as found:
        for name in ("httpbin", "helloworld", "mutual", "optional"):
            found.issue(f"{name}-credential", f"{name}.example.com")
        found.client = found.issue("client-credential", "client.example.com")
        found.issue("other-credential", "other.example.com")
        yield found


@pytest.fixture(scope="module")
def partner(secrets, tmp_path_factory):
    """Return the port of nginx with TLS, for three names."""
    secrets.issue("nginx", "nginx.example.com", "my-nginx.example.com", "edition.example.com")
    crt, key = secrets.files("nginx")
    with nginx(tmp_path_factory.mktemp("nginx"), NGINX % {"crt": crt, "key": key, "ca": secrets.ca}) as address:
        yield int(address.rpartition(":")[2])


@pytest.fixture(scope="module")
def lines():
    """Return two versions of tcp-echo."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Lines(word)).port for word in ("one", "two")]


@pytest.fixture(scope="module")
def forward():
    """Return a forward proxy."""
    with Tunnels("beyond") as found:
        yield found


@pytest.fixture(scope="module")
def edge(secrets, partner, lines, forward):
    """Return an ingress gateway."""
    spki = base64.b64encode(hashlib.sha256(secrets.client.certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)).digest()).decode()
    texts = [GATEWAY.format(spki=spki, nginx=partner), ECHO.format(v1=lines[0], v2=lines[1]),
             TUNNEL.format(proxy=forward.port)]
    named = {"shift": shifted(100, 0)}
    with contextlib.closing(Bookinfo({"details": ("v1",)})) as services:
        with Secure(secrets, texts, services.entries(), more_ports=(443, 31400, 31401), named=named) as proxy:
            yield proxy


@pytest.fixture(scope="module")
def sidecar(secrets, partner, lines):
    """Return a sidecar with ports of its own."""
    texts = [EGRESS.format(nginx=partner, ca=secrets.ca), ECHO.format(v1=lines[0], v2=lines[1])]
    with Secure(secrets, texts, role="sidecar", more_ports=(9000,)) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def modern(secrets, partner, lines):
    """Return a gateway that Gateway API's documents make."""
    crt, key = (base64.b64encode(Path(path).read_bytes()).decode() for path in secrets.files("httpbin-credential"))
    secrets.issue("mesh-ca", "nobody.example.com")
    named = {"gateway": API.format(crt=crt, key=key, nginx=partner, v1=lines[0], v2=lines[1],
                                   ca=json.dumps(secrets.root.pem.decode()))}
    with contextlib.closing(Bookinfo({"details": ("v1",)})) as services:
        with Secure(secrets, [], services.entries(), port=443, more_ports=(9000, 8443), named=named) as proxy:
            yield proxy


def shifted(v1, v2, hosts='["*"]', gateways="gateways: [mygateway]", port=31400):
    """Return the rule of tcp-echo."""
    return SHIFT.format(v1=v1, v2=v2, hosts=hosts, gateways=gateways, port=port)


def words(port, count):
    """Return how often each version has answered ``hello``, a connection each."""
    found = collections.Counter()
    for _ in range(count):
        with socket.create_connection(("127.0.0.1", port), 20) as sock:
            sock.sendall(b"hello\n")
            found[sock.makefile("rb").readline().decode().split()[0]] += 1
    return found


def get(edge, host, path="/status/418", *arguments, port=443):
    """Return what curl says: the status, or its fault."""
    code, said = curl("-o", "/dev/null", "-w", "%{http_code}", "--resolve", f"{host}:{edge.own[port]}:127.0.0.1",
                      "--cacert", edge.secrets.ca, *arguments, f"https://{host}:{edge.own[port]}{path}")
    return said if code == 0 else f"fault {code}"


def shows(edge, name):
    """Return curl's arguments for a client's certificate."""
    crt, key = edge.secrets.files(f"{name}-credential")
    return "--cert", crt, "--key", key


def test_tcp_traffic_is_shifted_by_weight(edge):
    assert words(edge.own[31400], 20) == {"one": 20}
    edge.apply("shift", shifted(80, 20))
    found = words(edge.own[31400], 300)
    assert set(found) == {"one", "two"} and 25 <= found["two"] <= 105
    edge.apply("shift", shifted(0, 100))
    assert words(edge.own[31400], 20) == {"two": 20}


def test_a_sidecar_shifts_tcp_traffic_too(sidecar):
    assert set(words(sidecar.own[9000], 20)) == {"one", "two"}
    sidecar.apply("shift", shifted(0, 1, "[tcp-echo.test]", "", 9000))
    assert words(sidecar.own[9000], 20) == {"two": 20}


def test_a_tunnel_leads_through_the_forward_proxy(edge, forward):
    assert words(edge.own[31401], 2) == {"beyond": 2}
    assert forward.asked == ["CONNECT external.example.com:8080 HTTP/1.1"] * 2


def test_a_secure_gateway_serves_several_hosts(edge):
    assert [get(edge, f"{host}.example.com") for host in ("httpbin", "helloworld")] == ["418", "418"]
    assert get(edge, "httpbin.example.com", "/other") == "404"
    said = s_client(edge.own[443], "-servername", "helloworld.example.com")
    assert "helloworld.example.com" in said and "httpbin.example.com" not in said
    assert get(edge, "unknown.example.com").startswith("fault")


def test_a_server_has_its_oldest_version(edge):
    old = ("--tls-max", "1.2")
    assert get(edge, "httpbin.example.com", "/status/418", *old).startswith("fault")
    assert get(edge, "helloworld.example.com", "/status/418", *old) == "418"


def test_plain_requests_are_sent_to_https(edge):
    code, said = curl("-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", "-H", "Host: httpbin.example.com",
                      f"http://127.0.0.1:{edge.own[80]}/status/418")
    assert (code, said) == (0, "301 https://httpbin.example.com/status/418")


def test_a_mutual_gateway_asks_for_a_certificate(edge):
    host, path = "mutual.example.com", "/status/418"
    assert get(edge, host).startswith("fault")
    assert get(edge, host, path, *shows(edge, "other")).startswith("fault")
    assert get(edge, host, path, *shows(edge, "client")) == "418"


def test_an_optional_mutual_gateway_takes_none_or_a_good_one(edge):
    host, path = "optional.example.com", "/status/418"
    assert get(edge, host) == "418"
    assert get(edge, host, path, *shows(edge, "client")) == "418"
    assert get(edge, host, path, *shows(edge, "other")).startswith("fault")


def test_tls_passes_through_to_the_workload(edge):
    code, said = curl("--resolve", f"nginx.example.com:{edge.own[443]}:127.0.0.1", "--cacert", edge.secrets.ca,
                      f"https://nginx.example.com:{edge.own[443]}/")
    assert (code, said) == (0, "nginx.example.com NONE nginx.example.com\n")


def test_tls_is_originated_for_egress_traffic(sidecar):
    assert ask(sidecar, "edition.example.com") == (200, "edition.example.com NONE edition.example.com\n")
    assert ask(sidecar, "my-nginx.example.com") == (200, "my-nginx.example.com SUCCESS my-nginx.example.com\n")


def test_a_certificate_of_somebody_else_is_not_taken(sidecar):
    assert ask(sidecar, "stranger.example.com")[0] == 503
    assert "it is not for stranger.example.com" in sidecar.access(status=503)["reason"]


def test_gateway_api_s_listeners_of_https_tls_and_tcp(modern):
    assert get(modern, "httpbin.example.com") == "418"
    code, said = curl("--resolve", f"nginx.example.com:{modern.own[443]}:127.0.0.1", "--cacert", modern.secrets.ca,
                      f"https://nginx.example.com:{modern.own[443]}/")
    assert (code, said) == (0, "nginx.example.com NONE nginx.example.com\n")
    assert set(words(modern.own[9000], 60)) == {"one", "two"}


def test_a_backend_tls_policy_says_whom_to_trust(modern):
    host, at = "httpbin.example.com", modern.own[443]
    arguments = ("--resolve", f"{host}:{at}:127.0.0.1", "--cacert", modern.secrets.ca)
    assert curl(*arguments, f"https://{host}:{at}/secure") == (0, f"nginx.example.com NONE {host}\n")
    assert get(modern, host, "/stranger") == "503"
    assert "it is not for stranger.example.com" in modern.access(status=503)["reason"]


def test_a_port_of_a_gateway_asks_clients_for_a_certificate(modern):
    host, path = "httpbin.example.com", "/status/418"
    assert get(modern, host, path, port=8443).startswith("fault")
    assert get(modern, host, path, *shows(modern, "client"), port=8443) == "418"


def ask(sidecar, host):
    """Return (status, body) of a request in the clear."""
    status, _, body = sidecar.get("/", host=host)
    return status, body.decode() if isinstance(body, bytes) else json.dumps(body)
