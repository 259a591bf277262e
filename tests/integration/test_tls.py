"""TLS on both sides of a real daemon, with curl, openssl, nginx and Envoy as peers."""

import http.client
import json
import random
import socket
import ssl
import tempfile
import threading

import pytest

from tests.integration.harness.client import ask, dial, read_to_end
from tests.integration.harness.daemon import Daemon, document, one_cluster
from tests.integration.harness.tls import CLIENT_ID, SERVER_ID, Mesh, call, curl, nginx, s_client
from tests.integration.harness.upstream import Upstream, reply
from tests.integration.process import free_port
from tests.pki import Authority

HELLO = [{"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": "hello"}}]
FIELDS = {
    "path": "%REQ(:PATH)%", "version": "%DOWNSTREAM_TLS_VERSION%", "cipher": "%DOWNSTREAM_TLS_CIPHER%",
    "subject": "%DOWNSTREAM_PEER_SUBJECT%", "uri": "%DOWNSTREAM_PEER_URI_SAN%", "name": "%REQUESTED_SERVER_NAME%",
    "local": "%DOWNSTREAM_LOCAL_URI_SAN%", "up": "%UPSTREAM_TLS_VERSION%", "up_uri": "%UPSTREAM_PEER_URI_SAN%",
    "reason": "%UPSTREAM_TRANSPORT_FAILURE_REASON%", "flags": "%RESPONSE_FLAGS%",
}


@pytest.fixture
def mesh():
    with Mesh() as made:
        yield made


def hello(mesh, **tls):
    """Return a configuration that answers over TLS."""
    return document(HELLO, [], listener={"tls": mesh.serving(**tls)}, secrets=mesh.settings())


def chained(mesh, address, tls=None, **listener):
    """Return a configuration: mutual TLS in, mutual TLS out to ``address``."""
    return one_cluster(
        address, cluster={"tls": mesh.calling() if tls is None else tls}, secrets=mesh.settings(),
        listener={"tls": mesh.serving("optional"), **listener})


