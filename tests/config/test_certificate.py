"""``--check`` looks into the files of TLS: each fault with its code at its line; and what the model itself refuses."""

import pickle
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from meshd.config.load import load
from meshd.errors import ConfigurationError
from meshd.registry import Registry
from meshd.tls import groups
from tests.pki import Authority

LISTENER = """
secrets: {directory: .}
listeners:
  - name: a
    address: 127.0.0.1:1
    tls: %s
    filters: [{router: {virtual_hosts: []}}]
"""
PAIR = "{certificates: [{certificate_file: a/tls.crt, key_file: %s}]}"


class Checking(unittest.TestCase):
    def setUp(self):  # trial runs no setUpClass
        self.registry = Registry.load()
        self.root = Authority()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.secret("a", self.root.leaf("a.example"))

    def secret(self, name, leaf):
        """Write a secret."""
        (self.folder / name).mkdir(exist_ok=True)
        leaf.write(self.folder / name)
        (self.folder / name / "ca.crt").write_bytes(self.root.pem)

    def faults(self, tls):
        """Return (code, path) of all faults and warnings of a listener's ``tls``."""
        path = self.folder / "mesh.yaml"
        path.write_text(LISTENER % tls)
        try:
            found = load([str(path)], self.registry).warnings
        except ConfigurationError as error:
            found = error.faults
        self.found = found
        return [(fault.code, fault.path) for fault in found]

    def test_what_is_good(self):
        self.assertEqual(self.faults("{certificates: [{secret: a}]}"), [])
        self.assertEqual(self.faults(PAIR % "a/tls.key"), [])

    def test_missing_files(self):
        place = "listeners[0].tls.certificates[0]"
        self.assertEqual(self.faults("{certificates: [{secret: b}]}"), [("MSH0110", f"{place}.secret")] * 2)
        self.assertEqual(self.faults(PAIR % "no.key"), [("MSH0110", f"{place}.key_file")])
        self.assertEqual((self.found[0].mark.line, Path(self.found[0].mark.file).name), (6, "mesh.yaml"))

    def test_a_pair_that_is_none(self):
        self.secret("b", self.root.leaf("b.example"))
        self.assertEqual(self.faults(PAIR % "b/tls.key"), [("MSH0120", "listeners[0].tls.certificates[0].key_file")])
        self.assertIn("not the key of the certificate", str(self.found[0]))

    def test_an_expired_one_is_a_warning(self):
        self.secret("old", self.root.leaf("a.example", days=-1))
        self.assertEqual(self.faults("{certificates: [{secret: old}]}"),
                         [("MSH0121", "listeners[0].tls.certificates[0].secret")])
        self.assertEqual(self.found[0].severity, "warning")

    def test_a_key_for_everybody_is_a_warning(self):
        (self.folder / "a" / "tls.key").chmod(0o644)
        self.assertEqual(self.faults("{certificates: [{secret: a}]}"),
                         [("MSH0122", "listeners[0].tls.certificates[0].secret")])

    def test_several_groups_where_one_can_be_chosen_are_a_warning(self):
        text = "{certificates: [{secret: a}], ecdh_curves: [%s]}"
        self.assertEqual(self.faults(text % "P-256, X25519"), [])
        with mock.patch.object(groups, "_give", None):
            self.assertEqual(self.faults(text % "P-256"), [])
            self.assertEqual(self.faults(text % "P-256, X25519"), [("MSH0123", "listeners[0].tls.ecdh_curves")])

    def test_authorities_and_lists(self):
        start = "{certificates: [{secret: a}], client_certificate: required, validation: "
        self.assertEqual(self.faults(start + "{secret: a}}"), [])
        self.assertEqual(self.faults(start + "{ca_file: no.crt}}"),
                         [("MSH0110", "listeners[0].tls.validation.ca_file")])
        self.assertEqual(self.faults(start + "{ca_file: a/ca.crt, crl_file: a/ca.crt}}"),
                         [("MSH0120", "listeners[0].tls.validation.crl_file")])

    def test_a_list_that_has_expired_is_a_warning(self):
        (self.folder / "a" / "ca.crl").write_bytes(self.root.revoke())
        text = "{certificates: [{secret: a}], client_certificate: required, validation: {secret: a}}"
        self.assertEqual(self.faults(text), [])
        (self.folder / "a" / "ca.crl").write_bytes(self.root.revoke(days=-1))
        self.assertEqual(self.faults(text), [("MSH0121", "listeners[0].tls.validation.secret")])
        self.assertIn("the revocation list of CN=test root has expired at", str(self.found[0]))

    def test_ciphers_that_nobody_knows_are_said(self):
        text = "{certificates: [{secret: a}], cipher_suites: [ECDHE-RSA-AES128-GCM-SHA256, %s]}"
        self.assertEqual(self.faults(text % "'!aNULL'"), [])
        self.assertEqual(self.faults(text % "TLS_AES_128_GCM_SHA256"), [("MSH0118", "listeners[0].tls.cipher_suites")])
        self.assertIn("'TLS_AES_128_GCM_SHA256': OpenSSL knows no such cipher", str(self.found[0]))

    def test_what_the_model_refuses(self):
        for text, word in (
                ("{certificates: []}", "MSH0112"),
                ("{certificates: [{secret: a, key_file: a/tls.key}]}", "MSH0113"),
                ("{certificates: [{certificate_file: a/tls.crt}]}", "MSH0113"),
                ("{certificates: [{secret: ../a}]}", "MSH0106"),
                ("{certificates: [{secret: a}], client_certificate: required}", "MSH0113"),
                ("{certificates: [{secret: a}], validation: {secret: a}}", "MSH0113"),
                ("{certificates: [{secret: a}], min_version: '1.3', max_version: '1.2'}", "MSH0113"),
                ("{certificates: [{secret: a}], min_version: '1.1'}", "MSH0105"),
                ("{certificates: [{secret: a}], client_certificate: required, validation: "
                 "{secret: a, subject_alt_names: [{exact: a, prefix: b}]}}", "MSH0113"),
                ("{certificates: [{secret: a}], client_certificate: required, validation: "
                 "{secret: a, subject_alt_names: [{regex: '('}]}}", "MSH0108"),
                ("{certificates: [{secret: a}], client_certificate: optional, validation: {spiffe: true}}", "MSH0113")):
            self.assertIn(word, [code for code, _ in self.faults(text)], text)

    def test_hashes_alone_are_enough_to_know_a_client_by(self):
        self.assertEqual(self.faults("{certificates: [{secret: a}], client_certificate: optional, validation: "
                                     "{verify_certificate_spki: ['%s=']}}" % ("A" * 43)), [])

    def test_no_key_is_in_the_snapshot(self):
        path = self.folder / "mesh.yaml"
        path.write_text(LISTENER % "{certificates: [{secret: a}]}")
        data = pickle.dumps(load([str(path)], self.registry))
        key = (self.folder / "a" / "tls.key").read_bytes().split(b"\n")[1]
        self.assertNotIn(key, data)
        self.assertNotIn(b"PRIVATE KEY", data)
