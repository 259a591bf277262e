"""What is made of pip's words without running it: other sources than an index, other refusals, lock lines."""

import hashlib
import os
import tempfile
from pathlib import Path
from unittest import TestCase

import click

from meshd.cli.plugin.installed import Installed
from meshd.cli.plugin.lock import Lock
from meshd.cli.plugin.plan import Item, Plan, clashes

HASH = "0" * 64


def row(name, version, *, is_direct=False, **source):
    """Return a distribution as pip's installation report (version 1) has it."""
    return {"metadata": {"name": name, "version": version}, "download_info": source, "is_direct": is_direct}


def archive(url):
    return {"url": url, "archive_info": {"hashes": {"sha256": HASH}}}


def plan(*rows):
    return Plan.of_report({"version": "1", "install": list(rows)}, Installed())


class ReportTest(TestCase):
    def line(self, one):
        (item,) = plan(one).items
        return item.line

    def test_a_file_of_an_index_is_named_by_version_and_hash(self):
        one = row("Meshd_Hello", "1.0", **archive("https://files.test/meshd_hello-1.0-py3-none-any.whl"))
        self.assertEqual(self.line(one), f"meshd-hello==1.0 --hash=sha256:{HASH}")

    def test_a_file_at_an_address_is_named_by_that(self):
        one = row("meshd-hello", "1.0", is_direct=True, **archive("https://files.test/a.whl"))
        self.assertEqual(self.line(one), f"meshd-hello @ https://files.test/a.whl --hash=sha256:{HASH}")

    def test_a_repository_is_named_by_its_commit_and_folder(self):
        one = row("meshd-hello", "1.0", is_direct=True, url="https://git.test/a.git", subdirectory="plugins/hello",
                  vcs_info={"vcs": "git", "commit_id": "c0ffee", "requested_revision": "main"})
        self.assertEqual(self.line(one), "meshd-hello @ git+https://git.test/a.git@c0ffee#subdirectory=plugins/hello")

    def test_an_older_pip_has_one_hash_in_other_words(self):
        one = row("meshd-hello", "1.0", url="https://files.test/a.whl", archive_info={"hash": f"sha256={HASH}"})
        self.assertEqual(self.line(one), f"meshd-hello==1.0 --hash=sha256:{HASH}")

    def test_a_file_of_this_host_gets_its_hash_though_pip_says_none(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        path = Path(folder, "with space+1.0.whl")
        path.write_bytes(b"wheel")
        one = row("meshd-hello", "1.0", url=path.as_uri(), archive_info={})
        self.assertEqual(self.line(one), f"meshd-hello==1.0 --hash=sha256:{hashlib.sha256(b'wheel').hexdigest()}")

    def test_a_folder_has_no_hash(self):
        one = row("meshd-hello", "1.0", is_direct=True, url="file:///src/hello", dir_info={})
        self.assertEqual(self.line(one), "meshd-hello @ file:///src/hello")

    def test_says_in_a_word_what_happens(self):
        words = [Item(name="a", version=new, previous=old).change for old, new in
                 ((None, "1"), ("1", "1"), ("1.9", "1.10"), ("1.10", "1.9"), ("one", "two"))]
        self.assertEqual(words, ["new", "reinstall", "upgrade", "downgrade", "change"])


class ClashTest(TestCase):
    def test_no_release_of_meshd_that_fits(self):
        text = ("ERROR: Could not find a version that satisfies the requirement meshd>=99 (from meshd-next) "
                "(from versions: none)")
        self.assertEqual(clashes(text), ["meshd-next requires meshd>=99"])

    def test_each_is_said_once_and_other_things_are_left_out(self):
        text = ("    meshd-a 1.0 depends on meshd\n" + "    meshd-a 1.0 depends on meshd<0.1\n" * 2 +
                "    meshd-b 1.0 depends on requests>=9\n    The user requested (constraint) meshd==0.1.0\n")
        self.assertEqual(clashes(text), ["meshd-a 1.0 requires meshd<0.1"])

    def test_what_has_nothing_to_do_with_meshd_is_none(self):
        self.assertEqual(clashes("    a 1.0 depends on b>2\n    The user requested b<2\nERROR: (from)"), [])


class LockTest(TestCase):
    def setUp(self):
        handle, self.path = tempfile.mkstemp()
        os.close(handle)
        self.addCleanup(os.unlink, self.path)

    def lock(self, text):
        with open(self.path, "w") as file:
            file.write(text)
        return Lock(self.path)

    def test_reads_what_it_and_what_people_write(self):
        text = f"# a comment\n\nMeshd_B==1.0 \\\n    --hash=sha256:{HASH} \\\n    --hash=sha256:{HASH[1:]}1\n" \
               f"meshd-a @ https://files.test/a.whl --hash=sha256:{HASH}  # why\n"
        self.assertEqual(self.lock(text).lines, {
            "meshd-b": f"Meshd_B==1.0 --hash=sha256:{HASH} --hash=sha256:{HASH[1:]}1",
            "meshd-a": f"meshd-a @ https://files.test/a.whl --hash=sha256:{HASH}"})

    def test_refuses_what_is_no_requirement(self):
        for text in ("--index-url https://a.test\n", "a b c\n", "\0\n"):
            with self.assertRaisesRegex(click.ClickException, "expected NAME==VERSION --hash"):
                self.lock(text)

    def test_forgets_what_is_not_installed_any_more(self):
        lock = self.lock(f"meshd-gone==1.0 --hash=sha256:{HASH}\n")
        lock.update(Plan(()), Installed())
        self.assertEqual(lock.lines, {})
        self.assertEqual(Lock(self.path).lines, {})
