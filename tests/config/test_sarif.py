"""SARIF 2.1.0: what its readers need is there, at the right places."""

import json
from unittest import TestCase

from meshd.config.render import Outcome
from meshd.config.sarif import render_sarif
from meshd.document.fault import Fault, Related
from meshd.document.mark import Mark, make_mark

LINES = ["a: 1", "  b: [c, d]"]
RESULT = {"ruleId": str, "ruleIndex": int, "level": str, "message": dict, "locations": list, "properties": dict}


def run_of(*faults):
    """Return the only run of the log of these faults."""
    log = json.loads(render_sarif(Outcome(faults=faults, files=1, duration_s=0.0)))
    assert (log["version"], len(log["runs"])) == ("2.1.0", 1)
    return log["runs"][0]


class TestSarif(TestCase):
    def test_has_the_essential_shape(self):
        run = run_of(Fault("MSH0104", "error", "unknown", Mark("a b.yaml")),
                     Fault("MSH0118", "warning", "w", Mark("b")))
        driver = run["tool"]["driver"]
        self.assertEqual((driver["name"], [rule["id"] for rule in driver["rules"]]), ("meshd", ["MSH0104", "MSH0118"]))
        for rule in driver["rules"]:
            self.assertTrue(rule["shortDescription"]["text"])
            self.assertIn(rule["defaultConfiguration"]["level"], ("error", "warning", "note"))
        for number, result in enumerate(run["results"]):
            for key, kind in RESULT.items():
                self.assertIsInstance(result[key], kind, key)
            self.assertTrue(result["message"]["text"])
            self.assertEqual(driver["rules"][result["ruleIndex"]]["id"], result["ruleId"])
        self.assertEqual(run["columnKind"], "unicodeCodePoints")

    def test_a_place_is_counted_from_1_and_ends_behind_its_last_character(self):
        found = run_of(Fault("MSH0101", "error", "m", make_mark("dir/x y.yaml", LINES, 2, 6, 2, 12)))["results"][0]
        place = found["locations"][0]["physicalLocation"]
        self.assertEqual(place["artifactLocation"]["uri"], "dir/x%20y.yaml")
        self.assertEqual(place["region"], {"startLine": 2, "startColumn": 6, "endLine": 2, "endColumn": 12})

    def test_a_whole_file_has_no_region_and_an_absolute_one_is_a_uri(self):
        place = run_of(Fault("MSH0004", "error", "m", Mark("/etc/a.yaml")))["results"][0]["locations"][0]
        self.assertEqual(place, {"physicalLocation": {"artifactLocation": {"uri": "file:///etc/a.yaml"}}})

    def test_other_places_are_related_locations(self):
        other = Related(make_mark("b.yaml", LINES, 1, 1, 1, 2), "the first")
        found = run_of(Fault("MSH0301", "error", "m", Mark("a.yaml", 1, 1, 1, 2), related=(other,)))["results"][0]
        one = found["relatedLocations"][0]
        self.assertEqual((one["id"], one["message"]["text"]), (0, "the first"))
        self.assertEqual(one["physicalLocation"]["artifactLocation"]["uri"], "b.yaml")

    def test_information_is_a_note_and_says_whether_it_is_analysis(self):
        found = run_of(Fault("MSH0405", "info", "m", Mark("a"), is_analysis=True, help="h"))["results"][0]
        self.assertEqual((found["level"], found["properties"]["analysis"]), ("note", True))
        self.assertEqual(found["message"]["text"], "m\nh")
