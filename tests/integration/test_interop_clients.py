"""Real clients before the daemon: curl, wrk, ab, h2load, requests, aiohttp. All answers are right, none is lost."""

import asyncio
import re
import shutil
import socket
import subprocess

import pytest

from tests.integration.harness.app import digest, pattern
from tests.integration.harness.client import dial, get, read_to_end
from tests.integration.harness.daemon import Daemon, one_cluster
from tests.integration.harness.upstream import Upstream, reply

LARGE_BYTES = 20_000_001
CUT = "/w"
"""wrk leaves at its end without waiting for the last answers."""
TYPE = b"content-type: text/plain\r\n"


def answer(head, body):
    """/big?N gives N bytes, /chunks a chunked answer, /echo the body back, /sum its digest, all else its target."""
    method, target = head.split(b" ", 2)[:2]
    if method == b"HEAD":
        return b"HTTP/1.1 200 OK\r\n%bcontent-length: 2\r\n\r\n" % TYPE
    if target.startswith(b"/big?"):
        return reply(pattern(int(target[5:])), headers=TYPE)
    if target == b"/chunks":
        return b"HTTP/1.1 200 OK\r\n%btransfer-encoding: chunked\r\n\r\n4\r\none,\r\n3\r\ntwo\r\n0\r\n\r\n" % TYPE
    if target == b"/echo":
        return reply(body, headers=TYPE)
    return reply(digest(body).encode() if target == b"/sum" else b"ok " + target, headers=TYPE)


@pytest.fixture(scope="module")
def daemon():
    """Yield the daemon; nothing may be left over, and no request may have failed."""
    with Upstream.saying(answer) as upstream, Daemon(one_cluster(upstream.address)) as made:
        yield made
        made.settled()
        assert {(row["status"], row["flags"]) for row in made.accesses() if row["path"] != CUT} == {(200, "-")}


