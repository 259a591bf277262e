"""The access log's lines: Envoy's formats, typed JSON, and nothing that a peer can inject."""

import json
import unittest

from meshd.api import ConfigurationError, Headers, Plugin, flag
from meshd.testing.exchange import FakeExchange
from meshd.testing.site import EPOCH_S, FakeSite
from meshd_plugins.access_log.config import AccessLog, Filter
from meshd_plugins.access_log.line import ENVOY_FORMAT, json_record, text_record
from meshd_plugins.access_log.matcher import compile_match, parse_status
from meshd_plugins.access_log.operator import OPERATORS

ENVOY_EXAMPLE = (
    b'[2016-04-15T20:17:00.310Z] "POST /api/v1/locations HTTP/2" 204 - 154 0 226 100 "10.0.35.28" "nsq2http" '
    b'"cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2" "locations" "10.0.2.1:80"\n'
)
"""The example of Envoy's documentation, with the upstream's address as Envoy writes it now (no ``tcp://``)."""


class Named:
    def __init__(self, name="", address=""):
        self.name = name
        self.address = address


class FixedClock:
    def __init__(self, wall_s):
        self.wall_s = wall_s

    def now(self):
        return 1000.0

    def wall(self):
        return self.wall_s


def example():
    exchange = FakeExchange(
        b"POST", b"/api/v1/locations",
        [
            (b"x-forwarded-for", b"10.0.35.28"), (b"user-agent", b"nsq2http"),
            (b"x-request-id", b"cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2"),
        ],
        started=1000.31, ended=1000.5361, upstream_began=1000.32, response_began=1000.4201, request_ended=1000.33,
        request_bytes=154, endpoint=Named(address="10.0.2.1:80"), cluster=Named("locations"), attempts=1,
    )
    exchange.request.version = 20
    exchange.request.host = b"locations"
    exchange.respond(204)
    return exchange


