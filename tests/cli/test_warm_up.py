"""What workers are forked off: a process that has one thread, and nothing of what it has read."""

import threading
import unittest
import weakref

from meshd.cli import run
from meshd.cli.check import Checked
from tests.tree import ROOT


class WarmUpTest(unittest.TestCase):
    def test_none_is_forked_where_a_thread_runs(self):
        ended = threading.Event()
        thread = threading.Thread(target=ended.wait)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(ended.set)
        self.assertEqual(run._warm_up(2), [])

    def test_what_was_read_is_freed_when_it_is_forgotten(self):
        checked = Checked([str(ROOT / "etc" / "meshd.yaml")], builds=False)
        snapshot = weakref.ref(checked.loaded.snapshot)
        self.assertIsNotNone(snapshot())
        checked.forget()
        self.assertIsNone(snapshot())
