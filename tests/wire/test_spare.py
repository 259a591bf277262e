"""Descriptors are kept back for whoever needs them most."""

import os
import resource
import socket
import unittest
from unittest import mock

from meshd.wire import spare
from meshd.wire.dialer import open_socket


def limited(count):
    """Return a patch that makes the limit of descriptors look like ``count``."""
    return mock.patch.object(resource, "getrlimit", lambda which: (count, count))


class TestSpare(unittest.TestCase):
    def test_clients_leave_more_than_upstreams_do(self):
        for count in (64, 256, 1024, 1_000_000):
            with limited(count):
                self.assertLess(spare.client_ceiling(), spare.upstream_ceiling())
                self.assertLess(spare.upstream_ceiling(), count)

    def test_a_small_limit_leaves_clients_three_quarters(self):
        with limited(96):
            self.assertEqual(spare.client_ceiling(), 72)

    def test_a_large_limit_keeps_64_from_clients(self):
        with limited(65536):
            self.assertEqual(spare.client_ceiling(), 65536 - 64)

    def test_finds_the_lowest_free_number_and_keeps_nothing(self):
        with open(os.devnull) as file:
            self.assertEqual(spare.lowest_free(file.fileno()), spare.lowest_free(file.fileno()))

    def test_no_socket_is_opened_with_the_last_descriptors(self):
        with limited(1), self.assertRaisesRegex(OSError, "few descriptors are left"):
            open_socket(socket.AF_INET)
