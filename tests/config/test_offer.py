"""Protocols that are offered over TLS: what the codec does not speak is warned of, each word at its place."""

import tempfile
from pathlib import Path

from meshd.errors import ConfigurationError
from tests.config.one_listener import CLUSTERS, HTTP, TCP, ListenerTestCase
from tests.pki import Authority

CHAIN = "filter_chains: [{name: x, match: {server_names: [a.b]}, "
LAST = "default_filter_chain: {name: z, "


class Offers(ListenerTestCase):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        Authority().leaf("a.example").write(Path(folder.name))
        self.pair = f"certificates: [{{certificate_file: {folder.name}/tls.crt, key_file: {folder.name}/tls.key}}]"

    def tls(self, *words):
        return f"tls: {{{self.pair}, alpn: [{', '.join(words)}]}}"

    def warned(self, listener):
        """Return the paths below the listener that are warned of."""
        self.found = self.read(listener).warnings
        self.assertEqual({(one.code, one.severity) for one in self.found} - {("MSH0125", "warning")}, set())
        return [one.path.removeprefix("listeners[0].") for one in self.found]

    def test_the_listener_as_its_own_chain(self):
        both = self.tls("h2", "http/1.1")
        for codec, paths in (("auto", []), ("http1", ["tls.alpn[0]"]), ("http2", ["tls.alpn[1]"])):
            self.assertEqual(self.warned(f"{HTTP}, {both}, http: {{codec: {codec}}}"), paths)
        self.assertEqual(self.found[0].message, "http/1.1 is offered to clients, and codec is http2")
        self.assertEqual(self.found[0].hint, "remove it, or codec: auto")
        self.assertEqual(self.found[0].mark.line, 3)
        self.assertEqual(self.warned(f"{HTTP}, {both}"), [])

    def test_words_of_istio_and_of_others(self):
        words = self.tls("istio-h2", "istio-http/1.1", "istio", "acme-tls/1")
        self.assertEqual(self.warned(f"{HTTP}, {words}, http: {{codec: http1}}"), ["tls.alpn[0]"])
        self.assertEqual(self.warned(f"{HTTP}, {words}, http: {{codec: http2}}"), ["tls.alpn[1]"])

    def test_chains_have_the_listeners_codec_unless_they_have_their_own(self):
        h2 = self.tls("h2")
        chains = (f"{CHAIN}{HTTP}, {h2}}}], {LAST}{HTTP}, {h2}, http: {{codec: http2}}}}, "
                  "listener_filters: [tls_inspector]")
        self.assertEqual(self.warned(f"{chains}, http: {{codec: http1}}"), ["filter_chains[0].tls.alpn[0]"])
        self.assertEqual(self.warned(chains), [])
        self.assertEqual(self.warned(f"{LAST}{HTTP}, {h2}, http: {{codec: http1}}}}"),
                         ["default_filter_chain.tls.alpn[0]"])

    def test_bytes_may_be_anything(self):
        self.assertEqual(self.warned(f"{LAST}{TCP}, {self.tls('h2', 'http/1.1')}}}"), [])
        self.assertEqual(self.warned(f"{HTTP}, tls: {{{self.pair}}}, http: {{codec: http1}}"), [])


class AskedNames(ListenerTestCase):
    """A name that no server can be asked for."""

    def test_sni(self):
        for name, is_good in (("a.example", True), ("a", True), ("bücher.example", True), ("10.0.0.1", True),
                              ("_sip.a", True), ("a b", False), ("a..b", False), ("a\\tb", False), ("a" * 64, False)):
            clusters = CLUSTERS.replace("}]}]", '}], tls: {sni: "' + name + '", insecure_skip_verify: true}}]')
            with self.subTest(name):
                if is_good:
                    self.assertEqual(self.read(TCP, clusters).warnings, ())
                    continue
                with self.assertRaises(ConfigurationError) as caught:
                    self.read(TCP, clusters)
                (fault,) = caught.exception.faults
                self.assertEqual((fault.code, fault.path), ("MSH0113", "clusters[0].tls.sni"))
