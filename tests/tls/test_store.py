"""Secrets that change: renewed without a word, kept where they are bad, looked at within a bound."""

import hashlib
import os
import time

from cryptography.hazmat.primitives import serialization

from meshd.model.tls import Certificate, DownstreamTls, Validation
from meshd.tls.material import BadSecret
from meshd.tls.server import ServerTls
from meshd.tls.store import SecretStore
from tests.pki import Authority
from tests.tls.side import TlsCase


class Renewal(TlsCase):
    def setUp(self):
        super().setUp()
        self.store = SecretStore(self.world, 1.0)
        self.folder_of = self.folder / "shop"
        self.folder_of.mkdir()
        self.leaf.write(self.folder_of)
        spec = DownstreamTls(certificates=(Certificate(secret="shop"),))
        self.tls = ServerTls(spec, "listener it", str(self.folder), self.world, self.cells())
        self.store.add(self.tls)
        self.store.start()
        self.addCleanup(self.store.stop)

    def shown(self):
        layer, peer = self.serve(self.tls)
        self.settle(peer)
        self.assertEqual(layer.owner.said, ["secured"])
        return peer.engine.getpeercert(True)

    def value(self, name):
        return self.world.metrics.value(name)

    def test_new_connections_see_the_new_one_and_old_ones_go_on(self):
        layer, peer = self.serve(self.tls)
        self.settle(peer)
        new = self.root.leaf("a.example")
        new.write(self.folder_of)
        self.assertEqual(self.shown(), self.leaf.der)
        self.world.advance(1.1)
        self.assertEqual(self.shown(), new.der)
        peer.engine.write(b"still here")
        self.settle(peer)
        self.assertEqual(layer.owner.data, b"still here")
        self.assertEqual(self.value("meshd_secret_updates_total"), 1)

    def test_a_pair_that_does_not_fit_leaves_the_old_one_and_is_logged_once(self):
        other = self.root.leaf("a.example")
        (self.folder_of / "tls.crt").write_bytes(other.pem)
        self.world.advance(5)
        self.assertEqual(self.shown(), self.leaf.der)
        self.assertEqual(self.value("meshd_secret_errors_total"), 1)
        lines = [event for event in self.world.events if event["log_level"].name == "error"]
        self.assertEqual(len(lines), 1)
        self.assertIn("not the key of the certificate", str(lines[0]["error"]))
        self.assertIn("not the key", self.tls.facts()["error"])
        (self.folder_of / "tls.key").write_bytes(other.key_pem)
        self.world.advance(1.1)
        self.assertEqual(self.shown(), other.der)
        self.assertEqual(self.tls.facts()["error"], "")

    def test_a_file_that_is_gone_or_no_certificate_leaves_the_old_one(self):
        for damage in (lambda path: path.unlink(), lambda path: path.write_bytes(b"garbage")):
            damage(self.folder_of / "tls.crt")
            self.world.advance(1.1)
            self.assertEqual(self.shown(), self.leaf.der)

    def test_a_folder_that_is_swapped_as_a_link_is_seen(self):
        for name in ("one", "two"):
            (self.folder / name).mkdir()
        first, second = self.root.leaf("a.example"), self.root.leaf("a.example")
        first.write(self.folder / "one")
        second.write(self.folder / "two")
        link = self.folder / "linked"
        link.symlink_to("one")
        spec = DownstreamTls(certificates=(Certificate(secret="linked"),))
        self.tls = ServerTls(spec, "listener other", str(self.folder), self.world, self.cells())
        self.store.add(self.tls)
        self.assertEqual(self.shown(), first.der)
        (self.folder / "new").symlink_to("two")
        os.replace(self.folder / "new", link)
        self.store.look()
        self.assertEqual(self.shown(), second.der)

    def test_when_it_expires_is_a_metric(self):
        expiry = self.world.metrics.value(
            "meshd_cert_expiry_timestamp_seconds", "cert_chain", str(self.folder_of / "tls.crt"),
            "spiffe://mesh/ns/a/sa/b")
        self.assertAlmostEqual(expiry, time.time() + 30 * 86400, delta=3600)

    def test_pages_name_all_but_the_key(self):
        rows = self.store.rows()
        row = rows[0]["certificates"][0]
        self.assertEqual((rows[0]["owner"], row["spiffe_id"]), ("listener it", "spiffe://mesh/ns/a/sa/b"))
        self.assertIn({"type": "dns", "value": "a.example"}, row["subject_alt_names"])
        body = self.leaf.key_pem.decode().split("\n")[1]
        self.assertNotIn(body, str(rows))
        self.assertNotIn(body, str([vars(self.tls), vars(self.tls.choice)]))

    def test_who_is_gone_is_looked_after_no_more(self):
        self.assertEqual(len(self.store.in_force()), 1)
        self.tls = None
        self.assertEqual((self.store.in_force(), self.store.owners), ([], {}))

    def test_after_a_reload_the_new_one_is_told_of_until_it_is_gone(self):
        newer = ServerTls(self.tls.spec, "listener it", str(self.folder), self.world, self.cells())
        self.store.add(newer)
        self.assertEqual((self.store.in_force(), len(self.store.rows())), ([newer], 1))
        del newer
        self.assertEqual(self.store.in_force(), [self.tls])


