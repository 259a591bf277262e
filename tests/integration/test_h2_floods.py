"""Floods against the real daemon: each ends its connection with ENHANCE_YOUR_CALM and counts; others are served on."""

import pytest

from meshd.http.h2.code import ENHANCE_YOUR_CALM
from tests.h2.peers import deaf
from tests.h2.runner import SocketTalk
from tests.h2.wire import (
    GET, POST, START, block, continuation, data, frame, headers, literal, ping, priority, rst, settings, settings_ack,
    window_update,
)
from tests.integration.harness.client import status
from tests.integration.harness.daemon import Daemon, document
from tests.integration.process import wait_for

TEXT = literal(b"a", b"b" * 100)
OPEN = headers(1, POST, False)
BOMB = headers(1, block(GET) + literal(b"foo", b"x" * 3000, 0x40) + b"\xbe" * 1300)
STREAMS = [1 + 2 * at for at in range(1000)]
FLOODS = {
    "rapid reset": ("downstream_rq_too_many_premature_resets",
                    b"".join(headers(at, POST, False) + rst(at) for at in STREAMS)),
    "provoked resets": ("downstream_rq_too_many_premature_resets",
                        b"".join(headers(at, (*GET, (b"connection", b"x"))) for at in STREAMS)),
    "provoked by bodies": ("downstream_rq_too_many_premature_resets", b"".join(
        headers(at, (*POST, (b"content-length", b"1")), False) + data(at, b"xx") for at in STREAMS)),
    "continuation": ("inbound_continuation_frames_flood",
                     headers(1, block(GET), flags=0) + continuation(1, TEXT, False) * 1000),
    "settings": ("outbound_control_flood", settings() * 20000),
    "ping": ("outbound_control_flood", ping() * 20000),
    "priority": ("inbound_priority_frames_flood", priority(1) * 1000),
    "window updates": ("inbound_window_update_frames_flood", window_update(0, 1) * 1000),
    "empty DATA": ("inbound_empty_frames_flood", OPEN + data(1, b"", False) * 100),
    "empty HEADERS": ("inbound_empty_frames_flood", OPEN + headers(1, b"", False) * 100),
    "empty CONTINUATION": ("inbound_empty_frames_flood",
                           headers(1, block(GET), flags=0) + continuation(1, b"", False) * 100),
    "padding alone": ("inbound_empty_frames_flood", OPEN + frame(0, 8, 1, b"\3\0\0\0") * 100),
}


@pytest.fixture(scope="module", params=("fast", "pure"))
def daemon(request):
    """Yield a daemon that answers itself, but for /, where there is no answer."""
    routes = [{"match": {"path": "/"}, "cluster": "deaf"},
              {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": "ok"}}]
    with deaf() as port:
        clusters = [{"name": "deaf", "endpoints": [{"address": f"127.0.0.1:{port}"}]}]
        http = {"http2": {"engine": request.param}}
        with Daemon(document(routes, clusters, listener={"http": http})) as made:
            yield made


def counted(daemon, name):
    """Return the sum of a counter."""
    return daemon.metric(f"envoy_http2_{name}") or daemon.metric(f"envoy_http_{name}") or 0


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_ends_and_counts(daemon, name):
    counter, sent = FLOODS[name]
    before = counted(daemon, counter)
    talk = SocketTalk(("127.0.0.1", daemon.port), 5.0)
    talk.send(START + settings_ack() + sent)
    while talk.read():
        pass
    assert talk.heard.is_over
    assert talk.heard.goaway is None or talk.heard.goaway.code == ENHANCE_YOUR_CALM  # a reset may overtake it
    talk.close()
    wait_for(lambda: counted(daemon, counter) > before, counter)
    assert status(daemon.port, "/x") == 200


def test_a_section_that_expands_is_not_taken(daemon):
    talk = SocketTalk(("127.0.0.1", daemon.port), 2.0)
    talk.send(START + settings_ack() + BOMB + headers(3))
    while talk.read():
        pass
    assert not any(frame.status == 200 for frame in talk.heard.of(1, 1))
    talk.close()
    assert status(daemon.port, "/x") == 200
