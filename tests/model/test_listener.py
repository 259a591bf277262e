"""Listeners: the chains that the short form stands for."""

import unittest

from meshd.model.chain_match import ChainMatch, ChainTable, Facts
from meshd.model.listener import Listener
from meshd.model.plugin import Plugin
from meshd.model.tls import MESH_ALPN, Certificate, DownstreamTls, Validation

ROUTER = Plugin(kind="http_filter", type="router", config=None, name="router")
PROXY = Plugin(kind="network_filter", type="tcp_proxy", config=None, name="tcp_proxy")
LOOKER = Plugin(kind="listener_filter", type="tls_inspector", config=None, name="tls_inspector")
MUTUAL = DownstreamTls(certificates=(Certificate(secret="mesh"),), client_certificate="required",
                       validation=Validation(secret="mesh"))
SIMPLE = DownstreamTls(certificates=(Certificate(secret="mesh"),))


def listener(**fields):
    """Return one of bytes with mutual TLS, unless it is said otherwise."""
    return Listener(**{"name": "in", "address": "127.0.0.1:1", "network_filters": (PROXY,), "tls": MUTUAL,
                       "listener_filters": (LOOKER,), **fields})


def http(**fields):
    """Return one of requests."""
    return listener(network_filters=(), filters=(ROUTER,), **fields)


def chain_for(one, transport_protocol, *alpn):
    """Return (name, whether TLS ends there) of the chain that takes a connection, or None."""
    table = ChainTable()
    for chain in one.chains:
        table.add(chain.match, chain)
    found = table.find(Facts(transport_protocol=transport_protocol, application_protocols=alpn))
    return None if found is None else (found.name, found.tls is not None)


class TlsMode(unittest.TestCase):
    def test_without_one_there_is_the_chain_without_a_name(self):
        (only,) = listener().chains
        self.assertEqual((only.name, only.match, only.tls), ("", ChainMatch(), MUTUAL))

    def test_permissive_tells_the_mesh_from_others(self):
        for one in (listener(tls_mode="permissive"), http(tls_mode="permissive")):
            for word in MESH_ALPN:
                self.assertEqual(chain_for(one, "tls", word), ("mutual", True))
            self.assertEqual(chain_for(one, "raw_buffer"), ("plain", False))

    def test_other_tls_is_passed_on_as_bytes_and_is_no_request(self):
        self.assertEqual(chain_for(listener(tls_mode="permissive"), "tls", "h2"), ("other_tls", False))
        self.assertIsNone(chain_for(http(tls_mode="permissive"), "tls", "h2"))

    def test_strict_takes_any_tls_and_nothing_else(self):
        for one in (listener(tls_mode="strict"), http(tls_mode="strict")):
            self.assertEqual(chain_for(one, "tls"), ("mutual", True))
            self.assertIsNone(chain_for(one, "raw_buffer"))

    def test_strict_needs_nobody_to_look(self):
        (only,) = listener(tls_mode="strict", listener_filters=()).chains
        self.assertEqual((only.name, only.match, only.tls), ("mutual", ChainMatch(), MUTUAL))

    def test_disable_is_plain(self):
        (only,) = listener(tls_mode="disable").chains
        self.assertEqual((only.name, only.match, only.tls), ("plain", ChainMatch(), None))

    def test_what_is_missing_is_said(self):
        for fields, where, text in (
                ({"tls": None}, "tls_mode", "expected tls beside it"),
                ({"tls": SIMPLE}, ("tls", "client_certificate"), "expected required, as tls_mode is permissive"),
                ({"listener_filters": ()}, "tls_mode", "expected tls_inspector among the listener_filters")):
            ((place, fault),) = listener(tls_mode="permissive", **fields).check()
            self.assertEqual(place, where)
            self.assertIn(text, fault)

    def test_chains_of_their_own_have_none(self):
        (chain,) = listener().chains
        one = listener(network_filters=(), tls=None, tls_mode="strict", filter_chains=(chain,))
        self.assertEqual([place for place, _ in one.check()], ["tls_mode"])
