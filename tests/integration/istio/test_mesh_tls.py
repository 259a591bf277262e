"""TLS of the mesh by Istio's documents alone, with certificates in files: ISTIO_MUTUAL at both ends, who is refused,
renewal, AUTO_PASSTHROUGH between two networks, and Envoy as either end.
"""

import contextlib
import os
import socket
import ssl

import pytest

from tests.integration.harness.client import ask
from tests.integration.harness.envoy import Envoy, envoy_program
from tests.integration.harness.tls import Mesh
from tests.integration.istio.bookinfo import Bookinfo, Proxy
from tests.integration.istio.line import Lines
from tests.integration.istio.mesh_documents import CLIENT, EAST_WEST, SERVER, service
from tests.integration.process import free_port, wait_for
from tests.integration.test_tls_envoy import listener

SERVER_ID, CLIENT_ID = "spiffe://mesh.test/ns/default/sa/server", "spiffe://mesh.test/ns/default/sa/client"
ISTIO_NAMES = (("tls.crt", "cert-chain.pem"), ("tls.key", "key.pem"), ("ca.crt", "root-cert.pem"))
TLS_CONTEXT = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"


class Identities(Mesh):
    """A folder for each workload, with the files that Istio gives to a virtual machine."""

    def identity(self, name, spiffe_id):
        """Give, or renew, a workload's certificate; return it."""
        leaf = self.issue(name, f"uri:{spiffe_id}")
        for old, new in ISTIO_NAMES:
            os.replace(self.folder / name / old, self.folder / name / new)
        return leaf

    def of(self, name):
        """Return the paths of a workload's certificate, key and root."""
        return [str(self.folder / name / new) for _, new in ISTIO_NAMES]


class Workload(Proxy):
    """A proxy with an identity."""

    def __init__(self, identities, identity, *arguments, **options):
        self.identities, self.identity = identities, identity
        super().__init__(*arguments, **options)

    def write(self, configuration):
        """Write the documents, and the native file with the identity."""
        super().write({
            "secrets": self.identities.settings(), "documents": ["mesh.d"], "node": {
                "id": "test", "role": self.role, "ports": {str(key): value for key, value in self.own.items()},
                **({"identity": self.identity} if self.identity else {})}})


@pytest.fixture(scope="module")
def identities():
    with Identities() as found:
        found.identity("server-id", SERVER_ID)
        found.identity("client-id", CLIENT_ID)
        found.identity("stranger-id", "spiffe://elsewhere.test/ns/default/sa/client")
        yield found


@pytest.fixture(scope="module")
def inner(identities):
    """Return a gateway of the mesh before ``details`` and a service of lines."""
    with contextlib.ExitStack() as stack:
        lines = stack.enter_context(Lines("one"))
        services = stack.enter_context(contextlib.closing(Bookinfo({"details": ("v1",)})))
        texts = [SERVER.format(lines=lines.port)]
        yield stack.enter_context(Workload(identities, "server-id", texts, services.entries(), port=443,
                                           more_ports=(9443,)))


def client(identities, places, identity="client-id"):
    """Return a sidecar for ServiceEntries."""
    return Workload(identities, identity, [CLIENT.format(services="\n---\n".join(places))], role="sidecar",
                    more_ports=(9000,))


def through(inner, east_west=None):
    """Return services: plain, with the right account and with a wrong one."""
    at = east_west or inner.own[443]
    return [service("details", at), service("right", at, account="server"), service("wrong", at, account="other"),
            service("lines", east_west or inner.own[9443], 9000, "tcp")]


@pytest.fixture(scope="module")
def outer(identities, inner):
    with client(identities, through(inner)) as proxy:
        yield proxy


def line(port):
    """Return the answer of the service of lines."""
    with socket.create_connection(("127.0.0.1", port), 20) as sock:
        sock.sendall(b"hello\n")
        return sock.makefile("rb").readline()


def test_both_ends_are_the_mesh_s(inner, outer):
    status, _, said = outer.get("/a", host="details.test")
    assert (status, said["service"]) == (200, "details")
    assert outer.get("/a", host="right.test")[0] == 200
    assert line(outer.own[9000]).startswith(b"one")
    assert outer.metric("envoy_cluster_ssl_handshake") >= 3
    assert inner.metric("envoy_listener_ssl_handshake") >= 3


def test_the_backend_is_told_who_the_client_is(outer):
    said = outer.get("/a", host="details.test")[2]
    assert f"URI={CLIENT_ID}" in said["headers"]["x-forwarded-client-cert"]
    assert f"By={SERVER_ID}" in said["headers"]["x-forwarded-client-cert"]


def test_another_account_is_not_taken(outer):
    assert outer.get("/a", host="wrong.test")[0] == 503
    row = outer.access(status=503)
    assert row["flags"] == "UF,URX" and "verify cert failed: SAN matcher" in row["reason"]
    assert outer.metric("envoy_cluster_ssl_fail_verify_san") >= 1


