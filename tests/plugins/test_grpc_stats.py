"""The filter grpc_stats: messages of gRPC calls, however their bytes are cut."""

import unittest

from meshd.api import CONTINUE
from meshd.testing.contract.http import HttpFilterContract
from meshd.testing.exchange import FakeExchange
from meshd.testing.site import FakeSite
from meshd_plugins.grpc_stats import NOTE, GrpcStats, GrpcStatsFilter

CALL = ((b"content-type", b"application/grpc+proto"),)


def message(data):
    """Return a message as it stands on the wire."""
    return b"\0" + len(data).to_bytes(4, "big") + data


class GrpcStatsTest(HttpFilterContract, unittest.TestCase):
    def make(self):
        return GrpcStatsFilter(GrpcStats(), FakeSite())

    def call(self, asked, answered):
        """Return what is counted of bodies in these pieces."""
        exchange = FakeExchange(b"POST", b"/s/m", CALL)
        self.assertIs(self.make().on_request(exchange), CONTINUE)
        for transforms, pieces in ((exchange.request_transforms, asked), (exchange.response_transforms, answered)):
            (count,) = transforms
            self.assertEqual([count(piece, False) for piece in pieces], list(pieces))
            self.assertEqual(count(b"", True), b"")
        counts = exchange.metadata[NOTE]
        return counts["request_message_count"], counts["response_message_count"]

    def test_messages_are_counted_however_they_are_cut(self):
        data = message(b"one") + message(b"") + message(b"x" * 1000)
        self.assertEqual(self.call([data], []), (3, 0))
        for size in (1, 2, 3, 4, 5, 6, 7, 8, 100, 1007):
            pieces = [data[at : at + size] for at in range(0, len(data), size)]
            self.assertEqual(self.call([], pieces), (0, 3), size)

    def test_one_that_has_begun_counts(self):
        self.assertEqual(self.call([b"\0"], [message(b"a")[:-1]]), (1, 1))

    def test_other_requests_are_left_alone(self):
        exchange = FakeExchange(b"POST", b"/", ((b"content-type", b"application/grpc-web"),))
        self.assertIs(self.make().on_request(exchange), CONTINUE)
        self.assertEqual((exchange.request_transforms, exchange.metadata), ([], {}))
