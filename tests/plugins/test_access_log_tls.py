"""What access logs tell of TLS, of both connections; without TLS it is unset."""

import unittest

from meshd.testing import FakeExchange
from meshd.wire.tls.certificate import Certificate
from meshd_plugins.access_log import secure
from meshd_plugins.access_log.operator import OPERATORS
from tests.pki import Authority


class Security:
    """A connection's TLS."""

    version, cipher, server_name, session_id = "TLSv1.3", "TLS_AES_128_GCM_SHA256", "shop.example", "ab01"

    def __init__(self, peer, local):
        self.peer, self.local = peer, local


class Operators(unittest.TestCase):
    def setUp(self):  # trial runs no setUpClass
        root = Authority()
        self.peer = Certificate(root.leaf("uri:spiffe://mesh/a", "a.example", "b.example").der)
        self.local = Certificate(root.leaf("uri:spiffe://mesh/us").der)

    def value(self, name, **where):
        """Return an operator's value."""
        exchange = FakeExchange(b"GET", b"/")
        for attribute, security in where.items():
            setattr(exchange, attribute, security)
        return OPERATORS[name].make(None, None).getter()(exchange)

    def test_of_the_client(self):
        security = Security(self.peer, self.local)
        for name, value in {
            "REQUESTED_SERVER_NAME": "shop.example", "DOWNSTREAM_TLS_VERSION": "TLSv1.3",
            "DOWNSTREAM_TLS_CIPHER": "TLS_AES_128_GCM_SHA256", "DOWNSTREAM_TLS_SESSION_ID": "ab01",
            "DOWNSTREAM_PEER_URI_SAN": "spiffe://mesh/a", "DOWNSTREAM_PEER_DNS_SAN": "a.example,b.example",
            "DOWNSTREAM_PEER_SUBJECT": "CN=uri:spiffe://mesh/a", "DOWNSTREAM_PEER_ISSUER": "CN=test root",
            "DOWNSTREAM_LOCAL_URI_SAN": "spiffe://mesh/us", "DOWNSTREAM_PEER_SERIAL": self.peer.serial,
            "DOWNSTREAM_PEER_FINGERPRINT_256": self.peer.fingerprint,
        }.items():
            self.assertEqual(self.value(name, security=security), value, name)
        self.assertRegex(self.value("DOWNSTREAM_PEER_CERT_V_END", security=security), r"^20\d\d-.*\.000Z$")
        self.assertTrue(self.value("DOWNSTREAM_PEER_CERT", security=security).startswith("-----BEGIN%20CERT"))

    def test_of_the_upstream(self):
        security = Security(self.peer, self.local)
        self.assertEqual(self.value("UPSTREAM_TLS_VERSION", upstream_security=security), "TLSv1.3")
        self.assertEqual(self.value("UPSTREAM_PEER_URI_SAN", upstream_security=security), "spiffe://mesh/a")
        self.assertFalse(self.value("UPSTREAM_TLS_VERSION", security=security))

    def test_without_tls_or_a_certificate_all_are_unset(self):
        for name, _, _ in secure.rows():
            self.assertFalse(self.value(name), name)
            if "PEER" in name:
                self.assertFalse(self.value(name, security=Security(None, None)), name)