def test_another_trust_domain_is_refused_at_both_ends(identities, inner, outer):
    before = inner.metric("envoy_listener_ssl_fail_verify_san")
    with client(identities, through(inner), "stranger-id") as stranger:
        assert stranger.get("/a", host="details.test")[0] == 503
    assert inner.metric("envoy_listener_ssl_fail_verify_san") > before
    identities.identity("server-id", "spiffe://elsewhere.test/ns/default/sa/server")
    try:
        wait_for(lambda: outer.get("/a", host="details.test")[0] == 503, "the other trust domain to be refused")
        why = "TLS_error: verify cert failed: trust domain elsewhere.test is not trusted"
        assert outer.access(reason=why)["status"] == 503
    finally:
        identities.identity("server-id", SERVER_ID)
        wait_for(lambda: outer.get("/a", host="details.test")[0] == 200, "the right one")


def test_without_a_certificate_there_is_no_connection(identities, inner):
    context = ssl.create_default_context(cafile=identities.of("client-id")[2])
    context.check_hostname = False
    with socket.create_connection(("127.0.0.1", inner.own[443]), 20) as plain:
        with pytest.raises((ssl.SSLError, OSError)), context.wrap_socket(plain) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            assert not sock.recv(1)
            raise OSError("closed")


def test_renewed_files_are_in_force_without_a_failure(identities, inner, outer):
    for name, spiffe_id, proxy in (("server-id", SERVER_ID, inner), ("client-id", CLIENT_ID, outer)):
        serial = f"{identities.identity(name, spiffe_id).certificate.serial_number:x}"

        def is_shown(proxy=proxy, serial=serial):
            assert outer.get("/a", host="details.test")[0] == 200
            return serial in str(proxy.json("/certs"))
        wait_for(is_shown, f"the new certificate of {name}")


def test_server_names_lead_through_a_gateway_between_networks(identities, inner):
    east_west = EAST_WEST.format(services="\n---\n".join(through(inner)))
    with Proxy([east_west], port=15443) as gateway:
        with client(identities, through(inner, gateway.own[15443])) as far:
            assert far.get("/a", host="details.test")[0] == 200
            assert far.get("/a", host="wrong.test")[0] == 503
            assert line(far.own[9000]).startswith(b"one")
        assert gateway.metric("envoy_cluster_upstream_cx_total", cluster_name="outbound_.80_._.details.test") >= 1
        before = gateway.metric("envoy_listener_no_filter_chain_match")
        for name, alpn in (("outbound_.80_._.nobody.test", "istio"), ("details.test", "istio"),
                           ("outbound_.80_._.details.test", "http/1.1")):
            context = ssl.create_default_context()
            context.set_alpn_protocols([alpn])
            with socket.create_connection(("127.0.0.1", gateway.port), 20) as plain, pytest.raises(OSError):
                context.wrap_socket(plain, server_hostname=name)
        assert gateway.metric("envoy_listener_no_filter_chain_match") == before + 3


def common(identities, name):
    """Return Envoy's CommonTlsContext of a workload."""
    chain, key, root = identities.of(name)
    return {"tls_certificates": [{"certificate_chain": {"filename": chain}, "private_key": {"filename": key}}],
            "validation_context": {"trusted_ca": {"filename": root}, "match_typed_subject_alt_names": [
                {"san_type": "URI", "matcher": {"prefix": "spiffe://mesh.test/"}}]}}


def test_envoy_at_either_end(identities, inner):
    with contextlib.ExitStack() as stack:
        services = stack.enter_context(contextlib.closing(Bookinfo({"details": ("v1",)})))
        secure, plain = free_port(), free_port()
        cluster = {
            "name": "meshd", "type": "STATIC", "load_assignment": {"cluster_name": "meshd", "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": {"socket_address": {
                    "address": "127.0.0.1", "port_value": inner.own[443]}}}}]}]},
            "transport_socket": {"name": "tls", "typed_config": {
                "@type": TLS_CONTEXT, "sni": "outbound_.80_._.details.test", "common_tls_context": {
                    **common(identities, "client-id"), "alpn_protocols": ["istio-http/1.1", "istio", "http/1.1"]}}}}
        server = listener(identities, secure, "up", asks=True)
        server["filter_chains"][0]["transport_socket"]["typed_config"]["common_tls_context"] = {
            **common(identities, "server-id"), "alpn_protocols": ["h2", "http/1.1"]}
        at = services.servers["details", "v1"].server_port
        envoy = Envoy(envoy_program(), [server, listener(identities, plain, "meshd", secure=False)],
                      {"up": ("127.0.0.1", at)}, [cluster])
        stack.callback(envoy.close)
        assert ask(plain)[0] == 200
        places = [service("details", secure), service("right", secure, account="server"),
                  service("wrong", secure, account="other"), service("lines", secure, 9000, "tcp")]
        with client(identities, places) as outer:
            assert [outer.get("/a", host=f"{one}.test")[0] for one in ("details", "right", "wrong")] == [200, 200, 503]
        with client(identities, places, "stranger-id") as outer:
            assert outer.get("/a", host="details.test")[0] == 503
