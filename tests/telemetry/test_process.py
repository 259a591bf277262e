"""The process's own metrics."""

import os
import unittest

from meshd.telemetry import process
from meshd.telemetry.metrics import Metrics


class ProcessTest(unittest.TestCase):
    def setUp(self):
        self.metrics = Metrics()
        process.install(self.metrics, "1.2.3")

    def test_memory_is_in_bytes_and_resident_is_less_than_virtual(self):
        resident = self.metrics.value("process_resident_memory_bytes")
        self.assertGreater(resident, 5 << 20)
        self.assertLess(resident, self.metrics.value("process_virtual_memory_bytes"))

    def test_an_opened_file_is_counted(self):
        before = self.metrics.value("process_open_fds")
        descriptor = os.open("/dev/null", os.O_RDONLY)
        try:
            self.assertEqual(self.metrics.value("process_open_fds"), before + 1)
        finally:
            os.close(descriptor)
        self.assertGreater(self.metrics.value("process_max_fds"), before)

    def test_the_start_lies_in_the_past_of_the_files_that_this_test_makes(self):
        read, write = os.pipe()
        try:
            now = os.fstat(read).st_ctime
        finally:
            os.close(read)
            os.close(write)
        self.assertLessEqual(self.metrics.value("process_start_time_seconds"), now + 1)
        self.assertGreater(self.metrics.value("process_start_time_seconds"), now - 86400)

    def test_the_start_is_what_proc_stat_would_make_it(self):
        with open("/proc/stat") as file:
            boot = next(int(line.split()[1]) for line in file if line.startswith("btime"))
        with open("/proc/self/stat") as file:
            ticks = int(file.read().rpartition(")")[2].split()[19])
        expected = boot + ticks / os.sysconf("SC_CLK_TCK")
        self.assertAlmostEqual(self.metrics.value("process_start_time_seconds"), expected, delta=1.5)

    def test_cpu_seconds_never_go_back(self):
        before = self.metrics.value("process_cpu_seconds_total")
        sum(range(10000))
        self.assertGreaterEqual(self.metrics.value("process_cpu_seconds_total"), before)

    def test_build_and_collector_are_told(self):
        self.assertEqual(self.metrics.value("istio_build", "proxy", "1.2.3"), 1)
        self.assertIsNotNone(self.metrics.value("python_gc_collections_total", "2"))
