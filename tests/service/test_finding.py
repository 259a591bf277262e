"""Findings on a configuration that runs: the log gets a few lines."""

from unittest import TestCase

from meshd.document.fault import Fault
from meshd.document.mark import Mark
from meshd.service.finding import log_findings


class Lines:
    def __init__(self):
        self.lines = []

    def warn(self, form, **fields):
        self.lines.append(form.format(**fields))


def logged(*severities):
    log = Lines()
    log_findings(log, tuple(Fault("MSH0401", one, f"m{n}", Mark("a", n, 1), is_analysis=True)
                            for n, one in enumerate(severities)))
    return log.lines


class FindingTest(TestCase):
    def test_information_makes_no_noise(self):
        self.assertEqual(logged("info", "info"), [])

    def test_errors_come_first_and_each_has_a_line(self):
        self.assertEqual(logged("warning", "info", "error"),
                         ["configuration: a:2:1: m2 [MSH0401]", "configuration: a: m0 [MSH0401]"])

    def test_what_is_too_much_is_counted(self):
        found = logged(*["warning"] * 25)
        self.assertEqual((len(found), found[-1]),
                         (21, "configuration: 5 more findings: expected to be read with: meshd --check"))