class LineTest(unittest.TestCase):
    def setUp(self):
        self.site = FakeSite(environment={"ZONE": "eu", "ODD": '"\udcff'})
        self.lines = []

    def line(self, text, exchange=None):
        text_record(text, self.site, self.lines.append)(exchange or example())
        return self.lines[-1]

    def json(self, fields, exchange=None):
        json_record(tuple(fields.items()), self.site, self.lines.append)(exchange or example())
        return json.loads(self.lines[-1])

    def test_writes_the_example_of_envoys_documentation(self):
        self.site.clock = FixedClock(1460751420.0)
        self.assertEqual(self.line(ENVOY_FORMAT), ENVOY_EXAMPLE)

    def test_what_is_unset_is_a_dash(self):
        exchange = FakeExchange(started=1000.0, ended=1000.0, flags=flag.DC)
        line = self.line(ENVOY_FORMAT, exchange).partition(b"] ")[2]
        self.assertEqual(line, b'"GET / HTTP/1.1" 0 DC 0 0 0 - "-" "-" "-" "example.com" "-"\n')

    def test_a_request_that_broke_http_has_a_line_too(self):
        exchange = FakeExchange(started=1000.0, ended=1000.0015, flags=flag.DPE)
        exchange.request = None
        exchange.respond(400)
        line = self.line(ENVOY_FORMAT, exchange).partition(b"] ")[2]
        self.assertEqual(line, b'"- - -" 400 DPE 0 0 1 - "-" "-" "-" "-" "-"\n')

    def test_every_operator_can_be_written_whole_and_empty(self):
        arguments = {"REQ": "(HOST)", "REQ_WITHOUT_QUERY": "(:PATH)", "RESP": "(A)", "TRAILER": "(A)"}
        arguments |= {"ENVIRONMENT": "(ZONE)", "DYNAMIC_METADATA": "(a:b)", "FILTER_STATE": "(a)"}
        arguments |= {"PLUGIN_DURATION": "(a)"}
        empty = FakeExchange()
        empty.request = None
        for name in OPERATORS:
            with self.subTest(name=name):
                text = f"%{name}{arguments.get(name, '')}%"
                for exchange in (example(), empty):
                    self.assertRegex(self.line(text, exchange), rb"\A[\x20-\x7e]+\n\Z")
                    self.assertEqual(list(self.json({"a": text}, exchange)), ["a"])

    def test_how_a_call_ended(self):
        for kind, status, head, trailer, expected in (
            (b"application/grpc", 200, None, b"14", "Unavailable UNAVAILABLE 14"),
            (b"application/grpc+proto", 200, b"1", None, "Canceled CANCELLED 1"),
            (b"application/grpc", 200, b"0", b"5", "NotFound NOT_FOUND 5"),
            (b"application/grpc", 504, None, None, "Unavailable UNAVAILABLE 14"),
            (b"application/grpc", 200, None, b"4711", "4711 4711 4711"),
            (b"application/grpc", 200, None, b"bad", "-1 -1 -1"),
            (b"application/json", 200, b"3", b"3", "- - -"),
        ):
            exchange = example()
            exchange.request.headers.set(b"content-type", kind)
            exchange.respond(status, [(b"grpc-status", head)] if head else [])
            exchange.trailers = Headers.of((b"grpc-status", trailer)) if trailer else None
            line = self.line("%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS(NUMBER)%", exchange)
            self.assertEqual(line.decode(), expected + "\n")

    def test_values(self):
        exchange = example()
        exchange.metadata = {"auth": {"user": "ann", "scopes": ["a", "b"]}}
        exchange.flags = flag.UF | flag.URX
        exchange.peer, exchange.client, exchange.local = "[::1]:40000", "::1", "10.9.9.9:8080"
        exchange.upstream_local = "10.0.0.1:555"
        exchange.durations = {"cors": 0.0012345}
        exchange.failure = "connect timed out"
        exchange.detail = "via upstream"
        exchange.request.set_target(b"/a?token=1")
        exchange.route = Named("users")
        exchange.respond(503, [(b"x-b", b"bee"), (b"grpc-status", b"3")])
        exchange.request.headers.set(b"content-type", b"application/grpc")
        exchange.trailers = Headers.of((b"x-sum", b"7"))
        exchange.detail = "upstream reset"
        for text, expected in {
            "%REQ_WITHOUT_QUERY(:PATH)%": "/a", "%REQ(X-NONE?USER-AGENT):3%": "nsq", "%RESP(x-a?x-b)%": "bee",
            "%RESP(:status)%": "503", "%REQ(X-NONE)%": "-", "%RESPONSE_FLAGS%": "UF,URX",
            "%RESPONSE_FLAGS_LONG%": "UpstreamConnectionFailure,UpstreamRetryLimitExceeded",
            "%RESPONSE_CODE_DETAILS%": "upstream_reset", "%UPSTREAM_TRANSPORT_FAILURE_REASON%": "connect timed out",
            "%REQUEST_DURATION%/%RESPONSE_DURATION%/%RESPONSE_TX_DURATION%/%DURATION%": "20/110/115/226",
            "%DOWNSTREAM_REMOTE_ADDRESS%": "[::1]:40000", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%": "::1",
            "%DOWNSTREAM_REMOTE_PORT%": "40000",
            "%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%:%DOWNSTREAM_LOCAL_PORT%": "10.9.9.9:8080",
            "%UPSTREAM_LOCAL_ADDRESS%": "10.0.0.1:555", "%UPSTREAM_CLUSTER%": "locations", "%ROUTE_NAME%": "users",
            "%DYNAMIC_METADATA(auth:user)%": "ann", "%DYNAMIC_METADATA(auth:nobody)%": "-",
            "%DYNAMIC_METADATA(auth:scopes)%": '[\\"a\\", \\"b\\"]',
            "%ENVIRONMENT(ZONE)%": "eu", "%ENVIRONMENT(NO)%": "-",
            "%GRPC_STATUS%": "InvalidArgument", "%GRPC_STATUS(SNAKE_STRING)%": "INVALID_ARGUMENT",
            "%TRAILER(x-none?X-Sum)%/%TRAILER(x-none)%": "7/-",
            "%GRPC_STATUS_NUMBER%": "3", "%PLUGIN_DURATION(cors)%": "1.234", "%PLUGIN_DURATION(x)%": "-",
            "100 %% %METHOD%": "100 % POST", "%CONNECTION_ID% %STREAM_ID% %UPSTREAM_REQUEST_ATTEMPT_COUNT%": "1 1 1",
        }.items():
            with self.subTest(text=text):
                self.assertEqual(self.line(text, exchange).decode(), expected + "\n")

    def test_a_client_behind_a_trusted_proxy_has_port_0_as_envoy_writes_it(self):
        exchange = FakeExchange(peer="10.0.0.1:99", client="192.0.2.7")
        text = "%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS%"
        self.assertEqual(self.line(text, exchange), b"192.0.2.7:0 10.0.0.1:99\n")

    def test_start_time_takes_strftime_and_envoys_fractions(self):
        exchange = FakeExchange(started=1000.5277)
        for text, expected in {
            "%START_TIME(%s.%3f)%": f"{int(EPOCH_S)}.527", "%START_TIME(%s.%6f)%": f"{int(EPOCH_S)}.527700",
            "%START_TIME(%Y/%m/%dT%H:%M:%S%z)%": "2023/11/14T22:13:20+0000", "%START_TIME(%% %H %1f %2f)%": "% 22 5 52",
            "%START_TIME(%Y):2%": "20", "%START_TIME%": "2023-11-14T22:13:20.527Z",
        }.items():
            with self.subTest(text=text):
                self.assertEqual(self.line(text, exchange).decode(), expected + "\n")

    def test_start_time_follows_the_second_and_a_wall_clock_that_was_set(self):
        record = text_record("%START_TIME(%s.%3f)%", self.site, self.lines.append)
        for started in (1000.999, 1001.0, 1000.25):
            record(FakeExchange(started=started))
        self.site.clock.wall = lambda: EPOCH_S + 500
        record(FakeExchange(started=1002.0))
        second = int(EPOCH_S)
        expected = [f"{second}.999", f"{second + 1}.000", f"{second}.250", f"{second + 502}.000"]
        self.assertEqual([line.decode().strip() for line in self.lines], expected)

    def test_no_value_can_end_a_line_open_a_field_or_drive_a_terminal(self):
        for evil in (b'a" 200 "', b"a\\", b"\x1b[31m", b"\x7f", b"\xc2\x9b31m", b"\x00", b"a\tb"):
            exchange = example()
            exchange.request.headers.raw += b"\r\nx-evil: [" + evil + b"]"
            exchange.request.headers.low = exchange.request.headers.raw.lower()
            exchange.request.target = b"/p\r\n[1970] forged"
            exchange.failure = 'odd "reason"\n\udcff'
            text = '"%REQ(X-EVIL)%" "%REQ(:PATH)%" "%UPSTREAM_TRANSPORT_FAILURE_REASON%"'
            with self.subTest(evil=evil):
                line = self.line(text, exchange)
                field = rb'"(?:[^"\\\x00-\x1f\x7f-\xff]|\\.)*"'
                self.assertRegex(line, rb"\A" + field + rb" " + field + rb" " + field + rb"\n\Z")
                self.json({"evil": "%REQ(X-EVIL)%", "path": "%REQ(:PATH)%"}, exchange)
                self.assertRegex(self.lines[-1], rb"\A[\x20-\x7e]+\n\Z")

    def test_an_escaped_value_can_be_read_back(self):
        exchange = example()
        exchange.request.target = b'/a"b\\c\r\n'
        self.assertEqual(self.line('"%REQ(:PATH)%"', exchange), b'"/a\\"b\\\\c\\r\\n"\n')
        self.assertEqual(self.json({"p": "%REQ(:PATH)%"}, exchange), {"p": '/a"b\\c\r\n'})

    def test_json_keeps_numbers_and_tells_the_unset_as_null(self):
        fields = {
            "status": "%RESPONSE_CODE%", "sent": "%BYTES_SENT%", "ms": "%DURATION%", "none": "%REQ(X-NONE)%",
            "reason": "%UPSTREAM_TRANSPORT_FAILURE_REASON%", "flags": "%RESPONSE_FLAGS%",
            "mixed": "%METHOD% in %DURATION% ms", "fixed": "50 %% \u20ac", "user": "%REQ(USER-AGENT)%",
            "port": "%DOWNSTREAM_LOCAL_PORT%", "up": "%UPSTREAM_REMOTE_PORT%",
        }
        expected = {
            "status": 204, "sent": 0, "ms": 226, "none": None, "reason": None, "flags": "-", "mixed": "POST in 226 ms",
            "fixed": "50 % \u20ac", "user": "nsq2http", "port": 80, "up": 80,
        }
        self.assertEqual(self.json(fields), expected)

    def test_a_format_in_other_alphabets_is_written_as_utf_8(self):
        self.assertEqual(self.line("\u20ac %METHOD%"), "\u20ac POST\n".encode())

    def test_an_environment_that_is_no_utf_8_does_no_harm(self):
        self.assertEqual(self.line("%ENVIRONMENT(ODD)%"), b'\\"?\n')

    def test_an_unknown_operator_is_told_with_the_nearest(self):
        with self.assertRaisesRegex(ValueError, "unknown operator %RESPONSE_CODES%: the nearest is %RESPONSE_CODE%"):
            text_record("%RESPONSE_CODES%", self.site, self.lines.append)

    def test_an_operator_of_another_plugin_is_used(self):
        class Shout:
            def compile(self, argument, length):
                return lambda exchange: argument.upper()[:length] if argument else 7

        def build(plugin):
            self.assertEqual((plugin.kind, plugin.type), ("access_log_operator", "SHOUT"))
            return Shout()

        self.site.build = build
        self.assertEqual(self.line("%SHOUT(hello):4% %SHOUT%"), b"HELL 7\n")
        self.assertEqual(self.json({"a": "%SHOUT%", "b": "%SHOUT(x)%"}), {"a": 7, "b": "X"})

    def test_other_plugins_get_the_built_in_operators(self):
        code = self.site.build(Plugin(kind="access_log_operator", type="RESPONSE_CODE", config=None, name="x"))
        agent = self.site.build(Plugin(kind="access_log_operator", type="REQ", config=None, name="x"))
        self.assertEqual(code.compile(None, None)(example()), 204)
        self.assertEqual(agent.compile("USER-AGENT", 3)(example()), "nsq")
        self.assertIsNone(agent.compile("X-NONE", None)(example()))


