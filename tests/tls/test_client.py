"""TLS towards endpoints: who is believed, which name is asked for, sessions."""

import ssl
import time
from unittest import mock

from meshd.model.tls import SanMatch, Validation
from meshd.tls.client import of_mesh
from meshd.tls.live import finish
from meshd.wire.tls.certificate import Certificate
from tests.pki import Authority, Leaf
from tests.tls.side import TlsCase


class Believing(TlsCase):
    def attempt(self, tls, leaf=None, name="a.example"):
        """Return what the owner heard of an endpoint that shows ``leaf``."""
        context = self.peer_context(ssl.PROTOCOL_TLS_SERVER, leaf or self.leaf)
        self.layer, self.peer = self.call(tls, context=context, name=name)
        self.settle(self.peer)
        return self.layer.owner.said

    def test_its_chain_and_its_name(self):
        tls = self.client()
        self.assertEqual(self.attempt(tls), ["secured"])
        self.assertIn("self-signed certificate", self.attempt(tls, self_signed())[0])
        self.assertIn("unable to get local issuer", self.attempt(tls, Authority("other").leaf("a.example"))[0])
        self.assertIn("SAN matcher", self.attempt(tls, self.root.leaf("b.example"))[0])
        cells = tls.cells
        self.assertEqual(
            (cells.handshake.value, cells.fail_verify_error.value, cells.fail_verify_san.value), (1, 2, 1))

    def test_names_that_are_configured_take_the_place_of_the_one_asked_for(self):
        tls = self.client(validation=self.validation(
            subject_alt_names=(SanMatch(exact="spiffe://mesh/ns/a/sa/b", type="uri"),)))
        self.assertEqual(self.attempt(tls, name="whatever.example"), ["secured"])
        self.assertIn("SAN matcher", self.attempt(tls, self.root.leaf("whatever.example"), "whatever.example")[0])

    def test_without_the_check_of_the_name_the_chain_still_counts(self):
        tls = self.client(auto_san_validation=False)
        self.assertEqual(self.attempt(tls, self.root.leaf("b.example")), ["secured"])
        self.assertEqual(self.attempt(tls, Authority("other").leaf("a.example"))[-1], "lost")

    def test_hashes_alone(self):
        pin = Certificate(self.leaf.der).spki_hash
        tls = self.client(validation=Validation(verify_certificate_spki=(pin,)))
        self.assertEqual(self.attempt(tls), ["secured"])
        self.assertIn("cert hash and spki", self.attempt(tls, self.root.leaf("a.example"))[0])

    def test_nothing_only_where_that_is_said(self):
        tls = self.client(validation=None, insecure_skip_verify=True)
        self.assertEqual(self.attempt(tls, self_signed()), ["secured"])

    def test_without_a_validation_the_system_decides(self):
        tls = self.client(validation=None)
        self.assertEqual(self.attempt(tls)[-1], "lost")
        self.assertEqual(tls.context.verify_mode, ssl.CERT_REQUIRED)

    def test_words_of_istio_come_before_the_protocols_that_they_stand_for(self):
        for agreed in ("istio-h2", "istio-http/1.1", "istio", "h2"):
            context = self.peer_context(ssl.PROTOCOL_TLS_SERVER, self.leaf)
            context.set_alpn_protocols([agreed])
            layer, peer = self.call(self.client(("h2", "http/1.1"), mesh_alpn=True), context=context)
            self.settle(peer)
            self.assertEqual(layer.security.alpn, agreed)
        self.assertEqual(of_mesh(("http/1.1",)), ("istio-http/1.1", "istio", "http/1.1"))
        self.assertEqual(of_mesh(()), ("istio",))

    def test_our_certificate_is_shown(self):
        ours = self.root.leaf("uri:spiffe://mesh/ns/a/sa/us")
        tls = self.client(certificate=self.certificate(ours, "ours"))
        context = self.peer_context(ssl.PROTOCOL_TLS_SERVER, self.leaf)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=self.root.pem.decode())
        layer, peer = self.call(tls, context=context)
        self.settle(peer)
        self.assertEqual(peer.engine.getpeercert(True), ours.der)


