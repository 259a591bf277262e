"""Which API versions a range lets in."""

from unittest import TestCase

from meshd.registry.api_range import api_fits


class ApiRangeTest(TestCase):
    def test_lets_in_what_lies_between(self):
        for wanted, have in ((">=1,<2", (1, 0)), (">=1, <2", (1, 7)), ("==1", (1, 3)), (">=1.2", (1, 2)),
                             ("<=1", (1, 9)), ("!=2", (1, 0)), (">1", (2, 0)), ("<1.1", (1, 0))):
            self.assertTrue(api_fits(wanted, have), (wanted, have))

    def test_keeps_out_what_does_not(self):
        for wanted, have in ((">=1,<2", (2, 0)), (">=2", (1, 9)), ("==1.1", (1, 0)), ("!=1", (1, 4)), (">1", (1, 5)),
                             ("<=1", (2, 0)), (">=1.2,<2", (1, 1))):
            self.assertFalse(api_fits(wanted, have), (wanted, have))

    def test_refuses_what_is_no_range(self):
        for wanted in ("", "1", "=1", ">=", ">=one", ">=1,", ">=1.", "~=1", ">=-1", None):
            with self.assertRaises(ValueError):
                api_fits(wanted)