class ConfigTest(unittest.TestCase):
    def faults(self, **values):
        return list(AccessLog(**values).check())

    def test_the_default_has_no_fault(self):
        self.assertEqual(self.faults(), [])
        self.assertEqual(AccessLog().format, ENVOY_FORMAT)

    def test_faults_name_the_field_and_what_was_expected(self):
        for values, field, text in (
            ({"path": "logs/a.log"}, "path", "absolute"), ({"format": "50%"}, "format", "expected %OPERATOR"),
            ({"format": "%REQ%"}, "format", "%REQ%: expected NAME"), ({"format": "%REQ(a?b?c)%"}, "format", "NAME"),
            ({"format": "%REQ(a b)%"}, "format", "NAME"), ({"format": "%METHOD(x)%"}, "format", "no argument"),
            ({"format": "%RESP(:path)%"}, "format", "response's field"),
            ({"format": "%REQ(:status)%"}, "format", "request's"),
            ({"format": "%GRPC_STATUS(LOUD)%"}, "format", "CAMEL_STRING"),
            ({"format": "%ENVIRONMENT%"}, "format", "variable"),
            ({"json": (("a", "%DYNAMIC_METADATA%"),)}, "json", "NAMESPACE"),
            ({"json": (("a", "b"),), "format": "c"}, "json", "not both"),
        ):
            with self.subTest(values=values):
                ((name, message),) = self.faults(**values)
                self.assertEqual(name, field)
                self.assertIn(text, message)

    def test_an_unknown_operator_is_a_configuration_error_at_build(self):
        with self.assertRaisesRegex(ConfigurationError, "unknown operator %DURATIO%: the nearest is %DURATION%"):
            FakeSite().make("telemetry", "access_log", AccessLog(format="%DURATIO%"))

    def test_statuses_of_a_filter_are_checked(self):
        self.assertEqual(list(Filter(status=("404", "5xx", "400-499")).check()), [])
        for bad in ("4x", "499-400", "all", "40"):
            with self.subTest(bad=bad):
                self.assertEqual([name for name, _ in Filter(status=(bad,)).check()], ["status"])


