"""Programs through the daemon to nginx and Node: each version of HTTP, plain and over TLS, on either side.

curl, nghttp and h2load speak to one listener with TLS and one without; nginx and Node are asked by HTTP/1.1, by HTTP/2
with prior knowledge, and by both over TLS.
"""

import re
import subprocess

import pytest

from tests.integration.harness.app import digest, pattern
from tests.integration.harness.ends import SERVERS, everything, needs, url
from tests.integration.harness.tls import Mesh

CURLS = [("http", "--http1.1", "1.1"), ("http", "--http2", "1.1"), ("http", "--http2-prior-knowledge", "2"),
         ("https", "--http1.1", "1.1"), ("https", "--http2", "2")]
"""--http2 without TLS asks for an upgrade, which is not taken."""
PROTOCOLS = {"nginx-h1": "HTTP/1.1", "nginx-h2": "HTTP/2.0", "node-h1": "HTTP/1.1", "node-h2": "HTTP/2.0"}
BODY = pattern(3_000_001)
STREAMS = 500


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Yield (daemon, certificates)."""
    with Mesh() as mesh, everything(tmp_path_factory.mktemp("ends"), mesh) as daemon:
        yield daemon, mesh
        assert [row for row in daemon.accesses() if row["flags"] != "-" and not is_early(row)] == []


def is_early(row):
    """Say whether the client had its whole answer and left before Node's END_STREAM came, which has its own frame."""
    return (row["flags"], row["sent"], row["path"].split("/")[1][:7]) == ("DC", len(BODY), "node-h2")


def run(name, *arguments, data=None):
    """Return what a program says."""
    done = subprocess.run([needs(name), *arguments], input=data, capture_output=True, timeout=60)
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:], done.stdout[-2000:])
    return done.stdout


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("scheme, option, version", CURLS, ids=["".join(row[:2]) for row in CURLS])
def test_curl(place, server, scheme, option, version):
    daemon, mesh = place

    def curl(*arguments, data=None):
        return run("curl", "-sS", "--max-time", "30", option, "--cacert", mesh.ca, *arguments, data=data)

    spoken = PROTOCOLS[server.removesuffix("-tls")]
    told = curl("-w", "|%{http_version} %{http_code}", url(daemon, scheme, server, "/proto")).decode()
    assert told == f"{spoken}|{version} 200"
    kept = url(daemon, scheme, server, f"/kept{option}-{scheme}-{server}")
    assert curl("-w", "%{http_code}", "-T", "-", kept, data=BODY) == b"201"
    assert digest(curl(kept)) == digest(BODY)
    head = curl("-I", kept).decode().lower()
    assert head.startswith(f"http/{version} 200") and f"content-length: {len(BODY)}\r\n" in head
    assert curl("-w", "|%{http_code}", "-o", "/dev/null", url(daemon, scheme, server, "/none")) == b"|404"


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("scheme", ("http", "https"))
def test_nghttp(place, server, scheme):
    daemon, _ = place
    said = run("nghttp", "-n", "-s", "-m", "20", url(daemon, scheme, server, "/proto"))
    assert said.count(b" 200 ") == 20


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("scheme, options", [("http", ()), ("https", ()), ("http", ("--h1",)), ("https", ("--h1",))],
                         ids=["h2c", "h2", "http1", "http1-tls"])
def test_h2load(place, server, scheme, options):
    daemon, _ = place
    many = "1" if options else "32"
    said = run("h2load", *options, "-c", "4", "-m", many, "-n", str(STREAMS),
               url(daemon, scheme, server, "/proto")).decode()
    assert f"{STREAMS} succeeded, 0 failed, 0 errored, 0 timeout" in said
    assert f"status codes: {STREAMS} 2xx, 0 3xx, 0 4xx, 0 5xx" in said
    if scheme == "https":
        assert re.search("Application protocol: (.*)", said)[1] == ("http/1.1" if options else "h2")
