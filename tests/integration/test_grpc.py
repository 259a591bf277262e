"""gRPC through the real daemon, between a real client and a real server (grpcio): calls of all kinds, deadlines,
cancellation, retries, what is told of them, and rate-limit services.
"""

import base64
import http.client
import re

import pytest

from tests.integration.harness.daemon import Daemon, document, one_cluster
from tests.integration.harness.grpc_server import GrpcServer, call, channel, failure, needs_grpc
from tests.integration.process import free_port, wait_for

pytestmark = needs_grpc
H2 = {"protocol": "http2"}
RETRY = {"retry": {"retry": {"retry_on": ["unavailable"], "attempts": 2, "methods": ["*"], "base": "1ms"}}}
MESSAGES = 2000
WAIT_S = 20


@pytest.fixture
def server():
    with GrpcServer() as found:
        yield found


def test_all_four_kinds_of_calls(server):
    with Daemon(one_cluster(server.address, cluster=H2)) as daemon, channel(daemon) as opened:
        answer, ended = call(opened, "Unary").with_call(b"hello", timeout=WAIT_S)
        assert answer == b"hello"
        assert dict(ended.trailing_metadata())["x-sum"] == "5"
        assert call(opened, "Collect", "stream_unary")(iter([b"ab"] * 50), timeout=WAIT_S) == b"50 100"
        assert len(list(call(opened, "Count", "unary_stream")(b"500", timeout=WAIT_S))) == 500
        chat = call(opened, "Chat", "stream_stream")(iter([b"%d" % n for n in range(500)]), timeout=WAIT_S)
        assert list(chat) == [b"%d" % n for n in range(500)]
        assert call(opened, "Unary")(b"x" * 2_000_000, timeout=WAIT_S) == b"x" * 2_000_000


def test_a_long_stream_both_ways(server):
    with Daemon(one_cluster(server.address, cluster=H2)) as daemon, channel(daemon) as opened:
        sent = (b"message %d" % n for n in range(MESSAGES))
        count = 0
        for answer in call(opened, "Chat", "stream_stream")(sent, timeout=60):
            assert answer == b"message %d" % count
            count += 1
        assert count == MESSAGES


def test_the_status_and_its_text_come_back(server):
    with Daemon(one_cluster(server.address, cluster=H2)) as daemon, channel(daemon) as opened:
        server.failures = ["NOT_FOUND"]
        assert failure(call(opened, "Unary"), b"x", timeout=WAIT_S) == ("NOT_FOUND", "because 100%")


def test_a_call_that_is_cancelled_is_cancelled_at_the_server(server):
    with Daemon(one_cluster(server.address, cluster=H2)) as daemon, channel(daemon) as opened:
        pending = call(opened, "Wait").future(b"x", timeout=WAIT_S)
        assert server.waiting.wait(WAIT_S)
        pending.cancel()
        assert server.cancelled.wait(WAIT_S)


def test_a_client_that_goes_away_cancels(server):
    with Daemon(one_cluster(server.address, cluster=H2)) as daemon:
        opened = channel(daemon)
        pending = call(opened, "Wait").future(b"x", timeout=WAIT_S)
        assert server.waiting.wait(WAIT_S)
        opened.close()
        assert pending.done() and server.cancelled.wait(WAIT_S)


def test_the_deadline_of_a_call_is_kept_by_the_proxy(server):
    route = {"grpc_timeout_header_max": "1500ms"}
    with Daemon(one_cluster(server.address, cluster=H2, route=route)) as daemon, channel(daemon) as opened:
        pending = call(opened, "Wait").future(b"x", timeout=WAIT_S)
        assert server.waiting.wait(WAIT_S)
        assert failure(pending.result)[0] == "DEADLINE_EXCEEDED"
        assert server.cancelled.wait(WAIT_S)
        row = daemon.access(path="/test.Echo/Wait")  # the server has been told the same time, and may be first
        assert (row["flags"], row["details"]) in (("UMSDR", "max_duration_timeout"), ("-", "via_upstream"))