class FilterTest(unittest.TestCase):
    def setUp(self):
        self.site = FakeSite()

    def passes(self, exchange, **conditions):
        return compile_match(Filter(**conditions), self.site)(exchange)

    def answer(self, status, **attributes):
        exchange = FakeExchange(**attributes)
        if status:
            exchange.respond(status)
        return exchange

    def test_without_conditions_nothing_is_asked(self):
        self.assertIsNone(compile_match(None, self.site))
        self.assertIsNone(compile_match(Filter(), self.site))

    def test_statuses(self):
        for status, expected in ((404, True), (403, False), (500, True), (599, True), (0, False)):
            self.assertEqual(self.passes(self.answer(status), status=("404", "5xx")), expected)
        self.assertFalse(self.passes(self.answer(399), status_min=400))
        self.assertTrue(self.passes(self.answer(400), status_min=400))
        self.assertEqual(parse_status("400-402"), range(400, 403))

    def test_flags_and_durations(self):
        self.assertTrue(self.passes(self.answer(503, flags=flag.UF), flags=("UC", "UF")))
        self.assertFalse(self.passes(self.answer(503, flags=flag.UT), flags=("UC", "UF")))
        slow = self.answer(200, started=1.0, ended=3.0)
        self.assertTrue(self.passes(slow, duration_min_s=2.0))
        self.assertFalse(self.passes(slow, duration_min_s=2.1))

    def test_all_and_any(self):
        failed = self.answer(500)
        self.assertFalse(self.passes(failed, status_min=500, duration_min_s=1.0))
        self.assertTrue(self.passes(failed, status_min=500, duration_min_s=1.0, match="any"))

    def test_a_share_is_drawn(self):
        match = compile_match(Filter(percent=25.0), self.site)
        drawn = sum(match(self.answer(200)) for _ in range(4000))
        self.assertTrue(800 < drawn < 1200, drawn)
        self.assertFalse(self.passes(self.answer(200), percent=0.0))

    def test_the_sink_asks_the_filter(self):
        lines = []
        match = compile_match(Filter(status=("5xx",)), self.site)
        record = text_record("%RESPONSE_CODE%", self.site, lines.append, match)
        record(self.answer(200))
        record(self.answer(500))
        self.assertEqual(lines, [b"500\n"])


