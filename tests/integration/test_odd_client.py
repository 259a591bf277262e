"""Conversations with clients that no table can hold: who waits, leaves, half-closes, pipelines or answers late."""

import pytest

from tests.conversation.client import Client
from tests.conversation.mesh import Mesh

GET = b"GET /one HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /post HTTP/1.1\r\nHost: a\r\n"


@pytest.fixture(scope="module")
def mesh():
    with Mesh() as made:
        yield made


@pytest.fixture
def client(mesh):
    with Client(mesh.port) as made:
        yield made
    mesh.fresh()


@pytest.mark.parametrize("cut", range(1, len(GET)))
def test_client_that_leaves_inside_a_head_gets_nothing_and_nothing_is_forwarded(mesh, client, cut):
    mark = len(mesh.upstream.begun)
    client.send(GET[:cut])
    client.half_close()
    assert (client.until_end(), client.is_reset) == (b"", False)
    assert len(mesh.upstream.begun) == mark


@pytest.mark.parametrize("rest", [
    b"Content-Length: 5\r\n\r\n", b"Content-Length: 5\r\n\r\nhell", b"Transfer-Encoding: chunked\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n5", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
    b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0",
    b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", b"Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n",
])
def test_request_that_ends_in_its_body_never_looks_whole_upstream(mesh, client, rest):
    mark = len(mesh.upstream.whole)
    client.send(POST + rest)
    client.half_close()
    assert client.until_end() == b""
    mesh.fresh()
    assert [one.target[:7] for one in mesh.upstream.whole[mark:]] == [b"/fresh/"]
    row, = mesh.rows(client, 1)
    assert (row["status"], row["flags"], row["details"]) == (0, "DC", "downstream_remote_disconnect")


def test_waits_for_100_continue_before_it_sends_its_body(mesh, client):
    client.send(POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    assert client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"hello")
    assert client.answer().body.endswith(b"\r\n\r\nhello")
    assert mesh.upstream.whole[-1].faults() == []
    mesh.fresh(client)


def test_refused_expectation_ends_before_the_body(client):
    client.send(POST + b"Expect: tea\r\nContent-Length: 5\r\n\r\n")
    heard = client.answer()
    assert (heard.status, heard.closes, heard.interim) == (417, True, ())
    assert client.until_end() == b""