def test_the_server_is_told_how_long_it_has(server):
    route = {"max_grpc_timeout": "3s"}
    with Daemon(one_cluster(server.address, cluster=H2, route=route)) as daemon, channel(daemon) as opened:
        call(opened, "Unary")(b"x", timeout=WAIT_S)
        call(opened, "Unary")(b"x", timeout=1)
        assert 2.0 < server.left_s[0] <= 3.0 and server.left_s[1] < 1.5


def test_replies_of_the_proxy_are_in_gRPCs_shape():
    with Daemon(one_cluster(f"127.0.0.1:{free_port()}", cluster=H2)) as daemon, channel(daemon) as opened:
        code, text = failure(call(opened, "Unary"), b"x", timeout=WAIT_S)
        assert code == "UNAVAILABLE" and text.startswith("no connection to the upstream could be made"), text
    routes = [{"match": {"path": "/test.Echo/Unary"}, "direct_response": {"status": 403, "body": "50%% no"}}]
    with Daemon(document(routes, [])) as daemon, channel(daemon) as opened:
        assert failure(call(opened, "Unary"), b"x", timeout=WAIT_S) == ("PERMISSION_DENIED", "50% no")
        assert failure(call(opened, "Chat"), b"x", timeout=WAIT_S)[0] == "UNIMPLEMENTED"


def test_statuses_are_retried(server):
    with Daemon(one_cluster(server.address, cluster=H2, route=RETRY)) as daemon, channel(daemon) as opened:
        server.failures = ["UNAVAILABLE", "UNAVAILABLE"]
        assert call(opened, "Unary")(b"x", timeout=WAIT_S) == b"x"
        assert server.calls == 3
        server.failures = ["UNAVAILABLE"] * 3
        assert failure(call(opened, "Unary"), b"x", timeout=WAIT_S)[0] == "UNAVAILABLE"
        server.failures = ["INTERNAL"]
        assert failure(call(opened, "Unary"), b"x", timeout=WAIT_S)[0] == "INTERNAL"
        daemon.access(attempts=1)
        assert sorted(row["attempts"] for row in daemon.accesses()) == [1, 3, 3]


def test_what_is_told_of_calls(server):
    with Daemon(one_cluster(server.address, cluster=H2)) as daemon, channel(daemon) as opened:
        server.failures = ["NOT_FOUND"]
        failure(call(opened, "Unary"), b"x", timeout=WAIT_S)
        call(opened, "Unary")(b"x", timeout=WAIT_S)
        for status in ("0", "5"):
            labels = {"grpc_response_status": status, "request_protocol": "grpc"}
            wait_for(lambda: daemon.metric("istio_requests_total", **labels) == 1, f"a call that ended with {status}")


def test_messages_of_calls_are_counted(server):
    config = one_cluster(server.address, cluster=H2)
    config["listeners"][0]["filters"].insert(0, "grpc_stats")
    with Daemon(config) as daemon, channel(daemon) as opened:
        assert len(list(call(opened, "Count", "unary_stream")(b"500", timeout=WAIT_S))) == 500
        call(opened, "Collect", "stream_unary")(iter([b"one", b"two" * 10_000, b""]), timeout=WAIT_S)
        wait_for(lambda: daemon.metric("istio_request_messages_total", request_protocol="grpc") == 4, "four messages")
        assert daemon.metric("istio_response_messages_total", request_protocol="grpc") == 501


def limited(server, **options):
    """Return a configuration in which ``server`` is both the service and its rate-limit service."""
    config = one_cluster(server.address, cluster=H2)
    config["clusters"].append({"name": "limits", "endpoints": [{"address": server.address}], **H2})
    service = {"cluster": "limits", "domain": "shop", "timeout": "5s", "rate_limits": [{"actions": [
        {"generic_key": {"descriptor_value": "all"}},
        {"request_headers": {"header_name": "x-tenant", "descriptor_key": "tenant", "skip_if_absent": True}},
    ]}], **options}
    config["listeners"][0]["filters"].insert(0, {"rate_limit_service": service})
    return config


