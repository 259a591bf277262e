"""The compiled maker of lines gives the bytes of the generated function, whatever an exchange holds."""

import functools
import importlib.util
import unittest
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.api import Headers
from meshd.testing.exchange import FakeExchange
from meshd.testing.site import FakeSite
from meshd_plugins.access_log import line, render
from meshd_plugins.access_log.operator import OPERATORS
from tests.plugins.test_access_log import Named, example

IS_COMPILED = not render.__file__.endswith(".py")
ARGUMENTS = {
    "REQ": "(X-A?:PATH)", "REQ_WITHOUT_QUERY": "(:PATH)", "RESP": "(X-B?X-A)", "TRAILER": "(A)",
    "ENVIRONMENT": "(ZONE)", "DYNAMIC_METADATA": "(a:b)", "FILTER_STATE": "(a)", "PLUGIN_DURATION": "(a)",
}
FORMATS = (
    line.ENVOY_FORMAT, *(f"[%{name}{ARGUMENTS.get(name, '')}%]" for name in OPERATORS), "no operator", "",
    "%REQ(X-A)% %REQ(X-B?X-A)% %REQ(:SCHEME)% %REQ(X-A):3% %RESP(:status)% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME?X-B)%",
    '\u20ac "%START_TIME(%s %% \u20ac%3f \\"x\\")%" %START_TIME(%9f)% %START_TIME(%1f-%2f)% %START_TIME(%H)%',
)
ODD = st.lists(
    st.one_of(
        st.binary(max_size=9), st.sampled_from((b'"', b"\\", b"\r", b"\n", b"\r\n", b" ", b"\t", b"plain text 8")),
    ),
    max_size=6,
).map(b"".join)
NAMES = st.sampled_from((b"\r\nx-a:", b"\r\nX-B: ", b"\r\nx-ab:", b"\r\nx-", b"\rx-a:", b"\r\n"))
BLOCKS = st.lists(st.tuples(NAMES, ODD).map(b"".join), max_size=5).map(b"".join)
MOMENTS = st.one_of(st.floats(0, 1e9), st.sampled_from((0.0, 0, 3, -2.5, 1000.9999999, 1e13)))
NUMBERS = st.one_of(st.integers(-(2**70), 2**70), st.booleans(), st.sampled_from((-(2**63), 2**63 - 1)))


def pure(text, site, write):
    """Make the record that the ``.py`` twin makes."""
    spec = importlib.util.spec_from_file_location("pure_render", Path(line.__file__).with_name("render.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    parts = line.terms(text if text.endswith("\n") else f"{text}\n", site)
    return module.make(parts, write, None, functools.partial(line._generate, parts))


def outcome(record, lines, exchange):
    """Return the line that was written, or the type of what was raised."""
    try:
        record(exchange)
    except Exception as error:
        return type(error)
    return lines.pop()


@unittest.skipUnless(IS_COMPILED, "the leaf is not compiled")
class TestTwins(unittest.TestCase):
    def setUp(self):  # trial runs no setUpClass
        site = FakeSite(environment={"ZONE": '"\udcff'})
        self.lines = []
        self.pairs = [
            (text, line.text_record(text, site, self.lines.append), pure(text, site, self.lines.append))
            for text in FORMATS
        ]

    def compare(self, exchange):
        for text, compiled, generated in self.pairs:
            found = outcome(compiled, self.lines, exchange)
            self.assertEqual(found, outcome(generated, self.lines, exchange), text)

    def test_write_whole_and_empty_exchanges_alike(self):
        empty = FakeExchange()
        empty.request = None  # it broke HTTP
        for exchange in (example(), FakeExchange(), empty):
            self.compare(exchange)

    @settings(max_examples=150, deadline=None)
    @given(st.data())
    def test_write_odd_values_alike(self, data):
        exchange = example()
        for head in (exchange.request, exchange.response):
            head.headers = Headers(data.draw(BLOCKS))
        for name in ("method", "target", "host"):
            setattr(exchange.request, name, data.draw(ODD))
        exchange.request.version = data.draw(st.sampled_from((10, 11, 20, 30)))
        exchange.response.status = data.draw(st.integers(-(2**31), 2**31 - 1))
        for name in ("started", "ended", "response_began", "upstream_began"):
            setattr(exchange, name, data.draw(MOMENTS))
        for name in ("request_bytes", "response_bytes", "connection_id"):
            setattr(exchange, name, data.draw(NUMBERS))
        exchange.flags = data.draw(st.integers(0, 2**29 - 1))
        exchange.endpoint = data.draw(st.one_of(st.none(), st.builds(Named, address=st.text(max_size=9))))
        exchange.route = data.draw(st.one_of(st.none(), st.builds(Named, st.one_of(st.none(), st.text(max_size=9)))))
        self.compare(exchange)

    def test_write_long_values_alike(self):
        for size in (1000, 1024, 70_000):
            exchange = example()
            exchange.request.target = b'/"' * size
            self.compare(exchange)
            self.compare(example())

    def test_a_line_asked_for_while_another_is_made_is_written(self):
        site = FakeSite()
        record = line.text_record("%PROTOCOL% %UPSTREAM_CLUSTER%", site, self.lines.append)

        class Asking(FakeExchange):
            @property
            def cluster(self):
                record(example())
                return Named("outer")

        record(Asking(started=1000.0))
        self.assertEqual([self.lines.pop(), self.lines.pop()], [b"HTTP/1.1 outer\n", b"HTTP/2 locations\n"])


class TestMake(unittest.TestCase):
    def test_asks_the_filter_once_for_each_exchange(self):
        asked, lines = [], []
        record = line.text_record("%BYTES_SENT%", FakeSite(), lines.append, asked.append)
        record(FakeExchange(response_bytes=2**80))
        self.assertEqual((len(asked), lines), (1, []))
        record = line.text_record("%BYTES_SENT%", FakeSite(), lines.append, lambda exchange: not asked.append(exchange))
        record(FakeExchange(response_bytes=2**80))
        self.assertEqual((len(asked), lines), (2, [b"%d\n" % 2**80]))
