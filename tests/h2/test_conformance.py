"""The conformance cases (RFC 9113, RFC 7541, RFC 8441), on both engines in memory."""

from unittest import TestCase

from tests.h2.case import Stream
from tests.h2.cases import SERVER
from tests.h2.cases.client import CASES as CLIENT
from tests.h2.client_runner import play
from tests.h2.runner import MemoryTalk, run
from tests.tree import ROOT

GO_ON = (
    "5.1.2 more streams than announced", "5.4.2 a stream error leaves other streams alone",
    "8.1.1 a request after a malformed one",
    "RFC 7541 2.2 a malformed request changes the table all the same",
)
ENGINES = ("fast", "pure")


class ServerTest(TestCase):
    """A server of ours does as each case says."""

    def test_there_are_enough_cases_with_names_of_their_own(self):
        self.assertGreaterEqual(len({case.id for case in SERVER}), 140)
        self.assertEqual(len({case.id for case in SERVER}), len(SERVER))

    def test_every_case(self):
        for engine in ENGINES:
            for case in SERVER:
                with self.subTest(case.id, engine=engine):
                    talk = MemoryTalk(engine)
                    self.assertEqual(run(case, talk), "")
                    if isinstance(case.expect, Stream) and case.expect.is_strict or case.id in GO_ON:
                        self.assertFalse(talk.session.is_closed, "a stream error, not a connection error")


class ClientTest(TestCase):
    """A client of ours does as each case says; its peer is a script."""

    def test_every_case(self):
        for engine in ENGINES:
            for case in CLIENT:
                with self.subTest(case.id, engine=engine):
                    self.assertEqual(play(case, engine), "")


class PageTest(TestCase):
    """docs/h2-conformance.md is of these cases."""

    def test_it_has_every_case_with_both_engines_passed(self):
        text = (ROOT / "docs" / "h2-conformance.md").read_text()
        missing = [case.id for case in (*SERVER, *CLIENT)
                   if f"| {case.section} | {case.name} | + | + | + |" not in text]
        self.assertEqual(missing, [], "python -m tests.h2.verdicts > docs/h2-conformance.md")
