"""``meshd.admin.merge``: the facts of several workers as those of one daemon."""

from unittest import TestCase

from meshd.admin.merge import merged_clusters, merged_listeners, merged_plugins


def listener(requests, connections, accepting=True):
    return {"name": "public", "address": "a", "accepting": accepting, "connections": connections,
            "filter_chains": [{"name": "a", "connections": connections}], "counters": {"requests": requests}}


def cluster(requests, used, healthy=True, active=1):
    endpoint = {"address": "10.0.0.1:80", "healthy": healthy, "health": "healthy" if healthy else "/failed_active_hc", 
                "active_requests": active, "connections": 2,
                "idle_connections": 1, "pending": 0}
    return {"name": "users", "idle_connections": 1, "counters": {"requests": requests}, "endpoints": [endpoint],
            "circuit_breaker": {"requests": {"used": used, "limit": 10}}}


def use(name, faults, late, samples, mean, longest, state="in use", last=None):
    timings = {"request": {"samples": samples, "mean_s": mean, "longest_s": longest}}
    return {"kind": "http_filter", "name": name, "state": state, "faults": {"request": faults}, "last_fault": last,
            "late": late, "timings": timings}


def plugin(*uses):
    return {"module": "acme", "name": "acme", "uses": list(uses)}


class TestMerge(TestCase):
    def test_listeners_add_up_and_accept_where_any_worker_does(self):
        found = merged_listeners([[listener(3, 1, False)], [listener(4, 2)]])
        self.assertEqual(found, [listener(7, 3)])

    def test_a_breakers_counts_are_common_and_all_else_adds_up(self):
        found = merged_clusters([[cluster(3, 5)], [cluster(4, 5)]])[0]
        self.assertEqual(found["circuit_breaker"]["requests"], {"used": 5, "limit": 10})
        self.assertEqual(found["counters"]["requests"], 7)
        self.assertEqual(found["endpoints"][0]["active_requests"], 2)

    def test_an_endpoint_is_well_where_every_worker_finds_it_so(self):
        self.assertFalse(merged_clusters([[cluster(1, 1)], [cluster(1, 1, False)]])[0]["endpoints"][0]["healthy"])
        self.assertEqual(merged_clusters([[cluster(1, 1)], [cluster(1, 1, False)]])[0]["endpoints"][0]["health"],
                         "/failed_active_hc")

    def test_uses_of_plugins_add_up_with_their_times(self):
        one = plugin(use("a", 1, 0, 2, 0.1, 0.2), use("a", 0, 0, 1, 0.1, 0.1))
        other = plugin(use("a", 2, 1, 6, 0.3, 0.9, "bypassed", "boom"), use("a", 0, 0, 1, 0.1, 0.1))
        first, second = merged_plugins([[one], [other]])[0]["uses"]
        self.assertEqual((first["faults"], first["late"], first["state"]), ({"request": 3}, 1, "bypassed"))
        self.assertEqual(first["last_fault"], "boom")
        self.assertAlmostEqual(first["timings"]["request"]["mean_s"], 0.25)
        self.assertEqual(first["timings"]["request"]["longest_s"], 0.9)
        self.assertEqual(second["timings"]["request"]["samples"], 2)
