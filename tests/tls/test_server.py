"""TLS towards clients: which certificate is shown, who is let in, and what comes back for a session."""

import ssl
import time
import unittest
from unittest import mock

from meshd.model.tls import Certificate, DownstreamTls, SanMatch, Validation
from meshd.tls import direct
from meshd.tls.live import finish
from meshd.tls.server import ServerTls
from tests.pki import Authority, ExtendedKeyUsageOID
from tests.tls.side import TlsCase

RSA_ONLY = "ECDHE-RSA-AES128-GCM-SHA256"
ECDSA_ONLY = "ECDHE-ECDSA-AES128-GCM-SHA256"


class Choosing(TlsCase):
    def shown(self, tls, name, ciphers=None):
        """Return the certificate that a client sees who asks for ``name``."""
        context = self.peer_context()
        if ciphers:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers(ciphers)
        layer, peer = self.serve(tls, context=context, name=name)
        self.settle(peer)
        self.assertEqual(layer.owner.said, ["secured"])
        return peer.engine.getpeercert(True)

    def test_by_name_exact_before_wildcard_before_the_first(self):
        first, wild, exact = self.root.leaf("first"), self.root.leaf("*.example"), self.root.leaf("b.example")
        tls = self.server(first, wild, exact)
        for name, leaf in (("b.example", exact), ("B.Example", exact), ("c.example", wild), ("x.c.example", first),
                           ("other", first), (None, first)):
            self.assertEqual(self.shown(tls, name), leaf.der, name)

    def test_an_exact_name_goes_before_a_wildcard_of_the_other_kind_of_key(self):
        wild, exact = self.root.leaf("*.example"), self.root.leaf("a.example", kind="rsa")
        for tls in (self.server(wild, exact), self.server(exact, wild)):
            self.assertEqual(self.shown(tls, "a.example"), exact.der)
            self.assertEqual(self.shown(tls, "b.example"), wild.der)

    def test_by_the_clients_kinds_of_key(self):
        rsa, ecdsa = self.root.leaf("a.example", kind="rsa"), self.root.leaf("a.example")
        tls = self.server(rsa, ecdsa)
        self.assertEqual(self.shown(tls, "a.example", RSA_ONLY), rsa.der)
        self.assertEqual(self.shown(tls, "a.example", ECDSA_ONLY), ecdsa.der)

    def test_a_chain_is_shown_whole_for_each_kind_of_key(self):
        between = Authority("between", above=self.root)
        rsa, ecdsa = between.leaf("a.example", kind="rsa"), between.leaf("a.example")
        tls = self.server(rsa, ecdsa)
        for ciphers in (RSA_ONLY, ECDSA_ONLY):
            context = self.peer_context()
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers(ciphers)
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=self.root.pem.decode())
            layer, peer = self.serve(tls, context=context)
            self.settle(peer)
            self.assertEqual(layer.owner.said, ["secured"])

    def chain(self, leaf, authorities):
        """Return the certificates that a client is shown where ``authorities`` are those of clients."""
        files = self.file("authorities", b"".join(one.pem for one in authorities))
        tls = self.server(leaf, client_certificate="optional", validation=Validation(ca_file=files))
        layer, peer = self.serve(tls)
        self.settle(peer)
        self.assertEqual(layer.owner.said, ["secured"])
        return [ssl.PEM_cert_to_DER_cert(one.public_bytes()) for one in peer.engine._sslobj.get_unverified_chain()]

    def test_the_authorities_of_clients_complete_a_chain_of_one(self):
        shown = self.chain(self.leaf, [Authority("another"), self.root])
        self.assertEqual(shown, [self.leaf.der, ssl.PEM_cert_to_DER_cert(self.root.pem.decode())])

    def test_a_chain_of_several_is_shown_as_it_is(self):
        leaf = Authority("between", above=self.root).leaf("a.example")
        self.assertEqual(len(self.chain(leaf, [self.root])), 2)

    def test_one_file_may_hold_both_and_the_chain_is_shown_once(self):
        leaf = Authority("between", above=self.root).leaf("a.example")
        old = self.root.leaf("old")
        for text in (leaf.pem + leaf.key_pem, leaf.key_pem + leaf.pem):
            path = self.file("both", text)
            key = self.file("key", leaf.key_pem + old.pem)
            for certificate in (Certificate(certificate_file=path, key_file=path),
                                Certificate(certificate_file=path, key_file=key),
                                Certificate(certificate_file=self.file("other", leaf.pem + old.key_pem), key_file=key)):
                tls = ServerTls(DownstreamTls(certificates=(certificate,)), "listener it", "", self.world, self.cells())
                layer, peer = self.serve(tls)
                self.settle(peer)
                self.assertEqual(len(peer.engine._sslobj.get_unverified_chain()), 2)

    def test_openssl_chooses_where_two_authorities_have_one_name(self):
        shown = self.chain(self.leaf, [Authority(), self.root])
        self.assertEqual(shown[0], self.leaf.der)
        self.assertEqual(len(shown), 2)

    def test_a_name_without_san_is_the_common_name(self):
        leaf = self.root.leaf()
        tls = self.server(self.root.leaf("first"), leaf)
        self.assertEqual(self.shown(tls, "nobody"), leaf.der)


