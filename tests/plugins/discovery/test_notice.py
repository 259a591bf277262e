"""Changes in folders are noticed by the kernel's word, with a reactor of the test's own."""

import os
import tempfile
import unittest

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.task import Clock

from meshd_plugins.discovery.notice import Notice


class Noticing(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.reactor = EPollReactor()
        self.addCleanup(self.close)
        self.seen = 0
        self.notice = Notice(self.reactor)
        self.notice.start(self.wake)
        self.addCleanup(self.notice.stop)

    def close(self):
        self.reactor.iterate(0)
        for reader in self.reactor.removeAll():
            reader.connectionLost(None)
        self.reactor._poller.close()

    def wake(self):
        self.seen += 1

    def put(self, name):
        path = os.path.join(self.folder.name, name)
        with open(path + ".new", "w") as file:
            file.write("x")
        os.replace(path + ".new", path)

    def test_a_renamed_file_is_noticed_without_a_timer(self):
        self.assertEqual(self.notice.follow({self.folder.name}), (True, True))
        self.assertEqual(self.notice.follow({self.folder.name}), (True, False))
        self.reactor.iterate(0)
        self.assertEqual(self.seen, 0)
        self.put("a")
        self.reactor.iterate(5)
        self.assertGreater(self.seen, 0)

    def test_a_folder_that_goes_is_noticed_and_found_again_when_it_comes_back(self):
        inner = os.path.join(self.folder.name, "inner")
        os.mkdir(inner)
        self.notice.follow({inner})
        os.rmdir(inner)
        self.reactor.iterate(5)
        self.assertGreater(self.seen, 0)
        self.assertEqual(self.notice.follow({inner}), (False, False))
        os.mkdir(inner)
        self.assertEqual(self.notice.follow({inner}), (True, True))

    def test_nothing_is_noticed_after_the_end(self):
        self.notice.follow({self.folder.name})
        self.notice.stop()
        self.put("a")
        self.reactor.iterate(0)
        self.assertEqual(self.seen, 0)

    def test_a_reactor_without_descriptors_cannot(self):
        notice = Notice(Clock())
        notice.start(self.wake)
        self.assertEqual(notice.follow({self.folder.name}), (False, False))
