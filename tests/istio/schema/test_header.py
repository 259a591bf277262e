"""Header fields in matches and edits, and Envoy's variables in values."""

import unittest

from meshd_plugins.istio.schema import header


class TestNames(unittest.TestCase):
    def test_a_match_may_be_on_pseudo_headers_and_claims(self):
        for name in ("x-a", ":authority", "@request.auth.claims.sub", "@REQUEST.auth.claims[a][b]"):
            self.assertEqual(header.match_name_fault(name), "", name)
        for name in ("", "x a", ":host", "@request.auth.claims", "@request.auth.claims."):
            self.assertIn("expected", header.match_name_fault(name), name)

    def test_only_a_request_s_host_is_set(self):
        self.assertEqual(header.edit_name_fault("Host", True), "")
        self.assertEqual(header.edit_name_fault(":authority", True), "")
        for name in ("Host", ":authority", ":path", "a b", ""):
            self.assertIn("expected", header.edit_name_fault(name, False), name)


class TestValues(unittest.TestCase):
    def test_every_percent_belongs_to_a_variable(self):
        for value in ("", "a", "100%%", "%START_TIME%", "a %REQ(X-A?b)% c", "%START_TIME(%Y)%", '%M(["a", "b"])%',
                      '%M( [ "a" , "b\\"c" ] )  %', "%A%%B%"):
            self.assertEqual(header.value_fault(value), "", value)
        for value in ("%", "a%b", "%START_TIME%%", "%REQ(%", "%REQ(a)", "%REQ()%", '%M(["a")%', '%M(["a" "b"])%',
                      "%REQ(a) b%", "%%%"):
            self.assertIn("%", header.value_fault(value), value)

    def test_control_characters_are_refused(self):
        self.assertIn("control", header.value_fault("a\nb"))
        self.assertEqual(header.value_fault("a\tb"), "")

    def test_long_values_are_looked_at_once(self):
        self.assertIn("%", header.value_fault("%A(" + '"a",' * 10_000))
        self.assertIn("%", header.value_fault("%%" * 20_000 + "%"))


if __name__ == "__main__":
    unittest.main()
