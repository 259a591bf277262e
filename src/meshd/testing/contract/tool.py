"""What plugins for people must keep to: admin pages and verbs of meshctl."""

import click
from click.testing import CliRunner

from meshd.testing.contract.kind import KindContract

METHODS = {"GET", "POST", "PUT", "DELETE"}


class AdminPageContract(KindContract):
    """For ``admin_page``: no query makes it raise; what changes something is not a GET."""

    kind = "admin_page"
    queries: tuple = ({}, {"": [""]}, {"format": ["json"]}, {"format": ["\udcff"]}, {"name": ["a", "b"]})

    def test_stands_at_an_absolute_path(self):
        path = self.make().path
        self.assertRegex(path, r"/[A-Za-z0-9_./-]+")
        self.assertNotIn("..", path)

    def test_names_its_methods(self):
        methods = set(self.make().methods)
        self.assertTrue(methods and methods <= METHODS, f"got {methods!r}")

    def test_answers_status_type_and_bytes(self):
        page = self.make()
        for query in self.queries:
            with self.subTest(query):
                status, content_type, body = page.render(query)
                self.assertIn(status, range(200, 600))
                self.assertIsInstance(content_type, (str, bytes))
                self.assertIsInstance(body, bytes)


class CtlVerbContract(KindContract):
    """For ``meshctl_verb``: a click command with name and help; a wrong option is a usage fault, not a traceback."""

    kind = "meshctl_verb"

    def test_is_a_command_with_name_and_help(self):
        command = self.make().command()
        self.assertIsInstance(command, click.Command)
        self.assertTrue(command.name)
        self.assertTrue(command.help or command.short_help)

    def test_prints_its_help(self):
        self.assertEqual(CliRunner().invoke(self.make().command(), ["--help"]).exit_code, 0)

    def test_refuses_a_wrong_option(self):
        self.assertEqual(CliRunner().invoke(self.make().command(), ["--no-such-option"]).exit_code, 2)
