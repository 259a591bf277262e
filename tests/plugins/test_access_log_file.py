"""The file under the access log: nothing lost that can be written, nothing held up when it cannot."""

import os
import stat
import tempfile
import threading
import unittest

from meshd.testing.exchange import FakeExchange
from meshd.testing.site import FakeSite
from meshd_plugins.access_log.config import AccessLog, Buffer
from meshd_plugins.access_log.file import LogFile

PATIENCE_S = 10.0


class Cell:
    """A count that can be waited for."""

    def __init__(self):
        self._value = 0
        self._changed = threading.Condition()

    @property
    def value(self):
        return self._value

    @value.setter
    def value(self, value):
        with self._changed:
            self._value = value
            self._changed.notify_all()

    def wait(self, at_least):
        with self._changed:
            return self._changed.wait_for(lambda: self._value >= at_least, PATIENCE_S)


class Counts:
    def __init__(self):
        self.overflow, self.lost, self.written, self.errors = Cell(), Cell(), Cell(), Cell()


class Log:
    def __init__(self):
        self.errors, self.infos = [], []

    def error(self, text, **values):
        self.errors.append(text.format(**values))

    def info(self, text, **values):
        self.infos.append(text.format(**values))


class FileTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "access.log")
        self.counts = Counts()
        self.log = Log()

    def open(self, path=None, flush_s=0.01):
        file = LogFile(path or self.path, self.counts, self.log)
        file.flush_s = flush_s
        file.begin()
        self.addCleanup(self.finish, file)
        return file

    def finish(self, file):
        """End the file if the test has not; it must not keep its thread."""
        file.end()
        self.assertTrue(file.join())

    def read(self, path=None):
        with open(path or self.path, "rb") as file:
            return file.read()

    def test_every_line_is_written_in_order(self):
        file = self.open()
        lines = [b"line %d\n" % number for number in range(20_000)]
        for line in lines:
            file.write(line)
        self.finish(file)
        self.assertEqual(self.read(), b"".join(lines))
        self.assertEqual((self.counts.written.value, self.counts.overflow.value), (20_000, 0))

    def test_a_single_line_is_written_within_the_flush_interval(self):
        file = self.open()
        for number in (1, 2, 3):
            file.write(b"a\n")
            self.assertTrue(self.counts.written.wait(number))
        self.assertEqual(self.read(), b"a\n" * 3)

    def test_the_file_is_appended_to_and_closed_to_others(self):
        with open(self.path, "wb") as file:
            file.write(b"before\n")
        os.remove(self.path)
        old = os.umask(0)
        self.addCleanup(os.umask, old)
        file = self.open()
        file.write(b"a\n")
        self.finish(file)
        again = self.open()
        again.write(b"b\n")
        self.finish(again)
        self.assertEqual(self.read(), b"a\nb\n")
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o640)

    def test_reopening_goes_on_in_a_new_file(self):
        file = self.open()
        file.write(b"old\n")
        self.assertTrue(self.counts.written.wait(1))
        os.rename(self.path, self.path + ".1")
        file.write(b"still old\n")
        file.reopen()
        self.assertTrue(self.counts.written.wait(2))
        self.finish(file)
        self.assertEqual(self.read(self.path + ".1"), b"old\nstill old\n")
        self.assertEqual(self.read(), b"")

    def test_the_last_user_ends_it_and_a_later_one_begins_it_again(self):
        file = self.open()
        file.begin()
        file.end()
        file.write(b"a\n")
        self.assertTrue(self.counts.written.wait(1))
        file.end()
        self.assertTrue(file.join())
        file.begin()
        file.write(b"b\n")
        self.assertTrue(self.counts.written.wait(2))

    def test_a_full_disk_counts_the_lines_and_is_logged_once(self):
        file = self.open("/dev/full")
        for number in (1, 2, 3):
            file.write(b"a\n")
            self.assertTrue(self.counts.lost.wait(number))
        cause = "access log /dev/full: No space left on device"
        self.assertEqual(self.log.errors, [f"{cause}: lines may be lost until it can be written"])
        self.assertEqual(self.counts.errors.value, 3)

    def test_a_folder_that_is_not_there_costs_lines_and_nothing_else(self):
        path = os.path.join(os.path.dirname(self.path), "none", "access.log")
        file = self.open(path)
        file.write(b"a\n")
        self.assertTrue(self.counts.lost.wait(1))
        os.mkdir(os.path.dirname(path))
        file.reopen()
        file.write(b"b\n")
        self.assertTrue(self.counts.lost.value + self.counts.written.value >= 1)
        self.finish(file)
        self.assertEqual(len(self.log.errors), 1)

    def test_a_pipe_that_nobody_opened_costs_lines_and_nothing_else(self):
        os.mkfifo(self.path)
        file = self.open()
        file.write(b"a\n")
        self.assertTrue(self.counts.lost.wait(1))
        self.finish(file)

    def test_a_reader_that_stalls_costs_no_line_until_the_bound_and_none_that_was_taken(self):
        os.mkfifo(self.path)
        reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        file = self.open()
        file.limit_bytes = 1 << 20
        line = b"x" * 1023 + b"\n"
        for _ in range(2000):  # 65 KiB fit into the pipe, 1 MiB waits, the rest is dropped
            file.write(line)
        self.assertTrue(self.counts.errors.wait(1))
        self.assertEqual(len(self.log.errors), 1)
        dropped = self.counts.overflow.value
        self.assertGreater(dropped, 800)
        os.set_blocking(reader, True)
        taken = b""
        while len(taken) < (2000 - dropped) * 1024:
            taken += os.read(reader, 1 << 20)
        self.assertEqual(taken, line * (2000 - dropped))
        self.assertTrue(self.counts.written.wait(2000 - dropped))
        self.assertEqual(self.counts.lost.value, 0)
        os.close(reader)

    def test_an_end_with_a_stalled_reader_keeps_its_deadline_and_counts_what_is_lost(self):
        os.mkfifo(self.path)
        reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        file = self.open()
        for _ in range(1000):
            file.write(b"x" * 1023 + b"\n")
        self.finish(file)
        self.assertEqual(self.counts.lost.value + self.counts.written.value, 1000)
        self.assertGreater(self.counts.lost.value, 900)

    def test_the_writer_side_takes_no_more_than_its_bound(self):
        file = LogFile(self.path, self.counts, self.log)  # no thread: nothing is ever taken
        file.limit_bytes = 100
        for _ in range(20):
            file.write(b"123456789\n")
        self.assertEqual(self.counts.overflow.value, 10)
        file.begin()
        self.finish(file)
        self.assertEqual(self.read(), b"123456789\n" * 10)

    def test_a_cut_line_is_ended_before_the_next_one(self):
        file = LogFile(self.path, self.counts, self.log)
        sizes = iter([4, OSError(28, "No space left on device"), 1, 2])

        def write_some(view):
            size = next(sizes)
            if isinstance(size, OSError):
                raise size
            written.append(bytes(view[:size]))
            return size

        written = []
        file._write_some = write_some
        self.assertEqual(file._put(b"a\nbcd\n"), (4, False))
        self.assertEqual(file._put(b"e\n"), (2, False))
        self.assertEqual(b"".join(written), b"a\nbc\ne\n")
        self.assertEqual(self.log.infos, [f"access log {self.path}: written again"])

    def test_standard_output_is_a_stream(self):
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        saved = os.dup(1)
        os.dup2(write, 1)
        os.close(write)
        try:
            file = self.open("stdout")
            file.write(b"x" * 9999 + b"\n")
            self.assertTrue(self.counts.written.wait(1))
            self.finish(file)
        finally:
            os.dup2(saved, 1)
            os.close(saved)
        taken = b""
        while len(taken) < 10_000:
            taken += os.read(read, 65536)
        self.assertEqual(taken, b"x" * 9999 + b"\n")


class SinkTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "access.log")
        self.site = FakeSite()

    def sink(self, site=None, **config):
        config = AccessLog(path=self.path, buffer=Buffer(flush_interval_s=0.01), **config)
        return (site or self.site).make("telemetry", "access_log", config)

    def test_building_opens_and_starts_nothing(self):
        before = threading.active_count()
        self.sink()
        self.assertFalse(os.path.exists(self.path))
        self.assertEqual(threading.active_count(), before)

    def test_two_sinks_of_a_path_share_one_file_and_one_thread(self):
        before = threading.active_count()
        sinks = [self.sink(format="first"), self.sink(format="second")]
        for sink in sinks:
            sink.start()
        self.assertEqual(threading.active_count(), before + 1)
        for sink in sinks:
            sink.on_complete(FakeExchange())
            sink.stop()
        self.assertTrue(sinks[1].file.join())
        with open(self.path, encoding="ascii") as file:
            self.assertEqual(file.read(), "first\nsecond\n")
        self.assertEqual(self.site.metrics.value("meshd_access_log_lines_total", self.path), 2)

    def test_the_next_runtime_writes_on_without_a_gap(self):
        old = self.sink()
        old.start()
        after = FakeSite(table=self.site.table)
        new = self.sink(after, format="%METHOD%")
        new.start()
        old.stop()
        self.site.release()
        self.assertIs(new.file, old.file)
        new.on_complete(FakeExchange())
        new.stop()
        self.assertTrue(new.file.join())
        with open(self.path, encoding="ascii") as file:
            self.assertEqual(file.read(), "GET\n")

    def test_the_signal_reopens_the_file(self):
        sink = self.sink(format="%METHOD%")
        sink.start()
        sink.on_complete(FakeExchange())
        os.rename(self.path, self.path + ".1") if os.path.exists(self.path) else None
        self.site.reopen()
        sink.stop()
        self.assertTrue(sink.file.join())
        self.assertTrue(os.path.exists(self.path))

    def test_dropped_lines_are_told_by_path_and_reason(self):
        self.sink(format="%METHOD%").file.limit_bytes = 1
        self.sink(format="%METHOD%").on_complete(FakeExchange())
        self.assertEqual(self.site.metrics.value("meshd_access_log_dropped_total", self.path, "overflow"), 1)