@pytest.fixture(scope="module")
def url(daemon):
    """Return the beginning of every URL."""
    return f"http://127.0.0.1:{daemon.port}"


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Return a large file."""
    path = tmp_path_factory.mktemp("large") / "file"
    path.write_bytes(pattern(LARGE_BYTES))
    return path


def run(name, *arguments, data=None):
    """Return (stdout, stderr) of a program that ends well; skip where there is none."""
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"{name} is not installed")
    done = subprocess.run([program, *map(str, arguments)], input=data, capture_output=True, timeout=60)
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    return done.stdout, done.stderr.decode(errors="replace")


def curl(*arguments, data=None):
    """Run curl, which is to be silent but of faults."""
    return run("curl", "-sS", "--fail", "--max-time", 30, *arguments, data=data)


# curl


def test_curl_get(url):
    assert curl(f"{url}/a?b=c%20d") == (b"ok /a?b=c%20d", "")


def test_curl_post(url):
    assert curl("--data-binary", "some words", f"{url}/echo")[0] == b"some words"


def test_curl_head(url):
    out, _ = curl("-I", f"{url}/")
    assert out.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"content-length: 2\r\n" in out


def test_curl_http_10(url):
    out, err = curl("-v", "--http1.0", f"{url}/old")
    assert out == b"ok /old"
    assert "< HTTP/1.1 200" in err or "< HTTP/1.0 200" in err
    assert curl("--http1.0", f"{url}/chunks")[0] == b"one,two"


def test_curl_uses_one_connection_for_several_urls(url):
    out, err = curl("-v", "-w", "|%{num_connects}|", *(f"{url}/{number}" for number in range(5)))
    assert out == b"ok /0|1|ok /1|0|ok /2|0|ok /3|0|ok /4|0|"


def test_curl_in_parallel(url):
    out, _ = curl("--parallel", "--parallel-max", 10, f"{url}/same?[1-100]")
    assert out.count(b"ok /same?") == 100


def test_curl_chunked_upload(url, large):
    with open(large, "rb") as file:
        data = file.read()
    assert curl("-T", "-", "-X", "POST", f"{url}/sum", data=data)[0].decode() == digest(data)


def test_curl_expects_100_continue(url, large):
    out, err = curl("-v", "-H", "Expect: 100-continue", "--expect100-timeout", 20, "--data-binary", f"@{large}",
                    f"{url}/sum")
    assert "< HTTP/1.1 100 Continue" in err
    assert out.decode() == digest(pattern(LARGE_BYTES))


def test_curl_large_download(url):
    assert digest(curl(f"{url}/big?{LARGE_BYTES}")[0]) == digest(pattern(LARGE_BYTES))


def test_curl_trickled_download_is_whole(url):
    """A client that reads slower than the upstream writes."""
    out, _ = curl("--limit-rate", "8M", f"{url}/big?4000000")
    assert digest(out) == digest(pattern(4_000_000))


# Load generators


def test_wrk_has_no_errors(url):
    out = run("wrk", "-t1", "-c16", "-d2s", f"{url}/w")[0].decode()
    assert "Socket errors" not in out
    assert "Non-2xx" not in out
    assert int(re.search(r"(\d+) requests in", out)[1]) > 50


@pytest.mark.parametrize("options", [(), ("-k",)], ids=["close", "keep-alive"])
def test_ab_loses_nothing(url, options):
    out = run("ab", "-q", "-n", 600, "-c", 8, *options, f"{url}/ab")[0].decode()
    assert re.search(r"Complete requests: +600\n", out)
    assert re.search(r"Failed requests: +0\n", out), out
    assert "Non-2xx" not in out
    assert "Write errors" not in out
    if options:
        assert re.search(r"Keep-Alive requests: +600\n", out)


def test_ab_posts(url, tmp_path):
    (tmp_path / "body").write_bytes(pattern(10_000))
    out = run("ab", "-q", "-n", 200, "-c", 8, "-k", "-p", tmp_path / "body", f"{url}/echo")[0].decode()
    assert re.search(r"Failed requests: +0\n", out), out
    assert re.search(r"HTML transferred: +2000000 bytes", out)


@pytest.mark.parametrize("streams", [1, 4])
def test_h2load_with_http_11_loses_nothing(url, streams):
    """With 4 streams it pipelines."""
    out = run("h2load", "--h1", "-n", 800, "-c", 8, "-m", streams, f"{url}/h")[0].decode()
    assert "800 succeeded, 0 failed, 0 errored, 0 timeout" in out
    assert "status codes: 800 2xx, 0 3xx, 0 4xx, 0 5xx" in out


# Libraries


def test_requests(url):
    requests = pytest.importorskip("requests")
    with requests.Session() as session:
        for number in range(20):
            assert session.get(f"{url}/{number}").text == f"ok /{number}"
        body = pattern(LARGE_BYTES)
        assert session.post(f"{url}/sum", data=body).text == digest(body)
        pieces = (body[start:start + 1_000_000] for start in range(0, len(body), 1_000_000))
        assert session.post(f"{url}/sum", data=pieces).text == digest(body)
        assert digest(session.get(f"{url}/big?{LARGE_BYTES}").content) == digest(body)
        assert session.head(f"{url}/").status_code == 200
        assert session.get(f"{url}/chunks").text == "one,two"
        assert session.post(f"{url}/echo", json={"a": 1}).json() == {"a": 1}


def test_aiohttp(url):
    aiohttp = pytest.importorskip("aiohttp")

    async def pieces(body):
        for start in range(0, len(body), 100_000):
            yield body[start:start + 100_000]

    async def one(session, number):
        async with session.get(f"{url}/{number}") as found:
            assert (found.status, await found.text()) == (200, f"ok /{number}")

    async def upload(session, size):
        body = pattern(size)
        async with session.post(f"{url}/sum", data=pieces(body)) as found:
            assert await found.text() == digest(body)

    async def everything():
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=16)) as session:
            await asyncio.gather(*(one(session, number) for number in range(300)),
                                 *(upload(session, 500_000 + number) for number in range(8)))

    asyncio.run(everything())


def test_200_pipelined_requests_are_answered_in_order(daemon):
    wanted = b"".join(get(f"/{number}") for number in range(199)) + get("/last", connection="close")
    with dial(daemon.port, wanted) as client:
        data, was_reset = read_to_end(client)
    assert not was_reset
    assert re.findall(rb"ok /(\d+|last)", data) == [b"%d" % number for number in range(199)] + [b"last"]


def test_head_that_comes_byte_by_byte(daemon):
    with dial(daemon.port) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in get("/slowly", connection="close"):
            client.sendall(bytes((byte,)))
        assert read_to_end(client)[0].endswith(b"ok /slowly")
