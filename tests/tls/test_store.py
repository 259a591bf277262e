"""Secrets that change: renewed without a word, kept where they are bad, looked at within a bound."""

import hashlib
import os
import time
from unittest import mock

from cryptography.hazmat.primitives import serialization

from meshd.model.tls import Certificate, DownstreamTls, UpstreamTls, Validation
from meshd.tls.client import ClientTls
from meshd.tls.live import finish
from meshd.tls.material import BadSecret
from meshd.tls.server import Pair, ServerTls
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

    def value(self, name, *labels):
        return self.world.metrics.value(name, *labels)

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
        (self.folder / "two" / "tls.crt").write_bytes(b"half of it")
        self.store.look()
        self.assertIn("expected a certificate", self.tls.facts()["error"])
        (self.folder / "three").mkdir()
        for target in ("three", "two"):
            second.write(self.folder / target)
        self.store.look()
        for target, words in (("absent", "no such file"), ("two", "")):
            (self.folder / "new").symlink_to(target)
            os.replace(self.folder / "new", link)
            self.store.look()
            self.assertIn(words, self.tls.facts()["error"])
        self.assertEqual((self.tls.facts()["error"], self.value("meshd_secret_errors_total")), ("", 2))

    def test_when_it_expires_is_a_metric(self):
        expiry = self.world.metrics.value(
            "meshd_cert_expiry_timestamp_seconds", "cert_chain", str(self.folder_of / "tls.crt"),
            "spiffe://mesh/ns/a/sa/b")
        self.assertAlmostEqual(expiry, time.time() + 30 * 86400, delta=3600)

    def test_of_several_in_a_file_the_first_to_expire_counts(self):
        between = Authority("between", above=self.root)
        leaf = between.leaf("a.example", days=5)
        leaf.write(self.folder_of)
        (self.folder / "ca.crt").write_bytes(self.root.pem + between.pem)
        self.store.look()
        expiry = self.world.metrics.value(
            "meshd_cert_expiry_timestamp_seconds", "cert_chain", str(self.folder_of / "tls.crt"), "")
        self.assertAlmostEqual(expiry, time.time() + 5 * 86400, delta=3600)

    def test_when_a_revocation_list_expires_is_told_and_a_metric(self):
        other = Authority("other")
        (self.folder_of / "ca.crt").write_bytes(self.root.pem + other.pem)
        path = self.folder_of / "ca.crl"
        path.write_bytes(self.root.revoke(days=9) + other.revoke(days=4))
        rules = Validation(secret="shop")
        server = ServerTls(DownstreamTls(certificates=(Certificate(secret="shop"),), validation=rules),
                           "listener other", str(self.folder), self.world, self.cells())
        client = ClientTls(UpstreamTls(validation=rules), "cluster users", str(self.folder), self.world, self.cells())
        for owner in (server, client):
            self.store.add(owner)
            rows = owner.facts()["revocation_lists"]
            self.assertEqual([(row["path"], row["issuer"]) for row in rows],
                             [(str(path), "CN=test root"), (str(path), "CN=other")])
            for row, days in zip(rows, (9, 4), strict=True):
                self.assertAlmostEqual(row["expires_s"], time.time() + days * 86400, delta=3600)
                self.assertEqual(row["days_until_expiration"],
                                 int((row["expires_s"] - self.world.clock.wall()) // 86400))
        metric = "meshd_crl_expiry_timestamp_seconds", str(path)
        self.assertAlmostEqual(self.value(*metric), time.time() + 4 * 86400, delta=3600)
        path.write_bytes(self.root.revoke(days=9) + other.revoke(days=-1))
        self.store.look()
        self.assertAlmostEqual(self.value(*metric), time.time() - 86400, delta=3600)
        self.assertEqual(self.tls.facts()["revocation_lists"], [])

    def test_one_that_raises_does_not_end_the_looking(self):
        class Broken:
            where, trouble, loaded, revoked, number = "listener broken", "", (), (), 0

            def refreshing(self, is_asked):
                raise RuntimeError("nobody has thought of this")

        broken = Broken()
        self.store.add(broken)
        with self.assertRaises(RuntimeError):
            self.world.advance(1.1)
        new = self.root.leaf("a.example")
        new.write(self.folder_of)
        with self.assertRaises(RuntimeError):
            self.world.advance(1.1)
        self.world.advance(0.1)
        self.assertEqual(self.shown(), new.der)

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
        self.assertTrue(finish(tls.refreshing()))
        self.assertEqual(tls.choice.default.local.fingerprint, hashlib.sha256(new.der).hexdigest())


class Many(TlsCase):
    """A listener with many certificates: they are read in steps."""

    def test_they_do_not_keep_others_waiting(self):
        leaves = []
        for number in range(40):
            (self.folder / str(number)).mkdir()
            leaves.append(self.root.leaf(f"{number}.example"))
            leaves[-1].write(self.folder / str(number))
        certificates = tuple(Certificate(secret=str(number)) for number in range(40))
        spec = DownstreamTls(certificates=certificates)
        tls = ServerTls(spec, "listener it", str(self.folder), self.world, self.cells())
        store = SecretStore(self.world, 1.0)
        store.add(tls)
        store.start()
        self.addCleanup(store.stop)

        def shown():
            return tls.choice.of("39.example").local.fingerprint

        old, new = shown(), self.root.leaf("39.example")
        new.write(self.folder / "39")
        with mock.patch("meshd.tls.store.SLICE_S", -1.0), mock.patch.object(store, "_work", wraps=store._work) as work:
            store.look()
            self.assertEqual((shown(), work.call_count), (old, 0))
            self.world.advance(0.0)
            self.assertEqual(shown(), hashlib.sha256(new.der).hexdigest())
            self.assertGreater(work.call_count, 80)
        (self.folder / "39" / "tls.key").write_bytes(leaves[0].key_pem)
        self.world.advance(1.1)
        self.assertIn("39/tls.key: not the key of the certificate", tls.facts()["error"])
        self.assertEqual(len(tls.choice.exact), 40)

    def test_what_was_read_before_somebody_asked_does_not_take_the_place_of_what_is_newer(self):
        names = ("a", "b")
        for name in names:
            (self.folder / name).mkdir()
            self.root.leaf(f"{name}.example").write(self.folder / name)
        spec = DownstreamTls(certificates=tuple(Certificate(secret=name) for name in names))
        tls = ServerTls(spec, "listener it", str(self.folder), self.world, self.cells())
        store = SecretStore(self.world, 1.0)
        store.add(tls)
        store.start()
        self.addCleanup(store.stop)
        newest, looks = self.root.leaf("a.example"), []

        def read(one, directory):
            if one.secret == "b" and not looks:
                newest.write(self.folder / "a")
                looks.append(self.world.call_later(0, store.look))
            return Pair(one, directory)

        self.root.leaf("a.example").write(self.folder / "a")
        with mock.patch("meshd.tls.store.SLICE_S", -1.0), mock.patch("meshd.tls.server.Pair", read):
            self.world.advance(1.1)
        self.assertEqual(len(looks), 1)
        self.assertEqual(tls.choice.of("a.example").local.fingerprint, hashlib.sha256(newest.der).hexdigest())


class Apart(TlsCase):
    """Authorities in a folder of their own."""

    def test_they_go_before_the_issuer_s(self):
        theirs = Authority("clients")
        for name, root in (("shop", self.root), ("shop-cacert", theirs)):
            (self.folder / name).mkdir()
            (self.folder / name / "ca.crt").write_bytes(root.pem)
        self.leaf.write(self.folder / "shop")
        spec = DownstreamTls(certificates=(Certificate(secret="shop"),), client_certificate="required",
                             validation=Validation(secret="shop"))
        tls = ServerTls(spec, "listener it", str(self.folder), self.world, self.cells())
        for leaf, word in ((theirs.leaf("x"), "secured"), (self.root.leaf("x"), "lost")):
            layer, peer = self.serve(tls, context=self.peer_context(leaf=leaf))
            self.settle(peer)
            self.assertEqual(layer.owner.said[-1], word)
        (self.folder / "shop-cacert" / "ca.crt").unlink()
        self.assertFalse(finish(tls.refreshing()))
        self.assertIn("shop-cacert/ca.crt: no such file", tls.facts()["error"])


class Lists(TlsCase):
    """Revocation lists that are gone: the revoked are not let in until somebody asks for that."""

    def test_they_stay_in_force(self):
        folder = self.folder / "shop"
        folder.mkdir()
        self.leaf.write(folder)
        revoked = self.root.leaf("x")
        (folder / "ca.crt").write_bytes(self.root.pem)
        (folder / "ca.crl").write_bytes(self.root.revoke(revoked))
        store = SecretStore(self.world, 1.0)
        spec = DownstreamTls(certificates=(Certificate(secret="shop"),), client_certificate="required",
                             validation=Validation(secret="shop"))
        tls = ServerTls(spec, "listener it", str(self.folder), self.world, self.cells())
        store.add(tls)
        store.start()
        self.addCleanup(store.stop)

        def is_let_in():
            layer, peer = self.serve(tls, context=self.peer_context(leaf=revoked))
            self.settle(peer)
            return layer.owner.said == ["secured"]

        (folder / "ca.crl").rename(folder / "away")
        self.world.advance(1.1)
        self.assertFalse(is_let_in())
        self.assertIn("ca.crl: the revocation lists are gone", tls.facts()["error"])
        (folder / "ca.crl").write_bytes((folder / "away").read_bytes())
        self.world.advance(1.1)
        self.assertEqual((is_let_in(), tls.facts()["error"]), (False, ""))
        (folder / "ca.crl").unlink()
        store.look()
        self.assertTrue(is_let_in())

    def test_they_stay_where_they_go_while_other_files_are_read(self):
        folder = self.folder / "shop"
        folder.mkdir()
        (folder / "ca.crt").write_bytes(self.root.pem)
        shown, rules = Certificate(secret="shop"), Validation(secret="shop")
        self.leaf.write(folder)
        (folder / "ca.crl").write_bytes(self.root.revoke())
        server = ServerTls(DownstreamTls(certificates=(shown,), client_certificate="required", validation=rules),
                           "listener it", str(self.folder), self.world, self.cells())
        client = ClientTls(UpstreamTls(validation=rules), "cluster it", str(self.folder), self.world,
                           self.cells("cluster"))
        for owner in (server, client):
            (folder / "ca.crl").write_bytes(self.root.revoke(self.leaf))
            steps = owner.refreshing()
            next(steps)
            (folder / "ca.crl").unlink()
            self.assertFalse(finish(steps))
            self.assertIn("ca.crl: no such file", owner.facts()["error"])
            self.assertEqual(len(owner.revoked), 1)


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

    def test_a_pipe_keeps_nobody_waiting(self):
        os.mkfifo(self.folder / "pipe")
        pipe = str(self.folder / "pipe")
        self.refuse("pipe: expected a regular file", Certificate(certificate_file=pipe, key_file=pipe))

    def test_half_written(self):
        files = self.leaf.write(self.folder)
        chain = self.leaf.pem + self.root.pem
        for end in (len(self.leaf.pem) + 12, len(chain) - 100, len(chain) - 10):
            error = self.refuse("not a certificate: the file is cut off", Certificate(
                certificate_file=self.file("half", chain[:end]), key_file=files[1]))
            self.assertEqual(error.attribute, "certificate_file")

    def test_no_pem_and_an_encrypted_key(self):
        files = self.leaf.write(self.folder)
        self.refuse("expected a certificate in PEM", Certificate(
            certificate_file=self.file("empty", b"# nothing\n"), key_file=files[1]))
        locked = self.leaf.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"))
        self.refuse("the key is encrypted", Certificate(
            certificate_file=files[0], key_file=self.file("locked", locked)))
