"""When documents were first seen: kept on disk, so that edits do not make them younger."""

import json
import os
import tempfile
from pathlib import Path
from unittest import TestCase

from meshd.config.age import NAME, Ages, ages_of


class AgesTest(TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.file = self.folder / "a.yaml"
        self.at(1_000_000_000)

    def at(self, seconds):
        """Write the document at a time."""
        self.file.write_text("x")
        os.utime(self.file, (seconds, seconds))

    def look(self, key="a"):
        """Return what a daemon that reads now finds, and let it be kept."""
        ages = Ages(str(self.folder))
        found = ages.first_seen(key, str(self.file))
        ages.keep()
        return found

    def test_the_first_time_is_the_files(self):
        self.assertEqual(self.look(), "2001-09-09T01:46:40+00:00")

    def test_an_edit_does_not_make_it_younger(self):
        first = self.look()
        self.at(1_500_000_000)
        self.assertEqual(self.look(), first)

    def test_what_is_gone_is_forgotten(self):
        first = self.look()
        self.look("another")
        self.assertEqual(list(json.loads((self.folder / NAME).read_text())), ["another"])
        self.at(1_500_000_000)
        self.assertNotEqual(self.look(), first)

    def test_without_a_folder_nothing_has_an_age(self):
        ages = ages_of({})
        self.assertEqual(ages.first_seen("a", str(self.file)), "")
        ages.keep()

    def test_the_folder_is_systemds(self):
        self.assertEqual(ages_of({"STATE_DIRECTORY": f"{self.folder}:/other"}).first_seen("a", str(self.file)),
                         "2001-09-09T01:46:40+00:00")

    def test_a_broken_file_is_begun_anew(self):
        for text in ("{", "[1]", '{"a": 5}', ""):
            (self.folder / NAME).write_text(text)
            self.assertEqual(self.look(), "2001-09-09T01:46:40+00:00")

    def test_a_folder_that_cannot_be_written_is_no_reason_to_fail(self):
        ages = Ages(str(self.folder / "missing"))
        self.assertEqual(ages.first_seen("a", str(self.file)), "2001-09-09T01:46:40+00:00")
        ages.keep()