class Names(TlsCase):
    def test_which_name_is_asked_for(self):
        auto = self.client(sni=None)
        self.assertEqual(auto.name_for("Shop.Example:8443", "10.0.0.1:443"), "shop.example")
        self.assertEqual(auto.name_for("", "shop.example:443"), "shop.example")
        self.assertEqual((auto.name_for("a.b.:80", "x:1"), auto.name_for("", "x.:1")), ("a.b", "x"))
        self.assertEqual(auto.name_for("[::1]:80", ""), "::1")
        self.assertEqual(auto.name_for("", "unix:/run/x"), "")
        self.assertEqual(self.client().name_for("shop.example", "x:1"), "a.example")
        self.assertEqual(self.client(sni=None, auto_sni=False).name_for("shop.example", "x:1"), "")

    def test_a_name_that_cannot_be_asked_for_is_a_failure_with_its_cause(self):
        layer, peer = self.call(name="a" * 300)
        self.assertIn("cannot be asked for", layer.owner.said[0])

    def test_an_address_is_checked_as_one(self):
        tls = self.client(sni=None)
        for names, said in ((("ip:10.0.0.1",), "secured"), (("a.example",), "lost")):
            context = self.peer_context(ssl.PROTOCOL_TLS_SERVER, self.root.leaf(*names))
            layer, peer = self.call(tls, context=context, name="10.0.0.1")
            self.settle(peer)
            self.assertEqual(layer.owner.said[-1], said)


class Resumption(TlsCase):
    def visit(self, tls, context):
        layer, peer = self.call(tls, context=context)
        self.settle(peer)
        peer.engine.write(b"data")
        self.settle(peer)
        self.assertEqual(layer.owner.data, b"data")
        return layer.security.is_resumed

    def test_it_comes_back_to_an_endpoint_with_a_short_handshake(self):
        context = self.peer_context(ssl.PROTOCOL_TLS_SERVER, self.leaf)
        tls = self.client()
        self.assertEqual([self.visit(tls, context) for _ in range(3)], [False, True, True])
        self.assertEqual(tls.cells.session_reused.value, 2)

    def test_a_session_serves_until_it_is_refused_and_who_takes_none_is_not_asked_again(self):
        tls, key = self.client(), ("10.0.0.1:443", "a.example")

        def known(context):
            """Return whether that was short, and the session that is kept."""
            return self.visit(tls, context), tls.sessions[key][0]

        good = self.peer_context(ssl.PROTOCOL_TLS_SERVER, self.leaf)
        first, again, third = known(good), known(good), known(good)
        self.assertEqual((first[0], again, third), (False, (True, first[1]), (True, first[1])))
        renewed = self.peer_context(ssl.PROTOCOL_TLS_SERVER, self.leaf)
        second = known(renewed)
        self.assertFalse(second[0])
        self.assertIsNot(second[1], first[1])
        self.assertEqual(known(renewed), (True, second[1]))
        strangers = [known(self.peer_context(ssl.PROTOCOL_TLS_SERVER, self.leaf)) for _ in range(4)]
        self.assertEqual([session is None for _, session in strangers], [False, False, True, True])
        self.assertEqual(known(good), (False, None))

    def test_one_that_breaks_the_connection_is_not_offered_again(self):
        tls = self.client()
        for count in (1, 2, 3):
            good = self.peer_context(ssl.PROTOCOL_TLS_SERVER, self.leaf)
            self.assertFalse(self.visit(tls, good))
            layer, peer = self.call(tls, context=good)
            self.settle(peer)
            self.assertTrue(layer.security.is_resumed)
            peer.sock.close()
            self.world.turn()
            self.assertEqual((layer.owner.said[-1], tls.sessions["10.0.0.1:443", "a.example"][:2]), (
                "eof", (None, count)))
        self.assertEqual([self.visit(tls, good), self.visit(tls, good)], [False, False])

    def test_one_of_a_certificate_that_has_expired_is_not_offered(self):
        context = self.peer_context(ssl.PROTOCOL_TLS_SERVER, self.leaf)
        tls = self.client()
        self.visit(tls, context)
        with mock.patch.object(self.world.clock, "wall", lambda: time.time() + 40 * 86400):
            self.assertFalse(self.visit(tls, context))

    def test_one_of_a_certificate_that_nobody_verifies_serves_though_it_has_expired(self):
        context = self.peer_context(ssl.PROTOCOL_TLS_SERVER, self.leaf)
        tls = self.client(validation=None, insecure_skip_verify=True)
        with mock.patch.object(self.world.clock, "wall", lambda: time.time() + 40 * 86400):
            self.assertEqual([self.visit(tls, context) for _ in range(3)], [False, True, True])

    def test_not_where_that_is_off_nor_with_other_files(self):
        context = self.peer_context(ssl.PROTOCOL_TLS_SERVER, self.leaf)
        off = self.client(session_resumption=False)
        self.assertEqual([self.visit(off, context) for _ in range(2)], [False, False])
        tls = self.client()
        self.visit(tls, context)
        finish(tls.load())
        self.assertFalse(self.visit(tls, context))


def self_signed():
    """Return a leaf that is its own authority."""
    root = Authority("a.example")
    return Leaf(root.certificate, root.key)
