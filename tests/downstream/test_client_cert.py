"""x-forwarded-client-cert in Envoy's five modes; what comes from outside is never believed by default."""

import unittest

from meshd.api import Headers
from meshd.downstream.client_cert import ALWAYS_FORWARD_ONLY, MODES, NAME, SANITIZE, ClientCert
from meshd.model.listener import ClientCertDetails, HttpOptions
from meshd.wire.tls.certificate import Certificate
from tests.pki import Authority

FORGED = b"By=me;Hash=00"


class Security:
    """What a layer says of a connection."""

    def __init__(self, peer, local):
        self.peer, self.local, self.forwarded = peer, local, None
        self.has_peer = peer is not None
        self.peer_chain = [peer]


class Modes(unittest.TestCase):
    def setUp(self):  # trial runs no setUpClass
        root = Authority()
        self.peer = Certificate(root.leaf("a.example", "uri:spiffe://mesh/a").der)
        self.local = Certificate(root.leaf("uri:spiffe://mesh/us").der)

    def field(self, mode, peer=True, came=True, secure=True, **details):
        """Return the field as it is afterwards."""
        headers = Headers.of(*([(NAME, FORGED)] if came else []))
        security = Security(self.peer if peer else None, self.local) if secure else None
        ClientCert(mode, ClientCertDetails(**details)).apply(headers, security)
        return headers.joined(NAME) or b""

    def test_without_a_client_certificate_nothing_is_kept_but_by_the_mode_that_always_does(self):
        for mode in MODES:
            kept = FORGED if mode == ALWAYS_FORWARD_ONLY else b""
            self.assertEqual(self.field(mode, peer=False), kept, mode)
            self.assertEqual(self.field(mode, secure=False), kept, mode)

    def test_with_one(self):
        ours = f"By=spiffe://mesh/us;Hash={self.peer.fingerprint}".encode()
        for mode, kept in zip(MODES, (b"", FORGED, FORGED + b"," + ours, ours, FORGED), strict=True):
            self.assertEqual(self.field(mode), kept, mode)
        self.assertEqual(self.field("append_forward", came=False), ours)

    def test_details_in_envoys_order(self):
        found = self.field("sanitize_set", subject=True, uri=True, dns=True, cert=True).decode()
        self.assertEqual([part.partition("=")[0] for part in found.split(";")],
                         ["By", "Hash", "Cert", "Subject", "URI", "DNS"])
        self.assertIn("-----BEGIN%20CERTIFICATE-----%0A", found)

    def test_the_default_drops_it(self):
        self.assertEqual(HttpOptions().forward_client_cert_details, SANITIZE)

    def test_it_is_made_once_for_a_connection(self):
        rule, security = ClientCert("sanitize_set", ClientCertDetails()), Security(self.peer, self.local)
        self.assertIs(rule.value(security), rule.value(security))
        other = ClientCert("sanitize_set", ClientCertDetails(uri=True))
        self.assertIn(b"URI=", other.value(security))
