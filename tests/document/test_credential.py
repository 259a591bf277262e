"""``credential:NAME`` in place of a path: a file that systemd has given to the service."""

import os
import tempfile
from unittest import TestCase, mock

from meshd.document.context import Context
from meshd.document.decode import decode
from meshd.document.option import File, config, option
from meshd.document.tree import parse


@config
class Secret:
    "A file."
    file: str = option(File(exists=True), doc="a file")


class TestCredential(TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.path = os.path.join(self.folder, "users")
        with open(self.path, "w") as file:
            file.write("x")

    def decode(self, text, folder):
        """Return (path, [(code, message, hint)]) of a file written so, with this folder of credentials."""
        context = Context()
        change = {} if folder is None else {"CREDENTIALS_DIRECTORY": folder}
        with mock.patch.dict(os.environ, change):
            if folder is None:
                os.environ.pop("CREDENTIALS_DIRECTORY", None)
            found = decode(Secret, parse("f", f"file: '{text}'\n".encode(), context.faults), context)
        return found and found.file, [(one.code, one.message, one.hint) for one in context.faults.sorted()]

    def test_is_the_path_in_the_directory_of_credentials(self):
        self.assertEqual(self.decode("credential:users", self.folder), (self.path, []))

    def test_a_name_that_is_not_there_gets_the_nearest(self):
        self.assertEqual(self.decode("credential:user", self.folder), (
            None, [("MSH0110", "no credential 'user'", 'did you mean "users"?')]))

    def test_without_a_directory_it_is_said_what_sets_it(self):
        found, faults = self.decode("credential:users", None)
        self.assertIsNone(found)
        self.assertEqual(faults[0][:2], ("MSH0110", "no credential 'users': CREDENTIALS_DIRECTORY is not set"))
        self.assertIn("LoadCredential=", faults[0][2])

    def test_a_name_leads_nowhere_else(self):
        for name in ("../users", "/etc/passwd", "a/b", "", ".", ".."):
            found, faults = self.decode(f"credential:{name}", self.folder)
            self.assertIsNone(found)
            self.assertEqual(faults[0][:2], (
                "MSH0106", f"expected credential:NAME, a name without a slash, got {name!r}"))

    def test_a_file_that_is_called_so_can_be_named_from_its_folder(self):
        self.assertEqual(self.decode("./credential:users", self.folder)[1][0][0], "MSH0110")
