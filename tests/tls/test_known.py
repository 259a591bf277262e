"""Clients that are known by the hashes of their certificates alone: no authority is needed, and no key forgone."""

import ssl
from unittest import mock

from cryptography.hazmat.primitives import serialization

from meshd.model.tls import Validation
from meshd.tls import known
from meshd.tls.live import finish
from meshd.wire.tls.certificate import Certificate
from tests.pki import Authority
from tests.tls.side import TlsCase
from tests.tls.test_client import self_signed

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


class Known(TlsCase):
    def setUp(self):
        super().setUp()
        self.leaf_of = Authority("somebody").leaf("uri:spiffe://mesh/ns/a/sa/c")

    def asking(self, mode="required", **rules):
        """Return the TLS of a listener that knows hashes."""
        return self.server(client_certificate=mode, validation=Validation(**rules))

    def attempt(self, tls, leaf=None, version=ssl.TLSVersion.TLSv1_3):
        """Return what became of a client that shows ``leaf``."""
        context = self.peer_context(leaf=leaf)
        context.maximum_version = version
        self.layer, peer = self.serve(tls, context=context)
        self.settle(peer)
        return self.layer.owner.said

    def pin(self, leaf):
        """Return the hash of a leaf's key."""
        return Certificate(leaf.der).spki_hash

    def test_by_the_whole_or_by_the_key(self):
        for version in VERSIONS:
            for rules in ({"verify_certificate_hash": (Certificate(self.leaf_of.der).fingerprint,)},
                          {"verify_certificate_spki": ("A" * 43 + "=", self.pin(self.leaf_of))}):
                tls = self.asking(**rules)
                self.assertEqual(self.attempt(tls, self.leaf_of, version), ["secured"])
                self.assertEqual(self.layer.security.peer.spiffe_id, "spiffe://mesh/ns/a/sa/c")

    def test_nobody_else(self):
        tls = self.asking(verify_certificate_spki=(self.pin(self.leaf_of),))
        for leaf in (self.root.leaf("x"), self_signed()):
            for version in VERSIONS:
                self.assertEqual(self.attempt(tls, leaf, version)[0],
                                 "TLS_error: verify cert failed: cert hash and spki")
        self.assertEqual((tls.cells.fail_verify_cert_hash.value, tls.cells.handshake.value), (4, 0))
        self.assertEqual(self.attempt(tls)[0], "TLS_error:SSL routines:PEER_DID_NOT_RETURN_A_CERTIFICATE")

    def test_optional_lets_in_who_shows_none(self):
        tls = self.asking("optional", verify_certificate_spki=(self.pin(self.leaf_of),))
        self.assertEqual(self.attempt(tls), ["secured"])
        self.assertEqual(self.attempt(tls, self.leaf_of), ["secured"])
        self.assertEqual(self.attempt(tls, self.root.leaf("x"))[-1], "lost")

    def test_what_a_known_authority_signs_is_not_known(self):
        below = self.root.leaf("x")
        below.pem += self.root.pem
        pin = Certificate(self.root.certificate.public_bytes(serialization.Encoding.DER)).spki_hash
        self.assertEqual(self.attempt(self.asking(verify_certificate_spki=(pin,)), below)[-1], "lost")

    def test_an_expired_one_is_refused(self):
        old = self.root.leaf("x", days=-1)
        tls = self.asking(verify_certificate_spki=(self.pin(old),))
        self.assertIn("certificate has expired", self.attempt(tls, old)[0])

    def test_other_rules_hold_too(self):
        tls = self.asking(verify_certificate_spki=(self.pin(self.leaf_of),), trust_domains=("elsewhere",))
        self.assertIn("trust domain mesh is not trusted", self.attempt(tls, self.leaf_of)[0])

    def test_certificates_are_forgotten_before_they_are_too_many(self):
        other = self.root.leaf("a")
        with mock.patch.object(known, "MOST", 1):
            tls = self.asking(verify_certificate_spki=(self.pin(self.leaf_of), self.pin(other)))
            self.assertIsNone(finish(tls.refreshing()))
            self.assertEqual([self.attempt(tls, self.leaf_of) for _ in range(2)], [["secured"]] * 2)
            self.assertEqual(self.attempt(tls, other)[-1], "lost")
            self.assertTrue(finish(tls.refreshing()))
            self.assertEqual(self.attempt(tls, other), ["secured"])


class Messages(TlsCase):
    def test_what_is_no_certificate_is_nobody_s(self):
        for data in (b"", b"\x0b\x00\x00\x00", b"\x0b\x00\x00\x04\x00\x00\x00\x00", b"\x0b" + b"\xff" * 40):
            for version in VERSIONS:
                self.assertIsNone(known.first_of(data, version))
