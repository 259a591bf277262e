"""The conformance cases (RFC 9113, RFC 7541, RFC 8441), on both engines in memory."""

from unittest import TestCase

from tests.h2.case import Stream
from tests.h2.cases import SERVER
from tests.h2.runner import MemoryTalk, run

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
                    if isinstance(case.expect, Stream) and case.expect.is_strict:
                        self.assertFalse(talk.session.is_closed, "a stream error, not a connection error")
