"""Findings and faults of one run: bounded, each kind for itself."""

from unittest import TestCase

from meshd.document.fault import MAXIMUM, Fault, Faults, Related
from meshd.document.mark import Mark


def many(count, **more):
    faults = Faults()
    for number in range(count):
        faults.add("MSH0405", Mark("a", number + 1, 1), "m", **more)
    return faults


class TestFaults(TestCase):
    def test_findings_never_keep_a_configuration_from_loading_however_many(self):
        for more in ({"severity": "info"}, {"severity": "warning"}, {"is_analysis": True}):
            faults = many(MAXIMUM + 5, **more)
            self.assertEqual(faults.errors(), 0)
            self.assertEqual(faults.sorted()[-1].message, "5 more findings are not shown")
            self.assertFalse(faults.sorted()[-1].is_blocking)

    def test_findings_never_hide_an_error(self):
        faults = many(MAXIMUM + 5, severity="info")
        faults.add("MSH0104", Mark("b", 1, 1), "unknown")
        self.assertIn("MSH0104", [one.code for one in faults.sorted()])
        self.assertEqual(faults.errors(), 1)

    def test_errors_that_are_not_shown_still_count(self):
        faults = many(MAXIMUM + 5)
        self.assertEqual((faults.errors(), faults.is_full), (MAXIMUM + 5, True))
        self.assertTrue(faults.sorted()[-1].is_blocking)

    def test_severities_are_ordered(self):
        found = [one for one in ("info", "warning", "error") if Fault("A", "warning", "m", Mark("a")).is_at_least(one)]
        self.assertEqual(found, ["info", "warning"])

    def test_other_places_hold_nothing_that_a_terminal_obeys(self):
        faults = Faults()
        faults.add("A", Mark("a"), "m", related=(Related(Mark("b\x1b"), "\x1b[2J"),), help="\x1b")
        found = faults.sorted()[0]
        self.assertTrue(found.help.isprintable() and found.related[0].text.isprintable()
                        and found.related[0].mark.file.isprintable())
