"""Certificates as we read them, against ``cryptography``; malformed ones are ValueErrors and nothing else."""

import unittest

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from meshd.model.tls import SanMatch, Validation
from meshd.tls.verify import Verifier, dns_matches, is_named
from meshd.wire.tls.certificate import Certificate, certificates
from tests.pki import Authority


def name(*pairs):
    """Return a distinguished name."""
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in pairs])


class Reading(unittest.TestCase):
    def setUp(self):  # trial runs no setUpClass
        self.root = Authority()

    def test_all_fields_are_those_of_the_oracle(self):
        subject = name((NameOID.COUNTRY_NAME, "DE"), (NameOID.ORGANIZATION_NAME, 'Müller, "Söhne" + Co'),
                       (NameOID.EMAIL_ADDRESS, "a@b.example"), (NameOID.COMMON_NAME, " #odd; name "))
        for kind in ("ecdsa", "rsa"):
            leaf = self.root.leaf("a.example", "*.b.example", "uri:spiffe://mesh/ns/a/sa/b", "ip:10.0.0.1", "ip:::1",
                                  "email:a@b.example", kind=kind, subject=subject)
            ours, oracle = Certificate(leaf.der), leaf.certificate
            self.assertEqual(int(ours.serial, 16), oracle.serial_number)
            self.assertEqual(ours.fingerprint, oracle.fingerprint(hashes.SHA256()).hex())
            self.assertEqual(ours.not_after_s, oracle.not_valid_after_utc.timestamp())
            self.assertEqual(ours.not_before_s, oracle.not_valid_before_utc.timestamp())
            self.assertEqual(ours.key_type, kind.upper())
            self.assertEqual(ours.subject, 'CN=\\ #odd\\; name\\ ,emailAddress=a@b.example,'
                             'O=M\\C3\\BCller\\, \\"S\\C3\\B6hne\\" \\+ Co,C=DE')
            self.assertEqual(ours.issuer, "CN=test root")
            self.assertEqual(ours.names, (
                ("dns", "a.example"), ("dns", "*.b.example"), ("uri", "spiffe://mesh/ns/a/sa/b"),
                ("ip_address", "10.0.0.1"), ("ip_address", "::1"), ("email", "a@b.example")))
            self.assertEqual(ours.pem, leaf.pem.decode())

    def test_an_authority_is_known_as_one(self):
        self.assertTrue(certificates(self.root.pem)[0].is_ca)
        self.assertFalse(Certificate(self.root.leaf("a").der).is_ca)

    def test_names_with_a_nul_or_beyond_ascii_match_nothing(self):
        leaf = self.root.leaf("evil.example", extensions=())
        for byte in (b"\0", b"\xc3", b"\n", b" "):
            data = leaf.der.replace(b"evil.example", b"evil" + byte + b"example")
            self.assertEqual(Certificate(data).values("dns"), [])

    def test_what_else_is_in_a_file_has_any_label(self):
        leaf = self.root.leaf("a.example")
        more = b"-----BEGIN X9.42 DH PARAMETERS-----\nMIIB\n-----END X9.42 DH PARAMETERS-----\n"
        self.assertEqual([one.der for one in certificates(more + leaf.pem + more)], [leaf.der])
        with self.assertRaisesRegex(ValueError, "the file is cut off"):
            certificates(leaf.pem + more[:-20])

    def test_whatever_is_cut_or_changed_is_a_value_error_or_read(self):
        der = self.root.leaf("a.example", "ip:10.0.0.1").der
        for at in range(len(der) - 1):
            with self.assertRaises(ValueError):
                Certificate(der[:at])
        for at in range(0, min(400, len(der))):
            for change in (0x00, 0x7F, 0x80, 0xFF):
                try:
                    Certificate(der[:at] + bytes((change,)) + der[at + 1:])
                except ValueError:
                    pass


class Verifying(unittest.TestCase):
    def setUp(self):  # trial runs no setUpClass
        self.root = Authority()

    def fits(self, names, **rules):
        peer = Certificate(self.root.leaf(*names).der)
        return Verifier(Validation(system_roots=True, **rules)).check(peer)[0] == ""

    def match(self, names, **way):
        return self.fits(names, subject_alt_names=(SanMatch(**way),))

    def test_ways_of_matching(self):
        spiffe = ("uri:spiffe://mesh/ns/a/sa/b", "a.example")
        self.assertTrue(self.match(spiffe, exact="spiffe://mesh/ns/a/sa/b"))
        self.assertFalse(self.match(spiffe, exact="spiffe://mesh/ns/a/sa"))
        self.assertTrue(self.match(spiffe, prefix="spiffe://mesh/ns/a/"))
        self.assertFalse(self.match(spiffe, prefix="spiffe://mesh/ns/a/", type="dns"))
        self.assertTrue(self.match(spiffe, suffix="/sa/b", type="uri"))
        self.assertTrue(self.match(spiffe, regex="spiffe://[a-z]+/.*"))
        self.assertFalse(self.match(spiffe, regex="spiffe://[a-z]+"))
        self.assertTrue(self.match(("ip:10.0.0.1",), exact="10.0.0.1", type="ip_address"))
        self.assertTrue(self.match(("email:a@b.example",), exact="a@b.example", type="email"))
        self.assertTrue(self.match(("*.example",), exact="a.example", type="dns"))
        self.assertFalse(self.match(("uri:a.example",), exact="a.example", type="dns"))

    def test_exactly_one_spiffe_id(self):
        self.assertTrue(self.fits(("uri:spiffe://mesh/ns/a/sa/b", "a.example"), spiffe=True))
        self.assertFalse(self.fits(("uri:spiffe://mesh/a", "uri:spiffe://mesh/b"), spiffe=True))
        self.assertFalse(self.fits(("uri:spiffe://mesh/a", "uri:https://x"), spiffe=True))
        self.assertFalse(self.fits(("uri:https://mesh/a",), spiffe=True))
        self.assertFalse(self.fits(("uri:spiffe://mesh",), spiffe=True))
        self.assertFalse(self.fits(("a.example",), spiffe=True))

    def test_trust_domains(self):
        self.assertTrue(self.fits(("uri:spiffe://mesh/a",), trust_domains=("other", "mesh")))
        self.assertFalse(self.fits(("uri:spiffe://mesh.evil/a",), trust_domains=("mesh",)))

    def test_either_hash_will_do(self):
        peer = Certificate(self.root.leaf("a").der)
        colons = ":".join(peer.fingerprint[at:at + 2].upper() for at in range(0, 64, 2))
        wrong = "A" * 43 + "="
        for keys, hashes_, good in (((wrong,), (colons,), True), ((peer.spki_hash,), ("00" * 32,), True),
                                    ((wrong,), ("00" * 32,), False)):
            rules = Validation(verify_certificate_spki=keys, verify_certificate_hash=hashes_)
            self.assertEqual(Verifier(rules).check(peer)[0] == "", good)

    def test_dns_names(self):
        for pattern, name_, good in (
                ("a.example", "A.example.", True), ("*.example.org", "a.example.org", True),
                ("*.example.org", "example.org", False), ("*.example.org", "a.b.example.org", False),
                ("*", "example", False), ("*.", "a.", False), ("*.org", "example.org", True),
                ("a*.example.org", "ab.example.org", False)):
            self.assertEqual(dns_matches(pattern, name_), good, (pattern, name_))

    def test_common_names_do_not_count(self):
        self.assertFalse(is_named(Certificate(self.root.leaf().der), "nobody"))
