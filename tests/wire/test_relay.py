"""The relay: both directions, their ends, back-pressure, and the road past this process."""

import errno
import os
import socket
import struct
import time
from types import SimpleNamespace
from unittest import mock

from meshd.hot import splice
from meshd.wire.descriptor import Descriptor, with_socket
from meshd.wire.relay import FULL_BYTES, FULL_READS, Relay
from tests.hot.twin import twins
from tests.wire.test_descriptor import DescriptorCase
from tests.wire.world import end_of, take

LIMITS = SimpleNamespace(buffer_high_bytes=65536, buffer_low_bytes=32768)


def tcp_pair():
    """Return two ends of a TCP connection, non-blocking."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs = server.accept()[0]
    for sock in (ours, theirs):
        sock.setblocking(False)
    return ours, theirs


class RelayCase(DescriptorCase):
    """``relay`` returns a Relay; ``client`` and ``server`` are the ends outside."""

    def relay(self, is_raw=True):
        """Make one over TCP."""
        self.ended = []
        one, self.client = tcp_pair()
        two, self.server = tcp_pair()
        for sock in (self.client, self.server):
            self.addCleanup(sock.close)
        down, up = (Descriptor(sock.detach(), self.world.poller, None) for sock in (one, two))
        owner = SimpleNamespace(relay_ended=self.ended.append)
        self.addCleanup(self.world.pipes.clear)
        made = Relay(owner, down, up, self.world.pipes, LIMITS)
        made.is_raw = made.is_raw and is_raw
        self.addCleanup(made.cut, "test")
        return made

    def send(self, sock, data):
        """Send what is taken."""
        try:
            count = sock.send(data)
        except BlockingIOError:
            count = 0
        self.world.turn()
        return count

    def pass_on(self, source, target, data):
        """Return what comes out where ``data`` is put in, all of it."""
        got, at = [], 0
        while sum(map(len, got)) < len(data):
            at += self.send(source, data[at:at + 1_000_000])
            got.append(self.drain(target))
        return b"".join(got)

    def to_the_end(self, sock):
        """Return (bytes, ``fin`` or ``reset``) until the peer ends; fails where it does not."""
        parts, until = [], time.monotonic() + 20
        while time.monotonic() < until:
            self.world.turn()
            try:
                data = sock.recv(65536)
            except BlockingIOError:
                continue
            except ConnectionResetError:
                return b"".join(parts), "reset"
            if not data:
                return b"".join(parts), "fin"
            parts.append(data)
        return self.fail("the connection does not end")


class Relaying(RelayCase):
    def test_small_and_large_both_ways_whoever_moves_them(self):
        for is_raw in (True, False):
            relay = self.relay(is_raw)
            for size in (1, 1000, 65536, 5_000_000, 3):
                data = os.urandom(size)
                self.assertEqual(self.pass_on(self.client, self.server, data), data)
                self.assertEqual(self.pass_on(self.server, self.client, data), data)
            self.assertEqual((relay.down.count, relay.up.count), (5_066_540, 5_066_540))

    def test_a_side_that_breaks_in_the_last_full_read_ends_it(self):
        relay = self.relay()
        relay.down.full = FULL_READS - 1
        self.server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.server.close()
        relay.down.received(b"a" * FULL_BYTES)
        self.assertEqual(len(self.ended), 1)

    def test_the_kernel_moves_what_is_much_and_not_what_is_little(self):
        if not splice.HAS_SPLICE:
            self.skipTest("this system has no splice")
        relay = self.relay()
        moved = []
        real = relay.pipes.take
        relay.pipes.take = lambda: moved.append(True) or real()
        self.pass_on(self.client, self.server, b"x" * 100_000)
        self.assertEqual(moved, [])
        self.pass_on(self.client, self.server, b"x" * 8_000_000)
        self.assertGreaterEqual(len(moved), 1)
        for _ in range(20):
            self.pass_on(self.client, self.server, b"y")
        self.assertIsNone(relay.down.pipe)
        self.assertIsNone(relay.down.descriptor.pump)
        self.assertGreaterEqual(len(relay.pipes.idle), 1)

    def test_where_no_pipe_is_to_be_had_bytes_are_copied(self):
        relay = self.relay()
        with mock.patch("meshd.wire.pipe.MAX_PIPES", 0):
            data = os.urandom(5_000_000)
            self.assertEqual(self.pass_on(self.client, self.server, data), data)
        self.assertIsNone(relay.down.pipe)
        self.assertEqual(relay.pipes.count, 0)

    def test_where_the_kernel_may_not_move_them_bytes_are_copied(self):
        refused = OSError(errno.ENOSYS, "function not implemented")
        with mock.patch.object(splice, "pull", side_effect=refused) as pull:
            relay = self.relay()
            data = os.urandom(5_000_000)
            self.assertEqual(self.pass_on(self.client, self.server, data), data)
            self.assertEqual(pull.call_count, 1)
        self.assertEqual(relay.pipes.count, 0)
        self.assertFalse(relay.pipes.is_usable)

    def test_every_pipe_is_given_back(self):
        relay = self.relay()
        self.send(self.client, b"x" * 8_000_000)
        for _ in range(20):
            self.send(self.client, b"x" * 1_000_000)
            take(self.server)
        relay.cut("test")
        self.assertEqual(relay.pipes.count, len(relay.pipes.idle))
        relay.pipes.clear()
        self.assertEqual(relay.pipes.count, 0)

    def test_ends_are_passed_on_one_by_one(self):
        self.relay()
        self.client.shutdown(socket.SHUT_WR)
        self.world.turn()
        self.assertEqual(end_of(self.server), "fin")
        self.assertEqual(self.pass_on(self.server, self.client, b"late"), b"late")
        self.assertEqual(self.ended, [])
        self.server.shutdown(socket.SHUT_WR)
        self.world.turn()
        self.assertEqual(end_of(self.client), "fin")
        self.assertEqual(self.ended, [""])

    def test_the_end_comes_after_the_last_byte(self):
        for is_raw in (True, False):
            self.relay(is_raw)
            total = 0
            while count := self.send(self.client, b"x" * 500_000):
                total += count
            self.client.shutdown(socket.SHUT_WR)
            self.world.turn()
            self.assertEqual(len(self.drain(self.server)), total)
            self.assertEqual(end_of(self.server), "fin")

    def test_who_stops_reading_stops_the_other(self):
        for is_raw in (True, False):
            relay = self.relay(is_raw)
            total = 0
            while count := self.send(self.client, b"x" * 500_000):
                total += count
            self.assertLess(relay.up.descriptor.pending_bytes, 2 * 65536 + 1)
            count = 0
            while count < total:  # the kernel may be slow to hand over what it holds
                count += len(self.drain(self.server))
            self.assertEqual(count, total)
            self.assertEqual(self.pass_on(self.client, self.server, b"more"), b"more")

    def test_a_reset_is_passed_on_as_one(self):
        self.relay()
        self.pass_on(self.client, self.server, b"x")
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.client.close()
        self.world.turn()
        self.assertEqual(end_of(self.server), "reset")
        self.assertEqual(len(self.ended), 1)

    def test_what_a_broken_upstream_has_sent_still_arrives(self):
        self.relay(is_raw=False)
        total = 0
        while count := self.send(self.server, b"x" * 500_000):
            total += count
        self.server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.server.close()
        self.world.turn()
        data, end = self.to_the_end(self.client)
        self.assertGreater(len(data), 0)
        self.assertEqual((end, len(self.ended)), ("reset", 1))

    def test_an_upstream_that_breaks_after_its_end_leaves_the_client_everything(self):
        relay = self.relay(is_raw=False)
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with_socket(relay.down.descriptor.fd, lambda sock: sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096))
        self.server.send(b"x" * 60_000)
        self.server.shutdown(socket.SHUT_WR)
        self.world.turn()
        self.server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.server.close()
        self.send(self.client, b"more")
        self.assertFalse(relay.up.descriptor.is_open)
        self.assertEqual(self.to_the_end(self.client), (b"x" * 60_000, "fin"))

    def test_bytes_can_be_looked_at(self):
        relay = self.relay()
        relay.look(bytes.upper, lambda data: data[::-1])
        self.assertFalse(relay.is_raw)
        self.send(self.client, b"abc")
        self.assertEqual(take(self.server), b"ABC")
        self.send(self.server, b"abc")
        self.assertEqual(take(self.client), b"cba")

    def test_a_cut_ends_both_sides_and_gives_everything_back(self):
        relay = self.relay()
        relay.cut("why")
        relay.cut("again")
        self.world.turn()
        self.assertEqual((end_of(self.client), end_of(self.server), self.ended), ("fin", "fin", ["why"]))


class Twins(RelayCase):
    def test_both_twins_move_the_same(self):
        for twin in twins("splice"):
            one, two = tcp_pair()
            three, four = tcp_pair()
            pipe = self.world.pipes.take()
            self.assertEqual(twin.pull(one.fileno(), pipe[1], 1000), -1)
            two.send(b"hello")
            self.world.turn()
            self.assertEqual(twin.pull(one.fileno(), pipe[1], 3), 3)
            self.assertEqual(twin.push(pipe[0], three.fileno(), 3), 3)
            self.assertEqual(take(four), b"hel")
            self.assertEqual(twin.pull(one.fileno(), pipe[1], 100), 2)
            two.close()
            self.world.pipes.give(pipe, False)
            pipe = self.world.pipes.take()
            self.assertEqual(twin.pull(one.fileno(), pipe[1], 100), 0)
            four.close()
            self.world.pipes.give(pipe, True)
            with self.assertRaises(OSError):
                twin.pull(pipe[0], 9999, 1)
            for sock in (one, three):
                sock.close()
