"""Which listener takes a request, and why that one."""

import unittest

from meshd.explain.asked import BadQuestion, asked
from meshd.explain.place import chain_of, choose
from meshd.model.listener import Listener
from meshd.model.plugin import Plugin
from meshd.model.tls import Certificate, DownstreamTls, Validation

ROUTER = Plugin(kind="http_filter", type="router", config=None, name="router")


def listeners(**addresses):
    """Return listeners by name."""
    return tuple(Listener(name=name, address=address, filters=(ROUTER,)) for name, address in addresses.items())


class Choice(unittest.TestCase):
    def chosen(self, url, found, bound=(), ports=(), **more):
        """Return (name, why)."""
        one, why = choose(found, dict(bound), asked("GET", url, **more), dict(ports))
        return one.name, why

    def test_the_one_on_the_port(self):
        found = listeners(a="127.0.0.1:8080", b="127.0.0.1:8081", c="unix:/run/c")
        self.assertEqual(self.chosen("http://x:8081/", found), ("b", "it has port 8081"))

    def test_the_one_that_was_asked_for(self):
        found = listeners(a="127.0.0.1:8080", c="unix:/run/c")
        self.assertEqual(self.chosen("http://x:1/", found, listener="c"), ("c", "it was asked for"))

    def test_several_on_one_port_are_told_apart_as_the_kernel_does(self):
        found = listeners(a="10.0.0.1:80", b="0.0.0.0:80", c="10.0.0.2:80")
        self.assertEqual(self.chosen("http://10.0.0.2/", found)[0], "c")
        name, why = self.chosen("http://shop.example/", found)
        self.assertEqual(name, "b")
        self.assertIn("of a, b, c on port 80 it takes every address", why)
        found = listeners(a="10.0.0.1:80", c="10.0.0.2:80")
        self.assertIn("it is the first", self.chosen("http://shop.example/", found)[1])

    def test_the_only_one_takes_a_url_without_a_port(self):
        found = listeners(a="127.0.0.1:8080")
        self.assertEqual(self.chosen("http://shop.example/", found)[0], "a")
        with self.assertRaisesRegex(BadQuestion, r"no listener has port 81: expected one of 8080 \(a\)"):
            self.chosen("http://shop.example:81/", found)

    def test_a_bound_address_counts_more_than_the_configured_one(self):
        found = listeners(a="127.0.0.1:8080", b="127.0.0.1:8081")
        self.assertEqual(self.chosen("http://x:9000/", found, {"b": "127.0.0.1:9000"})[0], "b")

    def test_a_port_of_a_document_is_found_where_it_is_bound(self):
        found = listeners(a="127.0.0.1:8080", b="127.0.0.1:8443")
        name, why = self.chosen("https://x/", found, ports={"443": 8443})
        self.assertEqual((name, why), ("b", "it has port 8443, which node.ports puts in the place of 443"))
        with self.assertRaisesRegex(BadQuestion, "no listener has port 80"):
            self.chosen("http://x/", found, ports={"80": 9000})

    def test_unknown_names_and_no_listeners_are_refused(self):
        with self.assertRaisesRegex(BadQuestion, "unknown: expected one of a"):
            self.chosen("http://x/", listeners(a="127.0.0.1:8080"), listener="b")
        with self.assertRaisesRegex(BadQuestion, "the configuration has none"):
            self.chosen("http://x/", ())


class Chain(unittest.TestCase):
    def test_tls_to_a_permissive_listener_is_that_of_the_mesh(self):
        tls = DownstreamTls(certificates=(Certificate(secret="a"),), client_certificate="required",
                            validation=Validation(secret="a"))
        one = Listener(name="in", address="127.0.0.1:1", filters=(ROUTER,), tls=tls, tls_mode="permissive")
        for url, name in (("https://x/", "mutual"), ("http://x/", "plain")):
            self.assertEqual(chain_of(one, asked("GET", url), "127.0.0.1:1").name, name)
