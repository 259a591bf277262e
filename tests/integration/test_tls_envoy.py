"""TLS with Envoy at either end, and x-forwarded-client-cert as Envoy itself writes it."""

import contextlib
import ssl

import pytest
from cryptography import x509

from meshd.wire.tls.certificate import _SHORT, Certificate
from tests.integration.harness.client import ask
from tests.integration.harness.daemon import Daemon, one_cluster
from tests.integration.harness.envoy import Envoy, envoy_program
from tests.integration.harness.tls import Mesh, call
from tests.integration.harness.upstream import Upstream, reply
from tests.integration.process import free_port
from tests.pki import Authority

MODES = ("sanitize", "forward_only", "append_forward", "sanitize_set", "always_forward_only")
DETAILS = {"subject": True, "cert": True, "chain": True, "dns": True, "uri": True}
LINE = b"x-forwarded-client-cert: By=x;Hash=y\r\n"
FORGED = b"GET / HTTP/1.1\r\nhost: shop.test\r\n" + LINE + b"connection: close\r\n\r\n"


def file(path):
    """Return a data source of Envoy's."""
    return {"filename": path}


def common(mesh, name):
    """Return Envoy's CommonTlsContext."""
    certificate, key = mesh.files(name)
    return {"tls_certificates": [{"certificate_chain": file(certificate), "private_key": file(key)}],
            "validation_context": {"trusted_ca": file(mesh.ca)}}


def listener(mesh, port, cluster, asks=False, mode="SANITIZE", secure=True):
    """Return an HTTP listener of Envoy's."""
    context = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3"
                 ".HttpConnectionManager",
        "stat_prefix": "x", "codec_type": "HTTP1", "forward_client_cert_details": mode,
        "set_current_client_cert_details": DETAILS,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
            {"match": {"prefix": "/"}, "route": {"cluster": cluster}}]}]},
        "http_filters": [{"name": "router", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}
    chain = {"filters": [{"name": "hcm", "typed_config": manager}]}
    if secure:
        chain["transport_socket"] = {"name": "tls", "typed_config": {
            "@type": context, "require_client_certificate": asks, "common_tls_context": common(mesh, "server")}}
    return {"name": f"l{port}", "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
            "filter_chains": [chain]}


@pytest.fixture
def mesh():
    envoy_program()
    with Mesh() as made:
        yield made


def heads_of(stack):
    """Return (upstream, list of the heads that it gets)."""
    heads = []

    def script(peer):
        heads.append(peer.head())
        peer.send(reply(b"up"))

    return stack.enter_context(Upstream(script)), heads


def field(head):
    """Return the values of x-forwarded-client-cert in a head, joined as Envoy does, b"" without."""
    lines = [line.partition(b":") for line in head.split(b"\r\n")]
    return b",".join(value.strip() for name, _, value in lines if name.lower() == b"x-forwarded-client-cert")


def odd_subject():
    """Return a name with what has to be escaped, and with types that have a name of their own or none."""
    rows = [("2.5.4.10", 'A "b", \\ +c;<d>=#'), ("2.5.4.3", " #e\r\nf: g "), ("2.5.4.11", "Z\u00fcrich"),
            ("1.2.3.4", "h")]
    rows += [(one, "i") for one in _SHORT if one not in ("2.5.4.3", "2.5.4.6", "2.5.4.10", "2.5.4.11")]
    return x509.Name([x509.NameAttribute(x509.ObjectIdentifier(one), value) for one, value in rows])


def test_the_field_is_the_same_in_every_mode(mesh):
    mesh.issue("odd", "a.test", 'uri:spiffe://a/b,By=c;Hash="d"', "uri:spiffe://e/f", "*.b.test", subject=odd_subject())
    with contextlib.ExitStack() as stack:
        upstream, heads = heads_of(stack)
        host, _, port = upstream.address.rpartition(":")
        ports = {mode: free_port() for mode in MODES}
        plain = free_port()
        listeners = [listener(mesh, ports[mode], "up", mode=mode.upper()) for mode in MODES]
        envoy = Envoy(envoy_program(), [*listeners, listener(mesh, plain, "up", secure=False)],
                      {"up": (host, int(port))})
        stack.callback(envoy.close)
        for mode in MODES:
            http = {"forward_client_cert_details": mode, "set_current_client_cert_details": DETAILS}
            configuration = one_cluster(upstream.address, secrets=mesh.settings(),
                                        listener={"tls": mesh.serving("optional"), "http": http})
            with Daemon(configuration) as daemon:
                for client in ("client", "odd", None):
                    for data in (FORGED, FORGED.replace(LINE, b""), FORGED.replace(LINE, LINE * 2)):
                        found = []
                        for place in (ports[mode], daemon.port):
                            heads.clear()
                            call(place, mesh.context(client), data=data)
                            found.append(field(heads[-1]))
                        assert found[0] == found[1], (mode, client, data)


def test_envoy_as_upstream_and_as_client_of_mutual_tls(mesh):
    with contextlib.ExitStack() as stack:
        upstream, _ = heads_of(stack)
        host, _, port = upstream.address.rpartition(":")
        secure, plain = free_port(), free_port()
        configuration = one_cluster(upstream.address, listener={"tls": mesh.serving("required")},
                                    secrets=mesh.settings())
        inner = stack.enter_context(Daemon(configuration))
        context = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
        cluster = {
            "name": "meshd", "type": "STATIC", "load_assignment": {"cluster_name": "meshd", "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": {"socket_address": {
                    "address": "127.0.0.1", "port_value": inner.port}}}}]}]},
            "transport_socket": {"name": "tls", "typed_config": {
                "@type": context, "sni": "shop.test", "common_tls_context": common(mesh, "client")}}}
        envoy = Envoy(
            envoy_program(), [listener(mesh, secure, "up", asks=True), listener(mesh, plain, "meshd", secure=False)],
            {"up": (host, int(port))}, [cluster])
        stack.callback(envoy.close)
        outer = stack.enter_context(Daemon(one_cluster(
            f"127.0.0.1:{secure}", cluster={"tls": mesh.calling()}, listener={"tls": mesh.serving()},
            secrets=mesh.settings())))
        for _ in range(3):
            assert call(outer.port, mesh.context())[0].endswith(b"up")
            assert ask(plain)[2] == b"up"
        without = ssl.create_default_context(cafile=mesh.ca)
        assert call(outer.port, without)[0].startswith(b"HTTP/1.1 200")
        assert inner.metric("envoy_listener_ssl_handshake") >= 1
        assert outer.metric("envoy_cluster_ssl_handshake") >= 1


