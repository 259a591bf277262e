"""Zone-aware routing: what stays in the own zone, and where the rest goes."""

import unittest

from meshd.upstream.zone import zone_shares


class ZoneShares(unittest.TestCase):
    def test_all_stays_where_the_upstream_has_as_much_there(self):
        self.assertEqual(zone_shares("a", {"a": 5, "b": 5}, {"a": 6, "b": 4}), {"a": 100.0, "b": 0.0})
        self.assertEqual(zone_shares("a", {"a": 5, "b": 5}, {"a": 5, "b": 5}), {"a": 100.0, "b": 0.0})

    def test_else_so_much_that_every_endpoint_has_the_same(self):
        found = zone_shares("a", {"a": 6, "b": 2, "c": 2}, {"a": 3, "b": 4, "c": 3})
        self.assertAlmostEqual(found["a"], 50.0)
        self.assertAlmostEqual(found["b"], 50.0 * 20 / 30)
        self.assertAlmostEqual(found["c"], 50.0 * 10 / 30)

    def test_every_upstream_endpoint_gets_the_same_from_all_zones_together(self):
        here, there = {"a": 6, "b": 2, "c": 2}, {"a": 3, "b": 4, "c": 3}
        load = dict.fromkeys(there, 0.0)
        for zone, count in here.items():
            for target, percent in zone_shares(zone, here, there).items():
                load[target] += count * percent / 100.0
        per_endpoint = [load[zone] / count for zone, count in there.items()]
        for one in per_endpoint:
            self.assertAlmostEqual(one, 1.0)

    def test_a_zone_that_its_own_service_is_not_in_has_room(self):
        self.assertEqual(zone_shares("a", {"a": 4}, {"a": 1, "b": 3}), {"a": 25.0, "b": 75.0})

    def test_does_not_apply_without_the_own_zone_on_both_sides_or_with_one_zone(self):
        self.assertIsNone(zone_shares("z", {"a": 1}, {"a": 1, "b": 1}))
        self.assertIsNone(zone_shares("a", {"b": 1}, {"a": 1, "b": 1}))
        self.assertIsNone(zone_shares("a", {"a": 1}, {"b": 1, "c": 1}))
        self.assertIsNone(zone_shares("a", {"a": 1}, {"a": 1}))
