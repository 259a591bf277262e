"""Workers that are forked before they are told what to do."""

import ast
import os
import signal
import socket
import unittest

from meshd.host.warm import Warm, fork
from tests.integration.process import wait_for


def work(told):
    """Answer on the channel with what was told and what can be read from the shared memory's descriptor."""
    with socket.socket(fileno=told["channel"]) as channel:
        memory = os.pread(told["arena"], 100, 0)
        open_fds = sorted(int(name) for name in os.listdir("/proc/self/fd"))
        channel.sendall(repr((told["slot"], memory, len([fd for fd in open_fds if fd > 2]))).encode())
    return 7


def ended(warm):
    """Wait for the end of a process and return how it ended."""
    wait_for(lambda: warm.poll() is not None, "its end", 30)
    return warm.returncode


class ForkTest(unittest.TestCase):
    def setUp(self):
        self.arena = os.memfd_create("test")
        self.addCleanup(os.close, self.arena)
        os.write(self.arena, b"shared")

    def test_it_works_when_told_with_nothing_of_the_callers_but_what_it_is_handed(self):
        kept_open = os.open("/dev/null", os.O_RDONLY)
        self.addCleanup(os.close, kept_open)
        warm = Warm(*fork(work))
        self.assertIsNone(warm.poll())
        self.assertTrue(warm.tell({"slot": 3}, self.arena))
        said = warm.channel.recv(1000)
        warm.channel.close()
        slot, memory, count = ast.literal_eval(said.decode())
        self.assertEqual((slot, memory), (3, b"shared"))
        self.assertEqual(count, 3)  # the channel, the shared memory, and the listing of descriptors itself
        self.assertEqual(ended(warm), 7)

    def test_it_ends_where_nobody_is_left_to_tell_it(self):
        pid, ask, channel = fork(work)
        warm = Warm(pid, ask, channel)
        warm._ask.close()
        warm.channel.close()
        self.assertEqual(ended(warm), 0)

    def test_one_that_has_ended_cannot_be_told(self):
        warm = Warm(*fork(work))
        os.kill(warm.pid, signal.SIGKILL)
        self.assertEqual(ended(warm), -signal.SIGKILL)
        self.assertFalse(warm.tell({"slot": 1}, self.arena))

    def test_one_that_cannot_be_told_so_much_is_ended(self):
        warm = Warm(*fork(work))
        self.assertFalse(warm.tell({"slot": "x" * 4_000_000}, self.arena))
        self.assertEqual(warm.poll(), -signal.SIGKILL)
