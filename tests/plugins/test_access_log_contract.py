"""The access log and its operators keep the contracts of their kinds."""

import os
import tempfile
import unittest

from meshd.testing.contract.telemetry import AccessLogOperatorContract, TelemetryContract
from meshd.testing.site import FakeSite
from meshd_plugins.access_log.config import AccessLog, Buffer
from meshd_plugins.access_log.operator import OPERATORS

ACCEPTED = {
    "REQ": ("HOST", "x-a?:path"), "REQ_WITHOUT_QUERY": (":PATH",), "RESP": ("content-type", ":status"),
    "TRAILER": ("A",), "START_TIME": (None, "%s.%3f"), "START_TIME_LOCAL": (None, "%H"), "ENVIRONMENT": ("HOME",),
    "DYNAMIC_METADATA": ("a", "a:b"), "FILTER_STATE": ("a", "a:PLAIN"), "GRPC_STATUS": (None, "SNAKE_STRING", "NUMBER"),
    "PLUGIN_DURATION": ("cors",),
}
REFUSED = {
    "REQ": (None, "", "a?b?c", "a b", ":status"), "REQ_WITHOUT_QUERY": (None,), "RESP": (None, ":path"),
    "TRAILER": (None,),
    "ENVIRONMENT": (None,), "DYNAMIC_METADATA": (None, "a::b"), "FILTER_STATE": (None,), "GRPC_STATUS": ("LOUD",),
    "PLUGIN_DURATION": (None,), "RESPONSE_CODE": ("a",), "UPSTREAM_HOST": ("a",),
}


def call(name):
    """Return an argument for the operator, in parentheses, where it takes one."""
    return f"({ACCEPTED[name][-1]})" if name in ACCEPTED else ""


class TextTest(TelemetryContract, unittest.TestCase):
    more: dict = {}

    def setUp(self):
        self.site = FakeSite()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "access.log")

    def make(self):
        config = AccessLog(path=self.path, buffer=Buffer(flush_interval_s=0.01), **self.more)
        return self.site.make("telemetry", "access_log", config)


class JsonTest(TextTest):
    more = {"json": tuple((name, f"%{name}{call(name)}%") for name in OPERATORS)}


class OperatorTest(AccessLogOperatorContract, unittest.TestCase):
    """Runs the contract for every built-in operator."""

    name = "REQ"

    def setUp(self):
        self.site = FakeSite()

    def make(self):
        return self.site.make("access_log_operator", self.name)

    def each(self):
        for self.name in OPERATORS:
            self.arguments = ACCEPTED.get(self.name, (None,))
            self.bad_arguments = REFUSED.get(self.name, ())
            yield

    def test_values_are_plain(self):
        for _ in self.each():
            super().test_values_are_plain()

    def test_a_length_bounds_text(self):
        for _ in self.each():
            super().test_a_length_bounds_text()

    def test_refuses_bad_arguments(self):
        for _ in self.each():
            super().test_refuses_bad_arguments()
