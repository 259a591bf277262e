"""What the C library does with free memory."""

import subprocess
import sys
from unittest import TestCase

from tests.tree import ROOT

PROGRAM = """
import ctypes, os, sys
from meshd.overload import heap
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
if sys.argv[1] == "keep":
    assert heap.keep()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
size = 1 << 20
before = resident()
blocks = [libc.malloc(size) for _ in range(3)]
for block in blocks:
    ctypes.memset(ctypes.c_void_p(block), 1, size)
for block in blocks:
    libc.free(block)
kept = resident() - before
assert heap.shrink()
print(kept // size, (resident() - before) // size)
"""


class TestHeap(TestCase):
    def kept(self, what):
        """Return how many whole MiB of 3 that were freed stay, and how many after ``shrink``."""
        run = subprocess.run(
            [sys.executable, "-c", PROGRAM, what], capture_output=True, text=True, cwd=ROOT, check=True)
        return tuple(map(int, run.stdout.split()))

    def setUp(self):
        if not hasattr(__import__("ctypes").CDLL(None), "mallopt"):
            self.skipTest("the C library has no mallopt")

    def test_keeps_the_buffers_of_large_bodies_for_the_next_ones(self):
        self.assertGreaterEqual(self.kept("keep")[0], 2)

    def test_gives_them_back_when_it_is_told(self):
        self.assertLessEqual(self.kept("keep")[1], 0)

    def test_would_keep_none_by_itself(self):
        self.assertLessEqual(self.kept("not")[0], 0)