def test_clients_known_by_their_keys_alone_are_let_in_as_envoy_does(mesh):
    with contextlib.ExitStack() as stack:
        upstream, _ = heads_of(stack)
        host, _, port = upstream.address.rpartition(":")
        elsewhere = Authority("elsewhere")
        leaf = mesh.issue("known", "known.test", root=elsewhere)
        mesh.issue("unknown", "unknown.test", root=elsewhere)
        pin = Certificate(leaf.der).spki_hash
        secure, plain = free_port(), free_port()
        asking = listener(mesh, secure, "up", asks=True)
        asking["filter_chains"][0]["transport_socket"]["typed_config"]["common_tls_context"]["validation_context"] = {
            "verify_certificate_spki": [pin]}
        envoy = Envoy(envoy_program(), [asking, listener(mesh, plain, "up", secure=False)], {"up": (host, int(port))})
        stack.callback(envoy.close)
        daemon = stack.enter_context(Daemon(one_cluster(
            upstream.address, secrets=mesh.settings(), listener={"tls": {
                "certificates": [{"secret": "server"}], "client_certificate": "required",
                "validation": {"verify_certificate_spki": [pin]}}})))
        for client, is_let_in in (("known", True), ("unknown", False), ("client", False), (None, False)):
            assert [reaches(at, mesh, client) for at in (secure, daemon.port)] == [is_let_in] * 2, client
        assert daemon.metric("envoy_listener_ssl_fail_verify_cert_hash") == 2


def reaches(port, mesh, client):
    """Say whether a client that shows a secret's certificate gets an answer."""
    try:
        return call(port, mesh.context(client))[0].endswith(b"up")
    except OSError:
        return False