class Alpn(TlsCase):
    def agreed(self, ours, theirs):
        context = self.peer_context()
        context.set_alpn_protocols(theirs)
        layer, peer = self.serve(self.server(alpn=ours), context=context)
        self.settle(peer)
        return layer.security.alpn

    def test_our_order_decides_and_strangers_agree_on_nothing(self):
        self.assertEqual(self.agreed(("h2", "http/1.1"), ["http/1.1", "h2"]), "h2")
        self.assertEqual(self.agreed(("http/1.1",), ["h2", "http/1.1"]), "http/1.1")
        self.assertEqual(self.agreed(("h2",), ["smtp"]), "")


class Clients(TlsCase):
    """Client certificates, in every mode."""

    def attempt(self, tls, leaf=None):
        """Return what the owner heard of a client that shows ``leaf``."""
        context = self.peer_context(leaf=leaf)
        layer, peer = self.serve(tls, context=context)
        self.settle(peer)
        self.layer, self.peer = layer, peer
        return layer.owner.said

    def asking(self, mode, **rules):
        return self.server(client_certificate=mode, validation=self.validation(**rules))

    def test_required(self):
        tls = self.asking("required")
        good, strange = self.root.leaf("uri:spiffe://mesh/ns/a/sa/c"), Authority("other").leaf("x")
        self.assertEqual(self.attempt(tls, good), ["secured"])
        self.assertEqual(self.layer.security.peer.spiffe_id, "spiffe://mesh/ns/a/sa/c")
        self.assertEqual(self.attempt(tls), ["TLS_error:SSL routines:PEER_DID_NOT_RETURN_A_CERTIFICATE", "lost"])
        said = self.attempt(tls, strange)
        self.assertIn("verify cert failed: unable to get local issuer certificate", said[0])
        cells = tls.cells
        self.assertEqual((cells.handshake.value, cells.fail_verify_no_cert.value, cells.fail_verify_error.value,
                          cells.connection_error.value, cells.no_certificate.value), (1, 1, 1, 0, 0))

    def test_optional_takes_none_and_refuses_a_bad_one(self):
        tls = self.asking("optional")
        self.assertEqual(self.attempt(tls), ["secured"])
        self.assertIsNone(self.layer.security.peer)
        self.assertEqual(tls.cells.no_certificate.value, 1)
        self.assertEqual(self.attempt(tls, self.root.leaf("x")), ["secured"])
        self.assertEqual(self.attempt(tls, Authority("other").leaf("x"))[-1], "lost")
    def test_an_expired_one_and_one_for_servers_only_are_refused(self):

        tls = self.asking("required")
        self.assertIn("certificate has expired", self.attempt(tls, self.root.leaf("x", days=-1))[0])
        server_only = self.root.leaf("x", uses=(ExtendedKeyUsageOID.SERVER_AUTH,))
        self.assertIn("verify cert failed", self.attempt(tls, server_only)[0])

    def test_revoked_ones_are_refused(self):
        good, bad = self.root.leaf("good"), self.root.leaf("bad")
        tls = self.asking("required", crl_file=self.file("ca.crl", self.root.revoke(bad)))
        self.assertEqual(self.attempt(tls, good), ["secured"])
        self.assertIn("certificate revoked", self.attempt(tls, bad)[0])

    def test_names_and_hashes_are_asked_after_the_chain(self):
        tls = self.asking("required", subject_alt_names=(SanMatch(prefix="spiffe://mesh/", type="uri"),))
        self.assertEqual(self.attempt(tls, self.root.leaf("uri:spiffe://mesh/ns/a/sa/c")), ["secured"])
        self.assertIn("SAN matcher", self.attempt(tls, self.root.leaf("spiffe.mesh"))[0])
        self.assertEqual(tls.cells.fail_verify_san.value, 1)
        leaf = self.root.leaf("x")
        tls = self.asking("required", verify_certificate_hash=("00" * 32,))
        self.assertIn("cert hash and spki", self.attempt(tls, leaf)[0])
        self.assertEqual(tls.cells.fail_verify_cert_hash.value, 1)

    def test_an_authority_between_is_enough_of_a_root(self):
        between = Authority("between", above=self.root)
        tls = self.server(client_certificate="required", validation=self.validation(root=between))
        self.assertEqual(self.attempt(tls, between.leaf("x")), ["secured"])


