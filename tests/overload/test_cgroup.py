"""Which limits of memory hold for a process, in trees as the kernel shows them."""

import os
import tempfile
import unittest
from pathlib import Path

from meshd.overload import cgroup

MIB = 1024 * 1024


class GroupCase(unittest.TestCase):
    """``tell`` writes what /proc says; ``group`` makes a folder of a group with these files."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.mount = self.folder / "fs"
        self.proc = self.folder / "proc"
        self.proc.mkdir()

    def tell(self, groups, *mounts):
        (self.proc / "cgroup").write_text(groups)
        lines = [f"30 20 0:26 {root} {self.mount} rw,nosuid shared:4 - {kind}\n" for root, kind in mounts]
        (self.proc / "mountinfo").write_text("20 1 8:1 / / rw - ext4 /dev/sda rw\n" + "".join(lines))

    def group(self, path="", **files):
        folder = self.mount / path
        folder.mkdir(parents=True, exist_ok=True)
        for name, value in files.items():
            (folder / f"memory.{name}").write_text(f"{value}\n")

    def levels(self):
        return cgroup.levels(str(self.proc))

    def limits(self):
        return {os.path.relpath(level.folder, self.mount): level.limit_bytes() for level in self.levels()}


class Version2(GroupCase):
    def setUp(self):
        super().setUp()
        self.tell("0::/system.slice/meshd.service\n", ("/", "cgroup2 cgroup2 rw,nsdelegate"))

    def test_each_level_with_a_limit_counts(self):
        self.group("system.slice/meshd.service", max=100 * MIB, high="max", current=0)
        self.group("system.slice", max=900 * MIB, high=800 * MIB, current=0)
        self.group("")
        self.assertEqual(self.limits(), {"system.slice/meshd.service": 100 * MIB, "system.slice": 800 * MIB})

    def test_without_a_limit_there_is_none(self):
        self.group("system.slice/meshd.service", max="max", high="max", current=5)
        self.assertEqual(self.limits(), {})

    def test_a_limit_that_is_taken_away_is_none(self):
        self.group("system.slice/meshd.service", max=100 * MIB, high="max", current=5)
        level = self.levels()[0]
        self.group("system.slice/meshd.service", max="max")
        self.assertIsNone(level.limit_bytes())

    def test_caches_of_files_are_taken_off_near_the_limit(self):
        stat = "anon 7\nfile 90\ninactive_file 60\nactive_file 30\nslab 1"
        self.group("system.slice/meshd.service", max=100, high="max", current=97, stat=stat)
        level = self.levels()[0]
        self.assertEqual(level.used_bytes(88.0), 7)
        self.assertEqual(level.used_bytes(98.0), 97)

    def test_a_container_whose_group_is_the_root_of_its_view(self):
        self.tell("0::/\n", ("/", "cgroup2 cgroup rw"))
        self.group("", max=64 * MIB, high="max", current=0)
        self.assertEqual(self.limits(), {".": 64 * MIB})


class Version1(GroupCase):
    def test_the_memory_controllers_tree_is_read(self):
        self.tell("5:cpu,cpuacct:/a\n4:memory:/a/b\n", ("/", "cgroup cgroup rw,memory"))
        self.group("a/b", limit_in_bytes=100 * MIB, usage_in_bytes=99, stat="total_inactive_file 9\ninactive_file 1")
        self.group("a", limit_in_bytes=9223372036854771712, usage_in_bytes=9)
        self.group("", limit_in_bytes=9223372036854771712, usage_in_bytes=9)
        self.assertEqual(self.limits(), {"a/b": 100 * MIB})
        self.assertEqual(self.levels()[0].used_bytes(1.0), 90)

    def test_a_container_that_sees_its_own_group_as_the_mount(self):
        self.tell("4:memory:/docker/1234\n", ("/docker/1234", "cgroup cgroup rw,memory"))
        self.group("", limit_in_bytes=100 * MIB, usage_in_bytes=9)
        self.assertEqual(self.limits(), {".": 100 * MIB})


class Nothing(GroupCase):
    def test_no_proc(self):
        self.assertEqual(cgroup.levels(str(self.folder / "none")), [])

    def test_no_group_of_memory(self):
        self.tell("3:cpu:/\n", ("/", "cgroup cgroup rw,cpu"))
        self.assertEqual(self.levels(), [])

    def test_a_line_that_nobody_understands(self):
        self.tell("0::/\n")
        (self.proc / "mountinfo").write_text("what is this\n")
        self.assertEqual(self.levels(), [])

    def test_this_process_can_be_asked(self):
        for level in cgroup.levels():
            self.assertGreater(level.used_bytes(0.0), 0)
