"""From labels to endpoints."""

import unittest

from meshd.api import EndpointSpec

from meshd_plugins.discovery.target import endpoint, join


class Endpoints(unittest.TestCase):
    def test_every_label_of_ours_is_taken(self):
        found = endpoint({
            "__address__": "a:80", "__meshd_weight__": "3", "__meshd_locality__": "r/z", "__meshd_priority__": "1",
            "__meshd_port__": "81", "job": "x", "__meta_y": "z"}, "file x")
        self.assertEqual(found, EndpointSpec(
            address="a:81", weight=3, locality="r/z", priority=1, labels=(("job", "x"),)))
        self.assertEqual(found.source, "file x")
        self.assertEqual(endpoint({"__address__": "a:80", "__meshd_source__": "y"}, "x").source, "y")

    def test_a_port_may_come_alone(self):
        for address, expected in (("a", "a:81"), ("[::1]", "[::1]:81"), ("[::1]:80", "[::1]:81"),
                                  ("unix:/x", "unix:/x")):
            self.assertEqual(endpoint({"__address__": address, "__meshd_port__": "81"}).address, expected)

    def test_what_is_wrong_is_named(self):
        for labels, words in (
            ({}, "__address__: expected HOST:PORT"), ({"__address__": "a"}, "__address__"),
            ({"__address__": "a:70000"}, "HOST:PORT"), ({"__address__": "a:1", "__meshd_weight__": "0"}, "weight"),
            ({"__address__": "a:1", "__meshd_port__": "x"}, "__meshd_port__"),
            ({"__address__": "a:1", "__meshd_priority__": "-1"}, "priority"),
        ):
            with self.assertRaisesRegex(ValueError, words):
                endpoint(labels)

    def test_the_source_is_no_part_of_what_an_endpoint_is(self):
        self.assertEqual(endpoint({"__address__": "a:1"}, "x"), endpoint({"__address__": "a:1"}, "y"))

    def test_hosts_and_ports_are_joined(self):
        self.assertEqual([join("10.0.0.1", 80), join("::1", 80)], ["10.0.0.1:80", "[::1]:80"])