def test_curl_speaks_both_versions_and_sees_the_right_certificate(mesh):
    mesh.issue("other", "other.test")
    listener = {"tls": {"certificates": [{"secret": "server"}, {"secret": "other"}]}}
    with Daemon(document(HELLO, [], listener=listener, secrets=mesh.settings())) as daemon:
        for version in ("1.2", "1.3"):
            for name in ("shop.test", "other.test"):
                url = f"https://{name}:{daemon.port}/"
                code, said = curl("--cacert", mesh.ca, f"--tlsv{version}", "--tls-max", version, "--resolve",
                                  f"{name}:{daemon.port}:127.0.0.1", url)
                assert (code, said) == (0, "hello"), said
        assert curl("--cacert", mesh.ca, "--resolve", f"x.test:{daemon.port}:127.0.0.1",
                    f"https://x.test:{daemon.port}/")[0] == 60
        assert daemon.metric("envoy_listener_ssl_versions", ssl_version="TLSv1.2") == 2
        assert "Cipher is (NONE)" in s_client(daemon.port, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")


def test_names_that_are_none_are_refused_or_shown_the_first_and_fill_no_log(mesh):
    with Daemon(hello(mesh)) as daemon:
        for name in ("a..test", ".shop.test", "x" * 70 + ".test", "SHOP.TEST.", "*"):
            assert "CN = localhost" in s_client(daemon.port, "-servername", name), name
        assert "alert" in s_client(daemon.port, "-servername", "\u00e9.test")
        assert daemon.metric("envoy_listener_ssl_connection_error") == 1
        assert "Exception" not in daemon.log()


def test_rsa_and_ecdsa_are_chosen_by_what_the_client_takes(mesh):
    mesh.issue("rsa", "shop.test", kind="rsa")
    listener = {"tls": {"certificates": [{"secret": "rsa"}, {"secret": "server"}]}}
    with Daemon(document(HELLO, [], listener=listener, secrets=mesh.settings())) as daemon:
        rsa = s_client(daemon.port, "-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256", "-servername", "shop.test")
        ecdsa = s_client(daemon.port, "-tls1_3", "-sigalgs", "ecdsa_secp256r1_sha256", "-servername", "shop.test")
        assert "Peer signature type: RSA-PSS" in rsa, rsa
        assert "Peer signature type: ECDSA" in ecdsa, ecdsa


def test_a_session_is_taken_up_again(mesh):
    with Daemon(hello(mesh)) as daemon:
        context = mesh.context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        said = s_client(daemon.port, "-reconnect", "-tls1_2", "-CAfile", mesh.ca)
        if len(daemon.pids) == 1:
            assert said.count("Reused, TLSv1.2") == 5, said


def test_client_certificates_reach_the_upstream_and_the_access_log(mesh):
    heads = []

    def script(peer):
        heads.append(peer.head().lower())
        peer.send(reply(b"up"))

    with tempfile.NamedTemporaryFile() as log, Upstream(script) as upstream:
        http = {"forward_client_cert_details": "sanitize_set",
                "set_current_client_cert_details": {"uri": True, "subject": True, "dns": True}}
        configuration = one_cluster(upstream.address, listener={"tls": mesh.serving("optional"), "http": http},
                                    secrets=mesh.settings())
        configuration["telemetry"] = [{"access_log": {"path": log.name, "json": FIELDS, "buffer": {
            "flush_interval": "10ms"}}}]
        with Daemon(configuration, access_log=log.name) as daemon:
            answer, sock = call(daemon.port, mesh.context("client"))
            assert answer.endswith(b"up")
            head = heads[0]
            assert b"x-forwarded-proto: https" in head
            assert f"by={SERVER_ID};hash=".encode() in head
            assert f'subject="cn=uri:{CLIENT_ID}";uri={CLIENT_ID};dns=client.test'.encode() in head
            entry = daemon.access(path="/")
            assert (entry["version"], entry["uri"], entry["name"], entry["local"]) == (
                "TLSv1.3", CLIENT_ID, "shop.test", SERVER_ID)
            forged = b"GET /forged HTTP/1.1\r\nhost: a\r\nx-forwarded-client-cert: By=me\r\nconnection: close\r\n\r\n"
            call(daemon.port, mesh.context(), data=forged)
            assert b"x-forwarded-client-cert" not in heads[1]


def test_required_means_required(mesh):
    with Daemon(hello(mesh, client_certificate="required")) as daemon:
        assert call(daemon.port, mesh.context("client"))[0].endswith(b"hello")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            call(daemon.port, mesh.context())
        other = Authority("other")
        mesh.issue("stranger", "x", root=other)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            call(daemon.port, mesh.context("stranger"))
        assert daemon.metric("envoy_listener_ssl_fail_verify_no_cert") == 1
        assert daemon.metric("envoy_listener_ssl_fail_verify_error") == 1


def test_nginx_as_upstream_with_mutual_tls(mesh):
    certificate, key = mesh.files("server")
    server = f"""server {{
      listen 127.0.0.1:%(port)s ssl; ssl_certificate {certificate}; ssl_certificate_key {key};
      ssl_client_certificate {mesh.ca}; ssl_verify_client on; ssl_protocols TLSv1.2 TLSv1.3;
      location / {{ return 200 "$ssl_client_s_dn $ssl_server_name"; }} }}"""
    with tempfile.TemporaryDirectory() as folder, nginx(folder, server) as address:
        with Daemon(chained(mesh, address)) as daemon:
            answers = [call(daemon.port, mesh.context())[0] for _ in range(3)]
            assert all(answer.endswith(f"CN=uri:{CLIENT_ID} shop.test".encode()) for answer in answers), answers
            assert daemon.metric("envoy_cluster_ssl_handshake") >= 1
        without = mesh.calling()
        del without["certificate"]
        with Daemon(chained(mesh, address, without)) as daemon:
            assert b"400 No required SSL certificate" in call(daemon.port, mesh.context())[0]


def test_an_upstream_that_is_not_believed_is_a_connection_failure_with_its_cause(mesh):
    mesh.issue("stranger", "shop.test", root=Authority("other"))
    certificate, key = mesh.files("stranger")
    server = f"""server {{
      listen 127.0.0.1:%(port)s ssl; ssl_certificate {certificate}; ssl_certificate_key {key};
      location / {{ return 200 "no"; }} }}"""
    with tempfile.TemporaryDirectory() as folder, nginx(folder, server) as address:
        with Daemon(chained(mesh, address)) as daemon:
            assert call(daemon.port, mesh.context())[0].startswith(b"HTTP/1.1 503")
            entry = daemon.access(path="/")
            assert "UF" in entry["flags"]
            assert entry["reason"].startswith("TLS_error:SSL routines:CERTIFICATE_VERIFY_FAILED"), entry
            assert daemon.metric("envoy_cluster_ssl_fail_verify_error") >= 1
            assert daemon.metric("envoy_cluster_upstream_cx_connect_fail") >= 1


def test_the_connect_timeout_covers_the_handshake(mesh):
    with Upstream(lambda peer: peer.wait_end()) as silent:
        cluster = {"tls": mesh.calling(), "connect_timeout": "300ms"}
        with Daemon(one_cluster(silent.address, cluster=cluster, secrets=mesh.settings())) as daemon:
            assert ask(daemon.port)[0] == 503
            assert "no handshake within" in daemon.access(path="/")["reason"]
            daemon.settled()


def test_nginx_as_client_of_mutual_tls(mesh):
    certificate, key = mesh.files("client")
    with Daemon(hello(mesh, client_certificate="required")) as daemon, tempfile.TemporaryDirectory() as folder:
        server = f"""server {{ listen 127.0.0.1:%(port)s;
          location / {{ proxy_pass https://127.0.0.1:{daemon.port}; proxy_ssl_certificate {certificate};
            proxy_ssl_certificate_key {key}; proxy_ssl_trusted_certificate {mesh.ca}; proxy_ssl_verify on;
            proxy_ssl_name shop.test; proxy_ssl_server_name on; proxy_ssl_protocols TLSv1.2 TLSv1.3; }} }}"""
        with nginx(folder, server) as address:
            port = int(address.rpartition(":")[2])
            assert [ask(port)[2] for _ in range(4)] == [b"hello"] * 4


def test_two_daemons_with_mutual_tls_between_them(mesh):
    with Daemon(hello(mesh, client_certificate="required")) as inner:
        with Daemon(chained(mesh, f"127.0.0.1:{inner.port}")) as outer:
            body = b"x" * 300_000
            head = b"POST /p HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
            for data in (head + body, b"GET /a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"):
                assert call(outer.port, mesh.context(), data=data)[0].endswith(b"hello")
            outer.settled()
        inner.settled()


def test_the_name_of_each_request_is_asked_for(mesh):
    mesh.issue("a", "a.test")
    mesh.issue("b", "b.test")
    listener = {"tls": {"certificates": [{"secret": "a"}, {"secret": "b"}]}}
    with Daemon(document(HELLO, [], listener=listener, secrets=mesh.settings())) as inner:
        tls = {"validation": {"secret": "client"}}
        with Daemon(one_cluster(f"127.0.0.1:{inner.port}", cluster={"tls": tls}, secrets=mesh.settings())) as daemon:
            for _ in range(2):
                for name, status in (("a.test", 200), ("b.test:80", 200), ("c.test", 503)):
                    assert ask(daemon.port, headers={"host": name})[0] == status, name
            assert daemon.metric("envoy_cluster_ssl_fail_verify_san") >= 2
            daemon.settled()


def test_health_checks_speak_tls(mesh):
    check = {"checker": {"http": {"path": "/health"}}, "interval": "100ms", "timeout": "5s"}
    with Daemon(hello(mesh, client_certificate="required")) as inner:
        cluster = {"tls": mesh.calling(), "health_checks": [check]}
        with Daemon(one_cluster(f"127.0.0.1:{inner.port}", cluster=cluster, secrets=mesh.settings())) as daemon:
            assert ask(daemon.port)[0] == 200
            assert daemon.metric("envoy_cluster_health_check_success") >= 1


def test_a_truncated_answer_is_not_taken_for_a_whole_one(mesh):
    certificate, key = mesh.files("server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def script(peer):
        sock = context.wrap_socket(peer.sock, server_side=True)
        path = sock.recv(65536).split()[1]
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        if path == b"/whole":
            sock.unwrap()
        sock.close()

    tls = {"validation": {"secret": "client"}, "sni": "shop.test"}
    with Upstream(script) as upstream:
        with Daemon(one_cluster(upstream.address, cluster={"tls": tls}, secrets=mesh.settings())) as daemon:
            with pytest.raises(Exception):
                ask(daemon.port, "/cut")
            assert daemon.access(path="/cut")["flags"] == "UC"


def test_plain_and_tls_on_one_port(mesh):
    """PERMISSIVE: mutual TLS with Istio's words, other TLS, plain text, and clients that wait for the server."""
    def chain(name, match, **more):
        answer = [{"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": name}}]
        hosts = [{"name": "all", "domains": ["*"], "routes": answer}]
        return {"name": name, "match": match, "filters": [{"router": {"virtual_hosts": hosts}}], **more}

    istio = ["istio-peer-exchange", "istio", "istio-http/1.0", "istio-http/1.1", "istio-h2"]
    mutual = mesh.serving("required", alpn=["istio-http/1.1", "istio"])
    listener = {
        "name": "in", "address": f"127.0.0.1:{free_port()}",
        "listener_filters": [{"tls_inspector": {"detection_timeout": "100ms"}}],
        "filter_chains": [
            chain("mutual", {"transport_protocol": "tls", "application_protocols": istio}, tls=mutual),
            chain("other", {"transport_protocol": "tls"}, tls=mesh.serving()),
            chain("plain", {"transport_protocol": "raw_buffer"})]}
    with Daemon({"node": {"id": "test"}, "listeners": [listener], "clusters": [],
                 "secrets": mesh.settings()}) as daemon:
        context = mesh.context("client")
        context.set_alpn_protocols(["istio-http/1.1", "istio"])
        answer, sock = call(daemon.port, context)
        assert answer.endswith(b"mutual")
        assert call(daemon.port, mesh.context())[0].endswith(b"other")
        assert ask(daemon.port)[2] == b"plain"


def test_a_mode_of_tls_is_changed_by_reloads(mesh):
    """Permissive HTTP: TLS of the mesh and plain text, no other TLS; strict: any mutual TLS; disable: plain text."""
    ours, others = mesh.context("client"), mesh.context("client")
    ours.set_alpn_protocols(["istio-http/1.1", "istio"])

    listener = {"address": f"127.0.0.1:{free_port()}", "tls": mesh.serving("required"),
                "listener_filters": ["tls_inspector"]}

    def settings(mode):
        return document(HELLO, [], listener={**listener, "tls_mode": mode}, secrets=mesh.settings())

    def is_served(daemon, context):
        try:
            return (call(daemon.port, context)[0] if context is not None else ask(daemon.port)[2]).endswith(b"hello")
        except (OSError, http.client.HTTPException):
            return False

    with Daemon(settings("permissive")) as daemon:
        assert [is_served(daemon, one) for one in (ours, others, None)] == [True, False, True]
        daemon.write(settings("strict"))
        daemon.reload()
        assert [is_served(daemon, one) for one in (ours, others, None)] == [True, True, False]
        daemon.write(settings("disable"))
        daemon.reload()
        assert [is_served(daemon, one) for one in (ours, others, None)] == [False, False, True]


def relaying(mesh, address, listener=(), cluster=()):
    """Return a configuration that relays the bytes of connections to ``address``."""
    return {"node": {"id": "test"}, "secrets": mesh.settings(), "clusters": [
        {"name": "up", "endpoints": [{"address": address}], **dict(cluster)}], "listeners": [
        {"name": "public", "address": f"127.0.0.1:{free_port()}",
         "network_filters": [{"tcp_proxy": {"cluster": "up"}}], **dict(listener)}]}


def test_bytes_through_two_daemons_with_mutual_tls_between_them(mesh):
    data = random.Random(7).randbytes(2_000_000)
    with Echoing() as echo:
        inside = relaying(mesh, echo.address, listener={"tls": mesh.serving("required", alpn=["meshd-tcp"])})
        with Daemon(inside) as inner:
            outside = relaying(mesh, f"127.0.0.1:{inner.port}", cluster={"tls": mesh.calling(alpn=["meshd-tcp"])})
            with Daemon(outside) as outer:
                with dial(outer.port) as sock:
                    sender = threading.Thread(target=lambda: (sock.sendall(data), sock.shutdown(socket.SHUT_WR)))
                    sender.start()
                    assert read_to_end(sock) == (data, False)
                    sender.join()
                outer.settled()
            inner.settled()
            assert inner.metric("envoy_listener_ssl_handshake") == 1


class Echoing(Upstream):
    """Sends back what comes, and its end."""

    def __init__(self):
        def script(peer):
            while data := peer.sock.recv(65536):
                peer.sock.sendall(data)
            peer.sock.shutdown(socket.SHUT_WR)

        super().__init__(script)


def test_no_key_is_ever_shown(mesh):
    configuration = chained(mesh, "127.0.0.1:1")
    with Daemon(configuration, arguments=("--log-level", "debug")) as daemon:
        call(daemon.port, mesh.context())
        shown = [daemon.ask(page)[1].decode() for page in (
            "/config_dump", "/config_dump?origins=1", "/certs", "/clusters", "/listeners", "/metrics", "/server_info")]
        shown += [daemon.ctl("certs", "-o", "json")[1], daemon.ctl("certs", "-o", "wide")[1], daemon.log()]
        for name in ("server", "client"):
            with open(mesh.files(name)[1]) as file:
                lines = [line for line in file.read().splitlines() if len(line) > 30 and "-----" not in line]
            assert lines and not any(line in text for line in lines for text in shown)
        assert not any("PRIVATE KEY" in text for text in shown)
        rows = json.loads(shown[2])["certificates"]
        assert {row["spiffe_id"] for row in rows if row["kind"] == "cert_chain"} == {SERVER_ID, CLIENT_ID}
        assert "29d" in daemon.ctl("certs")[1]


def test_redirect_to_https(mesh):
    route = [{"match": {"prefix": "/"}, "redirect": {"https_redirect": True}}]
    with Daemon(document(route, [])) as daemon:
        status, headers, _ = ask(daemon.port, "/a?b", headers={"host": "shop.test"})
        assert (status, headers["location"]) == (301, "https://shop.test/a?b")
