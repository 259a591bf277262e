"""What telemetry sinks and access-log operators must keep to."""

from meshd.testing.contract.http import odd_exchanges
from meshd.testing.contract.kind import KindContract


class TelemetryContract(KindContract):
    """For ``telemetry``: every exchange is taken, also one that never had an answer; nothing is waited for."""

    kind = "telemetry"

    def started(self):
        """Return a sink as it is in use; override it where ``start`` needs more."""
        sink = self.make()
        if hasattr(sink, "start"):
            sink.start()
        self.addCleanup(getattr(sink, "stop", lambda: None))
        return sink

    def test_takes_exchanges_without_an_answer(self):
        sink = self.started()
        for name, exchange in odd_exchanges():
            with self.subTest(name):
                self.assertIsNone(sink.on_complete(exchange))

    def test_takes_exchanges_with_an_answer(self):
        sink = self.started()
        for name, exchange in odd_exchanges():
            for status in (200, 404, 503):
                with self.subTest(name, status=status):
                    exchange.respond(status, [(b"content-type", b"\xff\xfe")], 0)
                    self.assertIsNone(sink.on_complete(exchange))

    def test_changes_nothing_of_an_exchange(self):
        sink = self.started()
        for _, exchange in odd_exchanges():
            exchange.respond(200, [(b"content-type", b"text/plain")], 0)
            before = (exchange.request.headers.raw, exchange.response.headers.raw, exchange.flags, exchange.detail)
            sink.on_complete(exchange)
            after = (exchange.request.headers.raw, exchange.response.headers.raw, exchange.flags, exchange.detail)
            self.assertEqual(before, after)


class AccessLogOperatorContract(KindContract):
    """For ``access_log_operator``: ``arguments`` are accepted ones, ``bad_arguments`` are refused with ValueError."""

    kind = "access_log_operator"
    arguments: tuple = (None,)
    bad_arguments: tuple = ()

    def test_values_are_plain(self):
        operator = self.make()
        for argument in self.arguments:
            value_of = operator.compile(argument, None)
            for name, exchange in odd_exchanges():
                with self.subTest(name, argument=argument):
                    self.assertIsInstance(value_of(exchange), (str, int, float, type(None)))

    def test_a_length_bounds_text(self):
        operator = self.make()
        for argument in self.arguments:
            value_of = operator.compile(argument, 3)
            for _, exchange in odd_exchanges():
                value = value_of(exchange)
                self.assertFalse(isinstance(value, str) and len(value) > 3, f"got {value!r}")

    def test_refuses_bad_arguments(self):
        operator = self.make()
        for argument in self.bad_arguments:
            with self.assertRaises(ValueError):
                operator.compile(argument, None)
