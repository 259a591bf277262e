"""Mirrors of a rule, with Istio's shares."""

from unittest import TestCase

from tests.istio.translate.test_retry import route
from tests.istio.view import versions

TWO = versions("b.test", "v1", "v2")


def mirrors(text):
    """Return [(cluster, percent)] of the mirrors of a rule."""
    found, _ = route(f"  {text}\n", TWO)
    return [(one.cluster, one.percent) for one in found.mirror]


class Mirrors(TestCase):
    def test_a_share_that_is_not_given_is_all(self):
        self.assertEqual(mirrors("mirror: {host: b.test, subset: v2}"), [("outbound|80|v2|b.test", 100)])

    def test_all_spellings_of_the_share(self):
        for text in ("mirrorPercentage: {value: 12.5}", "mirrorPercent: 12", "mirror_percent: 12"):
            (_, percent), = mirrors(f"mirror: {{host: b.test}}\n  {text}")
            self.assertIn(percent, (12.5, 12))

    def test_a_share_of_0_mirrors_nothing(self):
        self.assertEqual(mirrors("mirror: {host: b.test}\n  mirrorPercentage: {value: 0}"), [])

    def test_several(self):
        text = ("mirrors: [{destination: {host: b.test, subset: v1}, percentage: {value: 50}},"
                " {destination: {host: b.test}}]")
        self.assertEqual(mirrors(text), [("outbound|80|v1|b.test", 50), ("outbound|80||b.test", 100)])