def test_404_for_a_body_that_is_not_sent_yet_keeps_or_ends_the_connection_rightly(mesh, client):
    client.send(b"OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
    assert client.answer().status == 404
    client.send(b"hello")
    mesh.fresh(client)


def test_404_to_who_waits_for_100_ends_the_connection(client):
    client.send(b"OPTIONS * HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    heard = client.answer()
    assert (heard.status, heard.closes, heard.interim) == (404, True, ())
    client.send(b"hello")
    assert client.until_end() == b""


def test_large_unsent_body_is_not_waited_for_after_an_answer(client):
    client.send(b"OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
    heard = client.answer()
    assert (heard.status, heard.closes) == (404, True)
    client.send(b"x" * 1000000)
    client.half_close()
    assert client.until_end() == b""


@pytest.mark.parametrize("mode", ["whole", "split"])
def test_pipelined_requests_are_answered_in_order(mesh, client, mode):
    requests = [b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n%03d" % (n, n) for n in range(40)]
    client.send(b"".join(requests), mode)
    for number in range(40):
        heard = client.answer()
        assert heard.body.startswith(b"POST /%d " % number)
        assert heard.body.endswith(b"\r\n\r\n%03d" % number)
    mesh.fresh(client)


def test_nothing_behind_connection_close_is_served(mesh, client):
    mark = len(mesh.upstream.whole)
    client.send(b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + GET)
    heard = client.answer()
    assert (heard.status, heard.closes, client.until_end(), client.is_reset) == (200, True, b"", False)
    mesh.fresh()
    assert [one.target[:6] for one in mesh.upstream.whole[mark:]] == [b"/last", b"/fresh"]


def test_nothing_behind_a_refused_request_is_served(mesh, client):
    mark = len(mesh.upstream.whole)
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + GET)
    heard = client.answer()
    assert (heard.status, heard.closes, client.until_end(), client.is_reset) == (400, True, b"", False)
    mesh.fresh()
    assert [one.target[:6] for one in mesh.upstream.whole[mark:]] == [b"/fresh"]


def test_what_is_sent_behind_a_refusal_does_not_reset_it_away(client):
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + b"x" * 300000)
    assert client.answer().status == 400
    assert (client.until_end(), client.is_reset) == (b"", False)


def test_http_10_answer_ends_with_the_connection_or_keeps_it_when_asked(mesh, client):
    client.send(b"GET /a HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
    heard = client.answer()
    assert heard.get(b"connection") == [b"keep-alive"]
    client.send(b"GET /b HTTP/1.0\r\nHost: a\r\n\r\n")
    heard = client.answer()
    assert heard.get(b"connection") == [b"close"]
    assert client.until_end() == b""


@pytest.mark.parametrize("fields, gone, kept", [
    (b"Connection: x-a, x-b\r\nX-A: 1\r\nX-B: 2\r\nX-C: 3\r\n", (b"x-a", b"x-b"), (b"x-c",)),
    (b"Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n", (b"keep-alive", b"connection"), ()),
    (b"Proxy-Connection: keep-alive\r\n", (b"proxy-connection",), ()),
    (b"Connection: upgrade\r\nUpgrade: h2c\r\n", (b"upgrade", b"connection"), ()),
    (b"Upgrade: websocket\r\n", (b"upgrade", b"connection"), ()),
    (b"Connection: TE\r\nTE: trailers\r\n", (), (b"te", b"connection")),
    (b"TE: gzip;q=0.5\r\n", (b"te",), ()),
    (b"Connection: x-forwarded-for\r\n", (), (b"x-forwarded-for",)),
    (b"Connection: x-forwarded-proto, x-request-id\r\n", (), (b"x-forwarded-proto", b"x-request-id")),
    (b"Connection: host\r\n", (), (b"host",)),
    (b"Proxy-Authorization: Basic x\r\n", (), (b"proxy-authorization",)),
], ids=lambda value: value.split(b"\r\n")[0].decode() if isinstance(value, bytes) else "")
def test_hop_by_hop_fields_go_no_further(mesh, client, fields, gone, kept):
    client.send(b"GET /hop HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n")
    assert client.answer().status == 200
    names = [name for name, _ in mesh.upstream.whole[-1].fields]
    assert [name for name in gone if name in names] == []
    assert [name for name in kept if name not in names] == []


@pytest.mark.parametrize("trailers, forwarded", [
    (b"X-Sum: 1\r\n", [(b"x-sum", b"1")]), (b"Authorization: x\r\nX-Sum: 1\r\n", [(b"x-sum", b"1")]),
    (b"X-Forwarded-For: 1.2.3.4\r\nCookie: x\r\nX-Sum: 1\r\n", [(b"x-sum", b"1")]),
])
def test_trailers_go_on_but_for_those_that_authenticate(mesh, client, trailers, forwarded):
    client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n0\r\n" + trailers + b"\r\n")
    assert client.answer().status == 200
    assert (mesh.upstream.whole[-1].body, mesh.upstream.whole[-1].trailers) == (b"hello", forwarded)
    mesh.fresh(client)


@pytest.mark.parametrize("fields", [
    b"Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n",
    b"Connection: upgrade, close\r\nUpgrade: h2c\r\nContent-Length: 5\r\n",
])
def test_upgrade_of_a_request_with_a_body_goes_no_further(mesh, client, fields):
    client.send(POST + fields + b"\r\nhello")
    assert client.answer().status == 200
    seen = mesh.upstream.whole[-1]
    assert (seen.faults(), seen.body) == ([], b"hello")


def test_nobody_waits_for_100_in_http_1_0(mesh, client):
    client.send(b"POST /post HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello")
    heard = client.answer()
    assert (heard.status, heard.interim) == (200, ())
    assert (mesh.upstream.whole[-1].faults(), mesh.upstream.whole[-1].body) == ([], b"hello")


@pytest.mark.parametrize("sent, forwarded", [
    (b"", b"%(host)b"), (b"X-Forwarded-For: 1.2.3.4\r\n", b"1.2.3.4, %(host)b"),
    (b"X-Forwarded-For: 1.2.3.4\r\nx-forwarded-for: 5.6.7.8\r\n", b"1.2.3.4, 5.6.7.8, %(host)b"),
])
def test_client_is_added_to_x_forwarded_for(mesh, client, sent, forwarded):
    client.send(b"GET /xff HTTP/1.1\r\nHost: a\r\n" + sent + b"\r\n")
    client.answer()
    assert mesh.upstream.whole[-1].get(b"x-forwarded-for") == [forwarded % {b"host": client.host.encode()}]


def test_fields_of_the_mesh_are_not_taken_from_a_stranger(mesh, client):
    client.send(b"GET /in HTTP/1.1\r\nHost: a\r\nX-Envoy-Max-Retries: 9\r\nX-Request-Id: mine\r\n"
                b"X-Forwarded-Proto: https\r\nX-Forwarded-Client-Cert: me\r\nX-Envoy-Original-Path: /b\r\n\r\n")
    client.answer()
    seen = mesh.upstream.whole[-1]
    assert (seen.faults(), seen.get(b"x-forwarded-proto")) == ([], [b"http"])
    assert seen.get(b"x-request-id") != [b"mine"]
    for name in (b"x-envoy-max-retries", b"x-forwarded-client-cert", b"x-envoy-original-path"):
        assert seen.get(name) == []


@pytest.mark.parametrize("target, forwarded", [
    (b"/a/../b", b"/b"), (b"/a/./b", b"/a/b"), (b"/../../etc/passwd", b"/etc/passwd"), (b"/a//b", b"/a/b"),
    (b"/%61", b"/a"), (b"/a\\..\\b", b"/b"), (b"/%2e%2e/b", b"/b"), (b"/a?b=/../c", b"/a?b=/../c"),
])
def test_path_is_normalised_before_it_goes_on(mesh, client, target, forwarded):
    client.send(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target)
    assert client.answer().status == 200
    assert mesh.upstream.whole[-1].target == forwarded


@pytest.mark.parametrize("target", [b"/%00", b"/%", b"/%g0", b"/%0", b"/a%2fb", b"/a%5Cb"])
def test_path_with_an_escape_that_is_read_differently_is_refused(mesh, client, target):
    mark = len(mesh.upstream.begun)
    client.send(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target)
    assert client.answer().status == 400
    assert len(mesh.upstream.begun) == mark


@pytest.mark.parametrize("method", [b"HEAD", b"GET", b"DELETE", b"PATCH", b"TRACE", b"PROPFIND", b"M-SEARCH"])
def test_method_is_forwarded_as_it_came(mesh, client, method):
    client.send(method + b" /m HTTP/1.1\r\nHost: a\r\n\r\n")
    heard = client.answer(method)
    assert (heard.status, mesh.upstream.whole[-1].method) == (200, method)
    mesh.fresh(client)