def test_a_rate_limit_service_decides(server):
    asked = []
    response = server.messages["RateLimitResponse"]

    def decide(request):
        asked.append(request)
        is_over = len(asked) > 1
        found = response(overall_code=2 if is_over else 1, raw_body=b"enough" if is_over else b"")
        found.request_headers_to_add.add(key="x-plan", value="gold")
        found.response_headers_to_add.add(key="x-seen", value="yes")
        status = found.statuses.add(code=found.overall_code, limit_remaining=3)
        status.current_limit.requests_per_unit, status.current_limit.unit = 10, 2
        status.duration_until_reset.seconds = 42
        return found

    server.limits = decide
    options = {"enable_x_ratelimit_headers": "DRAFT_VERSION_03", "rate_limited_as_resource_exhausted": True}
    with Daemon(limited(server, **options)) as daemon, channel(daemon) as opened:
        answer, ended = call(opened, "Unary").with_call(b"x", metadata=(("x-tenant", "ann"),), timeout=WAIT_S)
        told = dict(ended.initial_metadata())
        assert (answer, told["x-seen"], told["x-ratelimit-limit"]) == (b"x", "yes", "10, 10;w=60")
        assert (told["x-ratelimit-remaining"], told["x-ratelimit-reset"]) == ("3", "42")
        assert server.metadata[-1]["x-plan"] == "gold"
        entries = [(one.key, one.value) for one in asked[0].descriptors[0].entries]
        assert (asked[0].domain, entries) == ("shop", [("generic_key", "all"), ("tenant", "ann")])
        assert failure(call(opened, "Unary"), b"x", timeout=WAIT_S) == ("RESOURCE_EXHAUSTED", "enough")
        assert daemon.access(flags="RL")["details"] == "request_rate_limited"


def test_without_an_answer_of_it_requests_pass_or_are_refused(server):
    def fail(request):
        raise ValueError("broken")

    server.limits = fail
    for is_denied in (False, True):
        with Daemon(limited(server, failure_mode_deny=is_denied)) as daemon, channel(daemon) as opened:
            if is_denied:
                assert failure(call(opened, "Unary"), b"x", timeout=WAIT_S)[0] == "UNKNOWN"
                assert daemon.access(flags="RLSE")["details"] == "rate_limiter_error"
            else:
                assert call(opened, "Unary")(b"x", timeout=WAIT_S) == b"x"


def test_many_calls_at_once(server):
    with Daemon(one_cluster(server.address, cluster=H2)) as daemon, channel(daemon) as opened:
        pending = [call(opened, "Unary").future(b"%d" % n, timeout=WAIT_S) for n in range(300)]
        assert [one.result() for one in pending] == [b"%d" % n for n in range(300)]


def test_grpc_web_from_a_client_of_http_1(server):
    config = one_cluster(server.address, cluster=H2)
    config["listeners"][0]["filters"].insert(0, "grpc_web")
    with Daemon(config) as daemon:
        connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=WAIT_S)
        for kind, change in (("", bytes), ("-text", base64.b64encode)):
            kind = f"application/grpc-web{kind}+proto"
            connection.request("POST", "/test.Echo/Unary", change(b"\0\0\0\0\3abc"),
                               {"content-type": kind, "accept": kind})
            answer = connection.getresponse()
            body = answer.read()
            if change is not bytes:
                body = b"".join(map(base64.b64decode, re.findall(rb"[^=]+=*", body)))
            assert (answer.status, answer.headers["content-type"]) == (200, kind)
            assert body.startswith(b"\0\0\0\0\3abc\x80\0\0\0"), body
            assert b"grpc-status:0\r\n" in body and b"x-sum:3\r\n" in body
        connection.close()
