"""Real servers behind the daemon: nginx, python -m http.server, gunicorn, Node."""

import gzip
import http.client
import importlib.util
import shutil

import pytest

from tests.integration.harness.app import digest, gunicorn, nginx, node, pattern, standard
from tests.integration.harness.client import ask, at_once
from tests.integration.harness.daemon import Daemon, one_cluster

LARGE_BYTES = 20_000_001
APPLICATIONS = {"gunicorn": gunicorn, "node": node}


def needs(name):
    """Skip where a program or module is missing."""
    if not (shutil.which(name) or importlib.util.find_spec(name)):
        pytest.skip(f"{name} is not installed")


def behind(server, folder):
    """Yield a daemon before a server; nothing may be left over, and nothing may have failed on the way."""
    with server(folder) as address, Daemon(one_cluster(address)) as made:
        yield made
        made.settled()
        assert {row["flags"] for row in made.accesses()} == {"-"}


@pytest.fixture(scope="module", params=APPLICATIONS)
def app(request, tmp_path_factory):
    """Yield a daemon before an application server."""
    needs(request.param)
    yield from behind(APPLICATIONS[request.param], tmp_path_factory.mktemp("app"))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return a folder of files to serve."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "small.bin").write_bytes(b"ok")
    (folder / "large.bin").write_bytes(pattern(LARGE_BYTES))
    (folder / "words.txt").write_bytes(b"some words " * 10_000)
    return folder


@pytest.fixture(scope="module")
def web(files):
    """Yield a daemon before nginx."""
    needs("nginx")
    yield from behind(nginx, files)


@pytest.fixture(scope="module")
def simple(files):
    """Yield a daemon before python -m http.server."""
    yield from behind(standard, files)


# Applications: gunicorn, Node


def test_get_on_many_connections(app):
    assert {found[::2] for found in at_once(100, ask, app.port)} == {(200, b"ok")}


def test_one_connection_serves_many_requests(app):
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=30)
    for _ in range(50):
        connection.request("GET", "/")
        sock = connection.sock
        assert connection.getresponse().read() == b"ok"
        assert connection.sock is sock
    connection.close()


def test_post_is_echoed(app):
    for size in (0, 1, 65536, 300_000):
        assert ask(app.port, "/echo", "POST", pattern(size))[::2] == (200, pattern(size))


def test_chunked_upload_is_echoed(app):
    pieces = [pattern(size) for size in (1, 5, 70_000, 3)]
    found = ask(app.port, "/echo", "POST", iter(pieces), {"transfer-encoding": "chunked"}, encode_chunked=True)
    assert found[::2] == (200, b"".join(pieces))


def test_head_has_the_length_and_no_body(app):
    found = ask(app.port, "/", "HEAD")
    assert found[::2] == (200, b"")
    assert found[1]["content-length"] == "2"


def test_chunked_answer_is_whole(app):
    found = ask(app.port, "/chunks")
    assert found[::2] == (200, b"one,two,three")
    assert found[1]["transfer-encoding"] == "chunked"


@pytest.mark.parametrize("path, status", [("/empty", 204), ("/same", 304)])
def test_answers_without_a_body_keep_the_connection_in_step(app, path, status):
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=30)
    for _ in range(3):
        connection.request("GET", path)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (status, b"")
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"ok"
    connection.close()


def test_large_download_is_unchanged(app):
    found = ask(app.port, f"/big?{LARGE_BYTES}")
    assert found[0] == 200
    assert digest(found[2]) == digest(pattern(LARGE_BYTES))


def test_large_upload_is_unchanged(app):
    body = pattern(LARGE_BYTES)
    assert ask(app.port, "/sum", "POST", body)[2].decode() == digest(body)
    found = ask(app.port, "/sum", "POST", iter([body[:7_000_000], body[7_000_000:]]), {"transfer-encoding": "chunked"},
                encode_chunked=True)
    assert found[2].decode() == digest(body)


# nginx


def test_nginx_files_arrive_unchanged(web):
    assert ask(web.port, "/small.bin")[::2] == (200, b"ok")
    assert digest(ask(web.port, "/large.bin")[2]) == digest(pattern(LARGE_BYTES))
    assert {found[0] for found in at_once(100, ask, web.port, "/small.bin")} == {200}


def test_nginx_head_and_statuses_without_a_body(web):
    found = ask(web.port, "/large.bin", "HEAD")
    assert (found[0], found[1]["content-length"], found[2]) == (200, str(LARGE_BYTES), b"")
    etag = found[1]["etag"]
    assert ask(web.port, "/large.bin", headers={"if-none-match": etag})[::2] == (304, b"")
    assert ask(web.port, "/empty")[::2] == (204, b"")
    assert ask(web.port, "/nothing")[0] == 404


def test_nginx_ranges_pass(web):
    found = ask(web.port, "/large.bin", headers={"range": "bytes=5-9"})
    assert found[::2] == (206, bytes(range(5, 10)))


def test_nginx_compressed_answer_is_chunked_and_whole(web):
    found = ask(web.port, "/words.txt", headers={"accept-encoding": "gzip"})
    assert found[1]["content-encoding"] == "gzip"
    assert gzip.decompress(found[2]) == b"some words " * 10_000


def test_nginx_takes_uploads_of_both_framings(web):
    body = pattern(LARGE_BYTES)
    assert ask(web.port, "/put.bin", "PUT", body)[0] in (201, 204)
    assert digest(ask(web.port, "/put.bin")[2]) == digest(body)
    pieces, chunked = iter([body[:1_000_000], body[1_000_000:]]), {"transfer-encoding": "chunked"}
    assert ask(web.port, "/chunked.bin", "PUT", pieces, chunked, encode_chunked=True)[0] in (201, 204)
    assert digest(ask(web.port, "/chunked.bin")[2]) == digest(body)


def test_nginx_connections_are_used_again(web):
    before = web.metric("envoy_cluster_upstream_cx_total")
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=30)
    for _ in range(30):
        connection.request("GET", "/text")
        assert connection.getresponse().read() == b"ok"
    connection.close()
    assert web.metric("envoy_cluster_upstream_cx_total") <= before + 2


# python -m http.server: HTTP/1.0, bodies until the close, a connection for each request


def test_http_server_files_arrive_unchanged(simple):
    assert ask(simple.port, "/small.bin")[::2] == (200, b"ok")
    assert digest(ask(simple.port, "/large.bin")[2]) == digest(pattern(LARGE_BYTES))


def test_http_server_keeps_our_clients_connection(simple):
    connection = http.client.HTTPConnection("127.0.0.1", simple.port, timeout=30)
    connection.request("GET", "/small.bin")
    sock = connection.sock
    assert connection.getresponse().read() == b"ok"
    for _ in range(10):
        connection.request("GET", "/small.bin")
        assert connection.getresponse().read() == b"ok"
        assert connection.sock is sock
    connection.close()


def test_http_server_head_304_and_refusals(simple):
    found = ask(simple.port, "/large.bin", "HEAD")
    assert (found[0], found[1]["content-length"], found[2]) == (200, str(LARGE_BYTES), b"")
    since = {"if-modified-since": found[1]["last-modified"]}
    assert ask(simple.port, "/large.bin", headers=since)[::2] == (304, b"")
    assert ask(simple.port, "/small.bin", "POST", b"")[0] == 501
    assert ask(simple.port, "/nothing")[0] == 404


def test_http_server_directory_listing(simple):
    assert b"large.bin" in ask(simple.port, "/")[2]
