"""The shipped filters in a real daemon, over real sockets, one chain of all of them."""

import base64
import gzip
import http.client
import http.server
import socket
import threading

import pytest

from meshd_plugins.authentication.password import make
from tests.integration.process import Daemon

CHAIN = """
admin: {{address: "127.0.0.1:{admin}"}}
listeners:
  - name: public
    address: 127.0.0.1:{port}
    filters:
      - cors: {{allow_origins: [{{exact: "https://a.example"}}]}}
      - rate_limit: {{rate: 1, per: 1h, burst: {burst}, headers: true, key: header, header: x-tenant}}
      - authentication:
          authenticators: [{{basic: {{users: {{ann: "{hash}"}}}}}}]
          allow_missing: true
          forward_identity_header: x-auth-user
      - body_limit: {{max: 100000}}
      - header_mutation: {{request: {{set: {{x-path: "%REQ(:path)% %PROTOCOL%"}}}}, response: {{set: {{x-by: meshd}}}}}}
      - compression: {{encodings: [gzip]}}
      - router: {{virtual_hosts: [{{name: a, domains: ["*"], routes: [{{match: {{prefix: /}}, cluster: up}}]}}]}}
clusters:
  - {{name: up, endpoints: [{{address: "127.0.0.1:{upstream}"}}]}}
"""
ANN = {"authorization": "Basic " + base64.b64encode(b"ann:pw").decode()}


class Chain(Daemon):
    """A daemon with all filters; ``reply`` asks it."""

    def write(self, text=None, **values):
        self.values.update(values)
        super().write(CHAIN.format(**self.values))

    def reply(self, method="GET", target="/", headers=(), body=None, **options):
        """Return (status, headers, body)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, target, body, dict(headers), **options)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()


class Mirror(http.server.BaseHTTPRequestHandler):
    """Answers with the head that it got, and the length of the body, some ten times."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        got = self.body_length()
        lines = [f"{name.lower()}: {value}" for name, value in self.headers.items()]
        body = "\n".join([*lines, f"body: {got}", "filler " * 500]).encode()
        self.send_response(200)
        for name, value in (("content-type", "text/plain"), ("etag", '"v1"'), ("content-length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def body_length(self):
        """Read the whole body, so that no answer comes before its end; return its length in bytes."""
        if "transfer-encoding" not in self.headers:
            return len(self.rfile.read(int(self.headers.get("content-length", 0))))
        total = 0
        while size := int(self.rfile.readline() or b"0", 16):
            total += len(self.rfile.read(size + 2)) - 2
        self.rfile.readline()
        return total

    do_POST = do_GET


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Yield a daemon before an upstream that mirrors."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    folder = str(tmp_path_factory.mktemp("filters"))
    daemon = Chain(folder, server.server_port, hash=make(b"pw", n=1024), burst=5)
    try:
        yield daemon.ready()
        assert "Traceback" not in daemon.stderr()
    finally:
        daemon.close()
        server.shutdown()
        server.server_close()


def test_the_upstream_learns_who_calls_and_gets_no_credentials(chain):
    forged = {**ANN, "x-auth-user": "root", "x_auth_user": "root", "x-tenant": "who"}
    status, _, body = chain.reply(target="/p?q", headers=forged)
    lines = body.decode().split("\n")
    assert status == 200
    assert [line for line in lines if "auth" in line] == ["x-auth-user: ann"]
    assert "x-path: /p?q HTTP/1.1" in lines


def test_a_client_cannot_strip_the_identity_through_connection(chain):
    _, _, body = chain.reply(headers={**ANN, "connection": "x-auth-user, x-path", "x-tenant": "hop"})
    assert b"x-auth-user: ann" in body and b"x-path: " in body


def test_a_wrong_password_is_401_with_a_challenge(chain):
    wrong = {"authorization": "Basic " + base64.b64encode(b"ann:no").decode(), "x-tenant": "wrong"}
    status, headers, _ = chain.reply(headers=wrong)
    assert (status, headers["www-authenticate"]) == (401, 'Basic realm="meshd", charset="UTF-8"')


def test_a_body_that_comes_while_the_password_is_hashed_is_kept(chain):
    fresh = {"authorization": "Basic " + base64.b64encode(b"ann:pw").decode(), "x-tenant": "body"}
    status, _, body = chain.reply("POST", headers=fresh, body=b"x" * 90_000)
    assert status == 200 and b"body: 90000" in body


def test_an_answer_is_compressed_and_still_whole(chain):
    status, headers, body = chain.reply(headers={"accept-encoding": "gzip", "x-tenant": "gzip"})
    assert (status, headers["content-encoding"], headers["etag"]) == (200, "gzip", 'W/"v1"')
    assert "accept-encoding" in headers["vary"] and headers["content-length"] is None
    assert b"filler filler" in gzip.decompress(body)


def test_an_answer_to_head_keeps_its_length(chain):
    _, headers, body = chain.reply("HEAD", headers={"accept-encoding": "gzip", "x-tenant": "head"})
    assert headers["content-encoding"] is None and body == b""


def test_long_bodies_are_413_declared_or_chunked(chain):
    assert chain.reply("POST", headers={"x-tenant": "big"}, body=b"x" * 100_001)[0] == 413
    chunks = iter([b"x" * 60_000, b"x" * 40_001])
    assert chain.reply("POST", headers={"x-tenant": "big"}, body=chunks, encode_chunked=True)[0] == 413


def test_a_client_that_waits_for_100_gets_413_alone(chain):
    with socket.create_connection(("127.0.0.1", chain.port), timeout=20) as client:
        client.sendall(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 200000\r\nexpect: 100-continue\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_a_preflight_is_answered_here(chain):
    asked = {"origin": "https://a.example", "access-control-request-method": "GET", "x-tenant": "cors"}
    status, headers, _ = chain.reply("OPTIONS", headers=asked)
    assert (status, headers["access-control-allow-origin"], headers["x-by"]) == (200, "https://a.example", "meshd")


def test_tokens_survive_a_reload_and_a_new_burst_applies(chain):
    tenant = {"x-tenant": "reload"}
    answers = [chain.reply(headers=tenant) for _ in range(7)]
    assert [answer[0] for answer in answers] == [200] * 5 + [429] * 2
    assert answers[-1][1]["x-envoy-ratelimited"] == "true"
    chain.write(burst=50)
    chain.signal("HUP")
    chain.logged("configuration 2 in force")
    assert chain.reply(headers=tenant)[0] == 429
    assert chain.reply(headers={"x-tenant": "new"})[1]["x-ratelimit-remaining"] == "49"


def test_metrics_tell_the_verdicts(chain):
    text = chain.ask("GET", "/metrics", chain.admin)[1].decode()
    assert 'meshd_rate_limit_requests_total{filter="rate_limit",result="limited"}' in text
    assert 'meshd_authentication_requests_total{filter="authentication",result="denied"} 1' in text
