"""The completion scripts, in the shells that they are for."""

import tempfile
from pathlib import Path

from click.shell_completion import BashComplete
from twisted.trial.unittest import SynchronousTestCase

from meshd.cli.ctl import VERBS, main, root
from meshd.cli.daemon import make_parser
from meshd.cli.share.completion import PROGRAMS, SHELLS
from tests.admin.fake import FakeDaemon
from tests.cli import shell
from tests.cli.console import run
from tests.cli.server import AdminServer
from tests.tree import ROOT

SHARE = ROOT / "contrib" / "share"
BASH = SHARE / "bash-completion" / "completions"
ZSH = SHARE / "zsh" / "site-functions"
FISH = SHARE / "fish" / "vendor_completions.d"


class Bash(SynchronousTestCase):
    def test_meshd_offers_each_of_its_options(self):
        options = {name for action in make_parser()._actions for name in action.option_strings}
        self.assertEqual(set(shell.bash(BASH / "meshd", "meshd", "")), options)

    def test_meshd_offers_the_options_that_begin_as_the_word_does(self):
        self.assertEqual(shell.bash(BASH / "meshd", "meshd", "--log"), ["--log-level", "--log-format"])

    def test_meshd_offers_the_words_of_an_option(self):
        for words in (("-o", ""), ("--output", ""), ("--output", "="), ("--output", "=", "")):
            found = shell.bash(BASH / "meshd", "meshd", *words)
            self.assertEqual(found, ["text", "json", "github", "sarif"], words)
        self.assertEqual(shell.bash(BASH / "meshd", "meshd", "--log-level", "=", "w"), ["warn"])

    def test_meshd_offers_files_for_c_also_with_a_space_in_the_name(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "my mesh.yaml")
            path.touch()
            self.assertEqual(shell.bash(BASH / "meshd", "meshd", "-c", f"{folder}/m"), [str(path)])

    def test_meshctl_offers_its_verbs_and_their_words(self):
        self.assertEqual(shell.bash(BASH / "meshctl", "meshctl", "sta"), ["status", "stats"])
        self.assertIn("endpoint", shell.bash(BASH / "meshctl", "meshctl", "proxy-config", "e"))
        self.assertEqual(shell.bash(BASH / "meshctl", "meshctl", "completion", "b"), ["bash"])

    def test_meshctl_offers_the_names_of_the_daemon(self):
        server = AdminServer(FakeDaemon())
        self.addCleanup(server.close)
        found = shell.bash(BASH / "meshctl", "meshctl", "pc", "cluster", "", MESHD_ADMIN=server.address)
        self.assertEqual(found, ["users"])


class Fish(SynchronousTestCase):
    def test_meshd_offers_options_and_their_words(self):
        self.assertEqual(shell.fish(FISH / "meshd.fish", "meshd --log-f"), ["--log-format"])
        self.assertEqual(set(shell.fish(FISH / "meshd.fish", "meshd -o ")), {"text", "json", "github", "sarif"})

    def test_meshd_does_not_offer_what_an_option_excludes(self):
        self.assertEqual(shell.fish(FISH / "meshd.fish", "meshd --sch"), ["--schema"])
        self.assertEqual(shell.fish(FISH / "meshd.fish", "meshd -t --sch"), [])

    def test_meshctl_offers_its_verbs(self):
        self.assertEqual(set(shell.fish(FISH / "meshctl.fish", "meshctl sta")), {"status", "stats"})

    def test_meshctl_describes_a_verb_to_the_end(self):
        found = shell.fish(FISH / "meshctl.fish", "meshctl cert", has_descriptions=True)
        self.assertEqual(found, ["certs\tCertificates in use, and when they expire."])


class Zsh(SynchronousTestCase):
    def setUp(self):
        self.shell = shell.Zsh(ZSH)
        self.addCleanup(self.shell.close)

    def test_meshd_offers_options_and_their_words(self):
        pairs = (("meshd --print-c\t", "--print-config "), ("--out\tg\t", "github "), ("--color n\t", "never "))
        for typed, shown in pairs:
            self.shell.type(typed)
            self.shell.wait_for(shown)

    def test_meshctl_offers_its_verbs_each_time(self):
        for typed, shown in (("meshctl compl\t", "completion "), ("ba\t", "bash "), ("meshd\t", "meshd ")):
            self.shell.type(typed)
            self.shell.wait_for(shown)


class Names(SynchronousTestCase):
    def offered(self, *words):
        """Return what is offered for an empty word after ``words``."""
        complete = BashComplete(root, {}, "meshctl", "_MESHCTL_COMPLETE")
        return [one.value for one in complete.get_completions(list(words), "")]

    def test_clusters_and_listeners_are_those_of_the_daemon_that_was_named(self):
        server = AdminServer(FakeDaemon())
        self.addCleanup(server.close)
        before = ("--admin", server.address, "pc")
        self.assertEqual(self.offered(*before, "cluster"), ["users"])
        self.assertEqual(self.offered(*before, "endpoint", "--cluster"), ["users"])
        self.assertEqual(self.offered(*before, "route"), ["public"])
        self.assertEqual(self.offered("pc", "listener", "--admin", server.address), ["public"])

    def test_nothing_is_offered_where_no_daemon_answers(self):
        self.assertEqual(self.offered("--admin", "unix:/nonexistent/meshd.sock", "pc", "cluster"), [])
        self.assertEqual(self.offered("--admin", "nonsense", "pc", "cluster"), [])


class Verb(SynchronousTestCase):
    def test_prints_the_script_of_each_shell_for_both_programs(self):
        for name in SHELLS:
            for program in PROGRAMS:
                code, out, err = run(main, "completion", name, program)
                self.assertEqual((code, err), (0, ""))
                self.assertIn(program, out)
            self.assertEqual(run(main, "completion", name)[1], run(main, "completion", name, "meshctl")[1])

    def test_the_verbs_offered_without_a_word_are_all(self):
        self.assertLessEqual(set(VERBS), set(Names.offered(self)))
