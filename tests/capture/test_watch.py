"""Who watches for a confirmation, over its socket."""

import socket
import threading
import time
from unittest import TestCase, mock

from meshd.capture import watch


class TestWatch(TestCase):
    def setUp(self):
        name = mock.patch.object(watch, "NAME", f"\0meshd/test/{id(self)}/{time.monotonic_ns()}")
        name.start()
        self.addCleanup(name.stop)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(self.sock.close)
        self.sock.bind(watch.NAME)
        self.sock.listen()
        self.outcome = []

    def wait(self, seconds):
        deadline = time.monotonic() + seconds
        thread = threading.Thread(target=lambda: self.outcome.append(watch.wait(self.sock, deadline)), daemon=True)
        thread.start()
        return thread

    def test_a_confirmation_ends_it(self):
        thread = self.wait(30)
        self.assertGreater(watch.ask("left"), 20)
        self.assertEqual(self.outcome, [])
        self.assertGreater(watch.ask("confirm"), 20)
        thread.join(5)
        self.assertEqual(self.outcome, [True])

    def test_the_deadline_ends_it(self):
        self.wait(0.01).join(5)
        self.assertEqual(self.outcome, [False])

    def test_a_stranger_cannot_confirm(self):
        with mock.patch.object(watch, "peer", lambda sock: 65534):
            thread = self.wait(0.3)
            self.assertIsNone(watch.ask("confirm"))
            thread.join(5)
        self.assertEqual(self.outcome, [False])

    def test_nobody_watches(self):
        self.sock.close()
        self.assertIsNone(watch.ask("left"))