class Sessions(TlsCase):
    def visit(self, tls, context, session=None, name="a.example"):
        """Return the session that a client gets."""
        layer, peer = self.serve(tls, context=context, name=name)
        if session is not None:
            peer.engine = context.wrap_bio(peer.incoming, peer.outgoing, server_hostname=name, session=session)
        self.settle(peer)
        layer.send(b"x")
        self.settle(peer)
        self.layer = layer
        return peer.engine.session

    def test_a_client_comes_back_with_a_short_handshake_in_both_versions(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            tls, context = self.server(), self.peer_context()
            context.maximum_version = version
            session = self.visit(tls, context)
            self.visit(tls, context, session)
            self.assertTrue(self.layer.security.is_resumed, version)

    def test_rules_for_clients_hold_for_short_handshakes(self):
        leaf = self.root.leaf("uri:spiffe://mesh/ns/a/sa/c")
        tls = self.server(client_certificate="required", validation=self.validation(spiffe=True))
        context = self.peer_context(leaf=leaf)
        session = self.visit(tls, context)
        self.visit(tls, context, session)
        self.assertTrue(self.layer.security.is_resumed)
        self.assertEqual(self.layer.security.peer.spiffe_id, "spiffe://mesh/ns/a/sa/c")
        self.assertEqual([one.der for one in self.layer.security.peer_chain], [leaf.der])

    def test_who_has_expired_comes_not_back_with_a_short_one(self):
        leaf = self.root.leaf("uri:spiffe://mesh/ns/a/sa/c")
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            tls = self.server(client_certificate="required", validation=self.validation())
            context = self.peer_context(leaf=leaf)
            context.maximum_version = version
            session = self.visit(tls, context)
            with mock.patch.object(self.world.clock, "wall", lambda: time.time() + 40 * 86400):
                self.visit(tls, context, session)
            self.assertIn("certificate has expired", self.layer.owner.said[0])
        self.assertEqual(tls.cells.fail_verify_error.value, 2)

    def test_a_session_of_another_listener_or_of_before_a_change_is_worth_nothing(self):
        first, context = self.server(), self.peer_context()
        session = self.visit(first, context)
        self.visit(self.server(), context, session)
        self.assertFalse(self.layer.security.is_resumed)
        finish(first.load())
        self.visit(first, context, session)
        self.assertFalse(self.layer.security.is_resumed)

    @unittest.skipUnless(direct.can_ask(), "OpenSSL cannot be asked directly")
    def test_without_tickets_there_is_nothing_to_come_back_with(self):
        for gives, takes in ((False, True), (True, False), (False, False)):
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                tls, context = self.server(session_tickets=gives), self.peer_context()
                context.maximum_version = version
                context.options |= 0 if takes else ssl.OP_NO_TICKET
                session = self.visit(tls, context)
                if session is not None and (not gives or version == ssl.TLSVersion.TLSv1_2):
                    self.visit(tls, context, session)
                    self.assertFalse(self.layer.security.is_resumed, (gives, takes, version))
            self.assertEqual(tls.choice.default.session_stats()["number"], 0)
