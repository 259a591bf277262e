"""The settings of listeners, Istio's defaults."""

from unittest import TestCase

from tests.istio.view import document, gateway, service, sidecar, view


def config(**spec):
    """Return a MeshConfig."""
    return document("MeshConfig", "mesh", spec)


class Settings(TestCase):
    def test_a_gateway_trusts_nobody_s_forwarded_for_unless_told(self):
        http = view(gateway()).listener().http
        self.assertEqual((http.use_remote_address, http.xff_num_trusted_hops), (True, 0))
        topology = config(defaultConfig={"gatewayTopology": {"numTrustedProxies": 2}})
        self.assertEqual(view(gateway(), topology).listener().http.xff_num_trusted_hops, 2)

    def test_a_sidecar_trusts_its_workload(self):
        http = view(service("a.test"), sidecar(80), role="sidecar").listener().http
        self.assertFalse(http.use_remote_address)

    def test_http_1_0_is_refused_and_idle_connections_stay_an_hour(self):
        found = view(gateway()).listener()
        self.assertEqual((found.http.accept_http_10, found.timeouts.idle_s), (False, 3600.0))

    def test_paths_are_made_normal_as_the_mesh_says(self):
        for word, wanted in (("", (True, False, "keep_unchanged")), ("DEFAULT", (True, False, "keep_unchanged")),
                             ("NONE", (False, False, "keep_unchanged")), ("BASE", (True, False, "keep_unchanged")),
                             ("MERGE_SLASHES", (True, True, "keep_unchanged")),
                             ("DECODE_AND_MERGE_SLASHES", (True, True, "unescape_and_forward"))):
            more = [config(pathNormalization={"normalization": word})] if word else []
            with self.subTest(word=word):
                http = view(gateway(), *more).listener().http
                self.assertEqual((http.normalize_path, http.merge_slashes, http.path_with_escaped_slashes_action),
                                 wanted)

    def test_addresses_of_ip_6_are_bracketed(self):
        self.assertEqual(view(gateway(bind="::1")).listener().address, "[::1]:80")
