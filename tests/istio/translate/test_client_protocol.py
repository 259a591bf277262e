"""Which HTTP goes to endpoints: by the port, the DestinationRule, the mesh (istiod's rules)."""

import unittest
from types import SimpleNamespace

from meshd_plugins.istio.emit import At
from meshd_plugins.istio.translate.client_protocol import client_protocol


def plain(value):
    """Take the places out."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items() if one is not None}
    return plain(value.value) if isinstance(value, At) else value


def found(protocol, mesh="DO_NOT_UPGRADE", **http):
    """Return what is written for a port."""
    block = SimpleNamespace(node=None, use_client_protocol=False, h2_upgrade_policy="DEFAULT",
                            max_concurrent_streams=0, http2_keep_alive=None)
    vars(block).update(http)
    return plain(client_protocol(protocol, SimpleNamespace(http=block), SimpleNamespace(h2_upgrade_policy=mesh)))


class ClientProtocol(unittest.TestCase):
    def test_the_port_says_it(self):
        for protocol in ("http2", "grpc", "grpc-web"):
            self.assertEqual(found(protocol), {"protocol": "http2", "http2": {"max_concurrent_streams": 2**30}})
        self.assertEqual(found("http"), {})
        self.assertEqual(client_protocol("http", None, None), {})

    def test_upgrades(self):
        self.assertEqual(found("http", "UPGRADE")["protocol"], "http2")
        self.assertEqual(found("http", "UPGRADE", h2_upgrade_policy="DO_NOT_UPGRADE"), {})
        self.assertEqual(found("http", h2_upgrade_policy="UPGRADE")["protocol"], "http2")
        self.assertEqual(found("tcp", "UPGRADE"), {})
        self.assertEqual(found("", h2_upgrade_policy="UPGRADE")["protocol"], "http2")

    def test_what_the_client_speaks_comes_first(self):
        for protocol in ("http", "grpc"):
            self.assertEqual(found(protocol, "UPGRADE", use_client_protocol=True)["protocol"],
                             "use_downstream_protocol")

    def test_streams_and_pings(self):
        pings = SimpleNamespace(node=None, interval_s=10.0, timeout_s=5.0)
        self.assertEqual(found("http2", max_concurrent_streams=7, http2_keep_alive=pings)["http2"], {
            "max_concurrent_streams": 7, "connection_keepalive": {"interval": "10s", "timeout": "5s"}})


if __name__ == "__main__":
    unittest.main()
