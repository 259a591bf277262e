"""``meshd.host.notify``: what systemd is told, and that telling it never costs anything."""

import os
import socket
import subprocess
import sys
import time
from unittest import TestCase

from meshd.host.notify import MAX_STATUS_CHARACTERS, MAX_WAITING, Notify
from tests.host.peer import Systemd


class NotifyCase(TestCase):
    """Gives ``systemd`` and a ``notify`` that speaks to it."""

    def setUp(self):
        self.systemd = Systemd()
        self.addCleanup(self.systemd.close)
        self.notify = Notify(self.systemd.address)
        self.addCleanup(self.notify.close)

    def told(self):
        """Return the last message."""
        return self.systemd.read()[-1]


class TestMessages(NotifyCase):
    def test_readiness_and_status_go_in_one_message(self):
        self.assertTrue(self.notify.ready("2 listeners"))
        self.assertEqual(self.told(), {"READY": "1", "STATUS": "2 listeners"})

    def test_a_reload_carries_the_monotonic_time_in_the_same_message(self):
        before = time.monotonic_ns() // 1000
        self.notify.reloading()
        told = self.told()
        self.assertEqual(told["RELOADING"], "1")
        self.assertTrue(before <= int(told["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000)

    def test_the_other_messages(self):
        for act, expected in (
            (self.notify.watchdog, {"WATCHDOG": "1"}),
            (lambda: self.notify.stopping("bye"), {"STOPPING": "1", "STATUS": "bye"}),
            (lambda: self.notify.extend(1.5), {"EXTEND_TIMEOUT_USEC": "1500000"}),
            (lambda: self.notify.main_pid(77), {"MAINPID": "77"}),
            (lambda: self.notify.status("well"), {"STATUS": "well"}),
        ):
            self.assertTrue(act())
            self.assertEqual(self.told(), expected)

    def test_an_abstract_socket_is_reached_too(self):
        systemd = Systemd(abstract=True)
        self.addCleanup(systemd.close)
        notify = Notify(systemd.address)
        self.addCleanup(notify.close)
        self.assertTrue(notify.ready())
        self.assertEqual(systemd.read(), [{"READY": "1"}])

    def test_a_status_is_one_printable_line_of_a_bounded_length(self):
        self.notify.status("a\nREADY=1\x1b[31m\x00" + "x" * 5000)
        told = self.told()
        self.assertEqual(set(told), {"STATUS"})
        self.assertTrue(told["STATUS"].startswith("a READY=1 [31m xxx"))
        self.assertEqual(len(told["STATUS"]), MAX_STATUS_CHARACTERS)

    def test_a_status_of_odd_characters_is_sent_all_the_same(self):
        self.assertTrue(self.notify.status("caf\u00e9 \udcff"))
        self.assertEqual(self.told()["STATUS"], "caf\u00e9  ")

    def test_a_stored_socket_arrives_and_is_forgotten_by_its_name(self):
        sock = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(sock.close)
        self.notify.store("one", sock)
        self.systemd.read()
        self.assertEqual(self.systemd.stored["one"].getsockname(), sock.getsockname())
        self.notify.forget("one")
        self.systemd.read()
        self.assertEqual(self.systemd.stored, {})


class TestHaste(NotifyCase):
    def fill(self):
        """Send until the kernel takes no more, not even from a sender whose own buffer is empty."""
        while self.pour():
            pass

    def pour(self):
        """Send from a new socket until the kernel takes no more; return how many it took."""
        count = 0
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as other:
            while True:
                try:
                    other.sendto(b"STATUS=noise", self.systemd.address)
                except BlockingIOError:
                    return count
                count += 1

    def test_what_systemd_is_too_busy_for_goes_out_later_in_order(self):
        self.fill()
        sock = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(sock.close)
        self.assertFalse(self.notify.store("one", sock))
        self.assertFalse(self.notify.ready("now"))
        self.assertTrue(self.notify.is_waiting)
        self.systemd.read()
        self.assertTrue(self.notify.flush())
        self.assertFalse(self.notify.is_waiting)
        self.systemd.read()
        self.assertEqual([set(one) for one in self.systemd.seen[-2:]], [{"FDSTORE", "FDNAME"}, {"READY", "STATUS"}])
        self.assertIn("one", self.systemd.stored)

    def test_pings_and_status_texts_do_not_wait(self):
        self.fill()
        self.assertFalse(self.notify.watchdog())
        self.assertFalse(self.notify.status("late"))
        self.assertFalse(self.notify.is_waiting)

    def test_what_waits_is_bounded(self):
        self.fill()
        for _ in range(MAX_WAITING + 10):
            self.notify.forget("x")
        self.assertEqual(len(self.notify._waiting), MAX_WAITING)

    def test_a_socket_that_was_closed_while_it_waited_is_passed_over(self):
        self.fill()
        sock = socket.create_server(("127.0.0.1", 0))
        self.notify.store("one", sock)
        sock.close()
        self.systemd.read()
        self.assertTrue(self.notify.ready())
        self.assertEqual(self.told(), {"READY": "1"})

    def test_a_service_manager_that_is_gone_costs_nothing(self):
        self.systemd.close()
        self.notify.ready()
        self.assertFalse(self.notify.is_waiting)


class TestEnvironment(TestCase):
    def test_nothing_is_said_without_a_socket(self):
        notify = Notify.take({})
        sock = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(sock.close)
        self.assertFalse(notify.is_on)
        for act in (notify.ready, notify.reloading, notify.stopping, notify.watchdog, notify.flush, notify.close,
                    lambda: notify.status("x"), lambda: notify.extend(1), lambda: notify.main_pid(1),
                    lambda: notify.store("x", sock), lambda: notify.forget("x")):
            act()
        self.assertFalse(notify.is_waiting)
        self.assertEqual(notify.environment(), {})

    def test_the_variables_are_taken_out_and_others_left(self):
        environment = {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "7", "HOME": "/"}
        notify = Notify.take(environment, pid=7)
        self.addCleanup(notify.close)
        self.assertEqual(environment, {"HOME": "/"})
        self.assertEqual(notify.watchdog_s, 3.0)
        self.assertEqual(notify.environment(), {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "3000000"})

    def test_the_watchdog_of_another_process_and_odd_numbers_are_none(self):
        for more in ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "8"}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "-3"},
                     {"WATCHDOG_USEC": "9" * 40}, {"WATCHDOG_USEC": "\u0663"}, {}):
            notify = Notify.take({"NOTIFY_SOCKET": "/nowhere", **more}, pid=7)
            self.addCleanup(notify.close)
            self.assertEqual(notify.watchdog_s, 0.0, more)

    def test_a_socket_of_another_kind_is_passed_over(self):
        for address in ("vsock:2:1234", "relative", ""):
            self.assertFalse(Notify.take({"NOTIFY_SOCKET": address}).is_on, address)

    def test_a_path_that_is_too_long_costs_nothing(self):
        notify = Notify("/" + "x" * 300)
        self.addCleanup(notify.close)
        notify.ready()
        self.assertFalse(notify.is_waiting)

    def test_children_do_not_get_the_socket(self):
        systemd = Systemd()
        self.addCleanup(systemd.close)
        notify = Notify(systemd.address)
        self.addCleanup(notify.close)
        code = f"import os; print(os.path.exists('/proc/self/fd/{notify._socket.fileno()}'))"
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, close_fds=False,
                             env=dict(os.environ), timeout=60)
        self.assertEqual(run.stdout.strip(), "False")