class IstioNames(TlsCase):
    """A folder with the files that Istio gives a workload outside of Kubernetes."""

    def test_they_are_read_and_renewed(self):
        folder = self.folder / "mesh"
        folder.mkdir()
        self.leaf.write(folder)
        (folder / "ca.crt").write_bytes(self.root.pem)
        kubernetes = Validation(secret="mesh"), Certificate(secret="mesh")
        for old, new in (("tls.crt", "cert-chain.pem"), ("tls.key", "key.pem"), ("ca.crt", "root-cert.pem")):
            (folder / old).rename(folder / new)
        (folder / "ca-crl.pem").write_bytes(self.root.revoke())
        spec = DownstreamTls(certificates=(kubernetes[1],), client_certificate="required", validation=kubernetes[0])
        tls = ServerTls(spec, "listener it", str(self.folder), self.world, self.cells())
        names = ("cert-chain.pem", "key.pem", "root-cert.pem", "ca-crl.pem")
        self.assertEqual(tls.paths(), tuple(str(folder / one) for one in names))
        new = self.root.leaf("a.example")
        (folder / "cert-chain.pem").write_bytes(new.pem)
        (folder / "key.pem").write_bytes(new.key_pem)
        self.assertTrue(tls.refresh())
        self.assertEqual(tls.choice.default.local.fingerprint, hashlib.sha256(new.der).hexdigest())


class Bad(TlsCase):
    """What cannot be used at the start is an error that names the file."""

    def refuse(self, words, certificate):
        with self.assertRaises(BadSecret) as caught:
            ServerTls(DownstreamTls(certificates=(certificate,)), "listener it", str(self.folder), self.world,
                      self.cells())
        self.assertIn(words, str(caught.exception))
        return caught.exception

    def test_missing(self):
        error = self.refuse("no such file", Certificate(secret="absent"))
        self.assertEqual(error.path, str(self.folder / "absent" / "tls.crt"))

    def test_not_a_pair(self):
        files = self.leaf.write(self.folder)
        other = Authority("x").leaf("x").write(self.folder, "other")
        error = self.refuse("not the key of the certificate in", Certificate(
            certificate_file=files[0], key_file=other[1]))
        self.assertEqual((error.path, error.attribute), (other[1], "key_file"))

    def test_not_a_pair_and_of_another_kind(self):
        files = self.leaf.write(self.folder)
        other = Authority("x").leaf("x", kind="rsa").write(self.folder, "other")
        for mixed in ((files[0], other[1]), (other[0], files[1])):
            self.refuse("not the key of the certificate in", Certificate(certificate_file=mixed[0], key_file=mixed[1]))

    def test_no_pem_and_an_encrypted_key(self):
        files = self.leaf.write(self.folder)
        self.refuse("expected a certificate in PEM", Certificate(
            certificate_file=self.file("empty", b"# nothing\n"), key_file=files[1]))
        locked = self.leaf.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"))
        self.refuse("the key is encrypted", Certificate(
            certificate_file=files[0], key_file=self.file("locked", locked)))
