"""Which groups of key exchange a context offers: by default, by a list, and where lists cannot be given."""

import ssl
from unittest import mock

from meshd.errors import MeshdError
from meshd.tls import groups
from tests.tls.side import TlsCase

NAMES = ("X25519", "prime256v1", "secp384r1", "secp521r1", "X448")


class Offered(TlsCase):
    def agrees(self, make_pair, name):
        """Say whether a peer that offers one group alone gets through."""
        side = ssl.PROTOCOL_TLS_SERVER if make_pair == self.call else ssl.PROTOCOL_TLS_CLIENT
        context = self.peer_context(side, self.leaf)
        context.set_ecdh_curve(name)
        tls = self.client(**self.settings) if make_pair == self.call else self.server(**self.settings)
        layer, peer = make_pair(tls, context=context)
        self.settle(peer)
        return layer.owner.said == ["secured"]

    def offered(self, **settings):
        """Return the groups that both sides take, towards clients and towards endpoints alike."""
        self.settings = settings
        towards_clients = [name for name in NAMES if self.agrees(self.serve, name)]
        self.assertEqual([name for name in NAMES if self.agrees(self.call, name)], towards_clients)
        return towards_clients

    def test_the_default_has_none_that_is_odd(self):
        self.assertTrue(groups.can_choose_several())
        self.assertEqual(self.offered(), ["X25519", "prime256v1", "secp384r1"])

    def test_a_list_is_kept_to(self):
        self.assertEqual(self.offered(ecdh_curves=("P-384", "X448")), ["secp384r1", "X448"])
        self.assertEqual(self.offered(ecdh_curves=("P-521",)), ["secp521r1"])

    def test_where_lists_cannot_be_given_one_can(self):
        with mock.patch.object(groups, "_give", None):
            self.assertFalse(groups.can_choose_several())
            self.assertEqual(self.offered(ecdh_curves=("P-384",)), ["secp384r1"])
            self.assertEqual(self.offered(), list(NAMES))

    def test_what_openssl_does_not_know_is_named(self):
        for names, what in ((("X25519", "P-7"), "'P-7': OpenSSL does not know it"),
                            (("P-256", "P-256"), "expected each once")):
            with self.assertRaisesRegex(MeshdError, f"ecdh_curves: {what}"):
                self.server(ecdh_curves=names)
        with mock.patch.object(groups, "_give", None), self.assertRaisesRegex(MeshdError, "ecdh_curves: 'P-7'"):
            self.server(ecdh_curves=("P-7",))

    def test_no_error_is_left_behind_for_the_next_connection(self):
        with self.assertRaises(MeshdError):
            self.server(ecdh_curves=("P-7",))
        layer, peer = self.serve()
        self.settle(peer)
        self.assertEqual(layer.owner.said, ["secured"])
