"""HTTP/2 from the client to the endpoint, plain with one worker and over TLS with two, and what stands between."""

import contextlib
import gzip
import re
import subprocess
import time

import pytest

from tests.integration.harness.app import digest, pattern
from tests.integration.harness.daemon import Daemon, document
from tests.integration.harness.ends import PATIENT, cluster, needs, node
from tests.integration.harness.tls import Mesh
from tests.integration.process import free_port, wait_for

BODY = pattern(60_001)
ALL = {"numerator": 100}
WAYS = [("h2", 1), ("h2-tls", 2)]
"""What is spoken on both sides, and by how many workers."""
REQUESTS = 300
LIMITED = {"limits": {"max_requests_per_connection": REQUESTS}}
RETRY = {"retry": {"retry_on": ["5xx"], "attempts": 2, "base": "1ms"}}
STREAMS = 4
ABOUT_STREAMS = 92
"""Of curl 7.88, which drops an answer that comes before its upload is over: RST_STREAM follows it (RFC 9113 8.1)."""


class Place:
    """``curl`` asks a listener by its name; ``load`` is h2load on one."""

    def __init__(self, daemon, scheme):
        self.daemon, self.scheme = daemon, scheme

    def url(self, path, listener="public"):
        """Return the URL of a path of a listener."""
        return f"{self.scheme}://localhost:{self.daemon.ports[listener]}{path}"

    def curl(self, path, *arguments, listener="public", data=None, codes=(0,)):
        """Return (status, body); ``codes`` are curl's exit codes that are well."""
        option = "--http2" if self.scheme == "https" else "--http2-prior-knowledge"
        command = [needs("curl"), "-sS", "-k", "--max-time", "30", option, "-w", "|%{http_version} %{http_code}",
                   *arguments, self.url(path, listener)]
        if data is not None:
            command += ["--data-binary", "@-", "-H", "content-type: application/octet-stream"]
        done = subprocess.run(command, input=data, capture_output=True, timeout=60)
        assert done.returncode in codes, (done.returncode, done.stderr)
        body, _, told = done.stdout.rpartition(b"|")
        version, status = told.split()
        assert version == b"2" or done.returncode
        return int(status), body

    def load(self, path, *options, listener="public"):
        """Begin h2load; ``finish`` ends it."""
        command = [needs("h2load"), *map(str, options), self.url(path, listener)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(load):
    """Return (requests that succeeded, those that failed, what was said)."""
    said = load.communicate(timeout=60)[0]
    found = re.search(r"(\d+) succeeded, (\d+) failed", said)
    assert found, said
    return int(found[1]), int(found[2]), said


def all_answered(place, count):
    """Every request that the daemon has got was answered, and ``count`` clients' answers are all."""
    rows = place.daemon.accesses(path="/proto")
    assert {(row["status"], row["flags"]) for row in rows} == {(200, "-")}
    assert len(rows) == count


def routes():
    """Return the routes of the listener ``public``."""
    hedge = {"per_try_timeout": "300ms", "hedge_policy": {"hedge_on_per_try_timeout": True}}
    prefixed = {
        "/mirrored": {"mirror": [{"cluster": "shadow"}]}, "/flaky": {"retry": RETRY},
        "/once": {"retry": RETRY, **hedge}, "/slowly": {"timeout": "300ms", "prefix_rewrite": "/stall"},
    }
    return [
        {"match": {"path": "/direct"}, "direct_response": {"status": 418, "body": "a teapot"}},
        {"match": {"prefix": "/old"}, "redirect": {"prefix_rewrite": "/new"}},
        {"match": {"prefix": "/shadow/"}, "cluster": "shadow", "prefix_rewrite": "/"},
        *({"match": {"prefix": prefix}, "cluster": "up", **more} for prefix, more in prefixed.items()),
        {"match": {"prefix": "/"}, "cluster": "up"}]


def configuration(mesh, way, first, second, listener=(), **top):
    """Return a configuration with a listener for each filter."""
    filters = {
        "delayed": [{"fault": {"delay": {"fixed_delay": "300ms", "percentage": ALL}}}],
        "aborted": [{"fault": {"abort": {"http_status": 555, "percentage": ALL}}}],
        "limited": [{"rate_limit": {"rate": 1, "per": "1h", "burst": 3}}],
        "filtered": [{"body_limit": {"max": "100KB"}}, {"compression": {"encodings": ["gzip"]}}],
    }
    clusters = [{**cluster(f"node-{way}", address), "name": name}
                for name, address in (("up", first), ("shadow", second))]
    listener = {**dict(listener), **({"tls": mesh.serving()} if way == "h2-tls" else {})}
    found = document(routes(), clusters, listener, secrets=mesh.settings(), overload=PATIENT, **top)
    public = found["listeners"][0]
    for name, made in filters.items():
        place = f"127.0.0.1:{free_port()}"
        found["listeners"].append({**public, "name": name, "address": place, "filters": [*made, *public["filters"]]})
    return found


@contextlib.contextmanager
def served(mesh, way, workers, max_streams=STREAMS, listener=()):
    """Yield (the daemon's configuration, a Place)."""
    with node(mesh, max_streams) as first, node(mesh) as second:
        made = configuration(mesh, way, first[way], second[way], listener, workers=workers)
        with Daemon(made) as daemon:
            yield made, Place(daemon, "https" if way == "h2-tls" else "http")


@pytest.fixture(scope="module", params=WAYS, ids=("plain", "tls"))
def place(request):
    """Yield a Place."""
    with Mesh() as mesh, served(mesh, *request.param) as (_, found):
        yield found
        found.daemon.settled()


def test_answers_of_the_daemon_itself(place):
    assert place.curl("/direct") == (418, b"a teapot")
    status, head = place.curl("/old/a?b", "-D", "-", "-o", "/dev/null")
    assert status == 301 and f"location: {place.url('/new/a?b')}".encode() in head


def test_a_mirror_gets_a_copy(place):
    assert place.curl("/mirrored", "-X", "PUT", data=BODY)[0] == 201
    wait_for(lambda: place.curl("/shadow/mirrored") == (200, BODY), "the copy")
    assert place.curl("/mirrored") == (200, BODY)


def test_faults_are_injected(place):
    begin = time.monotonic()
    assert place.curl("/sum", listener="delayed", data=BODY) == (200, digest(BODY).encode())
    assert time.monotonic() - begin > 0.3
    assert place.curl("/sum", listener="aborted") == (555, b"fault filter abort")
    place.curl("/sum?upload", listener="aborted", data=BODY, codes=(0, ABOUT_STREAMS))
    row = place.daemon.access(path="/sum?upload")
    assert (row["status"], row["flags"]) == (555, "FI")


def test_a_rate_is_limited(place):
    found = [place.curl("/proto", listener="limited")[0] for _ in range(6)]
    assert sorted(found) == [200] * 3 + [429] * 3


def test_filters_see_bodies(place):
    status, text = place.curl("/words", "-H", "accept-encoding: gzip", listener="filtered")
    assert (status, gzip.decompress(text)) == (200, b"some words " * 20000) and len(text) < 10_000
    assert place.curl("/sum", listener="filtered", data=BODY) == (200, digest(BODY).encode())
    for path, arguments in (("/sum?1", ()), ("/sum?2", ("-H", "content-length:"))):
        place.curl(path, *arguments, listener="filtered", data=BODY * 3, codes=(0, ABOUT_STREAMS))
        assert place.daemon.access(path=path)["details"] == "request_payload_too_large"


def test_a_status_is_retried_with_the_body(place):
    assert place.curl("/flaky?a", "-X", "PUT", data=BODY) == (200, BODY)
    assert place.daemon.access(path="/flaky?a")["attempts"] == 2


def test_a_slow_attempt_is_hedged(place):
    assert place.curl("/once?b") == (200, b"answer 2")
    assert place.daemon.access(path="/once?b")["attempts"] == 2


def test_a_timeout_ends_the_attempt(place):
    assert place.curl("/slowly?c", codes=(0, ABOUT_STREAMS))[0] == 200
    wait_for(lambda: place.curl("/seen?c") == (200, b"ended"), "the end at the endpoint")
    assert place.daemon.access(path="/slowly?c")["flags"] == "UT"


def test_more_streams_than_the_endpoint_takes_wait_or_open_connections(place):
    assert place.curl("/proto")[0] == 200  # what it takes is known then
    done, lost, said = finish(place.load("/proto", "-c", 4, "-m", 50, "-n", 1000))
    assert (done, lost) == (1000, 0), said


@pytest.mark.parametrize("way, workers", WAYS, ids=("plain", "tls"))
def test_reloads_under_load_lose_nothing(way, workers):
    with Mesh() as mesh, served(mesh, way, workers, 0) as (made, place):
        assert place.curl("/proto")[0] == 200
        load = place.load("/proto", "-c", 4, "-m", 20, "-D", 3)
        for number in range(1, 3):
            routes = made["listeners"][0]["filters"][-1]["router"]["virtual_hosts"][0]["routes"]
            routes[0]["direct_response"]["body"] = f"word {number}"
            place.daemon.write(made)
            assert place.daemon.reload()["accepted"]
            assert place.curl("/direct")[1] == f"word {number}".encode()
        done, lost, said = finish(load)
        assert done > 100 and lost == 0, said


@pytest.mark.parametrize("way, workers", WAYS, ids=("plain", "tls"))
def test_connections_that_end_in_two_steps_lose_nothing(way, workers):
    """h2load begins no request after GOAWAY, and does not come back."""
    with Mesh() as mesh, served(mesh, way, workers, 0, LIMITED) as (_, place):
        done, _, said = finish(place.load("/proto", "-c", 4, "-m", 20, "-n", 4000))
        assert 4 * REQUESTS <= done < 4000, said
        wait_for(lambda: len(place.daemon.accesses()) >= done, "the access log")
        all_answered(place, done)


@pytest.mark.parametrize("way, workers", WAYS, ids=("plain", "tls"))
def test_an_end_under_load_loses_nothing(way, workers):
    """What h2load had not sent when GOAWAY came counts as failed there, and is none of the daemon's."""
    with Mesh() as mesh, served(mesh, way, workers, 0) as (_, place):
        load = place.load("/proto", "-c", 4, "-m", 20, "-n", 100_000)
        wait_for(lambda: place.daemon.metric("envoy_cluster_upstream_rq_total") > 300, "requests")
        place.daemon.signal("TERM")
        assert place.daemon.process.wait(20) == 0
        done, _, said = finish(load)
        assert 300 < done < 100_000, said
        all_answered(place, done)
