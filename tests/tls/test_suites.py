"""Which cipher suite of TLS 1.3 is agreed on: AES with 128 bits where both have it, the order of the peer's apart."""

import ssl
from unittest import mock

from meshd.tls import direct, suites
from tests.tls.side import TlsCase

AES_128, AES_256, CHACHA = "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"


class Agreed(TlsCase):
    def agreed(self, make_pair, *names):
        """Return what is agreed on with a peer that offers ``names``, the best first."""
        side = ssl.PROTOCOL_TLS_SERVER if make_pair == self.call else ssl.PROTOCOL_TLS_CLIENT
        context = self.peer_context(side, self.leaf)
        self.assertTrue(direct.set_suites(context, ":".join(names)))
        layer, peer = make_pair(context=context)
        self.settle(peer)
        self.assertEqual(layer.owner.said, ["secured"])
        return layer.security.cipher

    def test_towards_clients(self):
        self.assertEqual(self.agreed(self.serve, AES_128, AES_256, CHACHA), AES_128)
        self.assertEqual(self.agreed(self.serve, AES_256, CHACHA, AES_128), AES_128)
        self.assertEqual(self.agreed(self.serve, AES_256), AES_256)
        self.assertEqual(self.agreed(self.serve, CHACHA, AES_128, AES_256), CHACHA)

    def test_towards_endpoints(self):
        self.assertEqual(self.agreed(self.call, AES_256, CHACHA, AES_128), AES_256)  # theirs is the choice
        self.assertEqual(_of_13(self.client().context), [AES_128, AES_256, CHACHA])

    def test_what_openssl_must_not_have_does_not_come_back(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        direct.set_suites(context, f"{AES_256}:{AES_128}")
        suites.arrange(context)
        self.assertEqual(_of_13(context), [AES_128, AES_256])
        direct.set_suites(context, AES_256)
        suites.arrange(context)
        self.assertEqual(_of_13(context), [AES_256])

    def test_where_openssl_cannot_be_asked_its_order_stays(self):
        with mock.patch.object(direct, "_openssl", None):
            self.assertFalse(direct.can_ask())
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            before = _of_13(context)
            suites.arrange(context)
            self.assertEqual(_of_13(context), before)


def _of_13(context):
    return [suite["name"] for suite in context.get_ciphers() if suite["protocol"] == "TLSv1.3"]
