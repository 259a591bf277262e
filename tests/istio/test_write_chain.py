"""Filter chains and listeners of bytes as documents: they come back as they were, and what is lost is said."""

import json
import tempfile
from pathlib import Path
from unittest import TestCase

from meshd.config.load import load_documents
from meshd.config.source import Documents
from meshd.document.fault import Faults
from meshd.document.tree import parse_all
from meshd.testing.registry import installed
from meshd_plugins.istio.write import write
from tests.istio.view import view
from tests.pki import Authority

A, B = "outbound|443||a.test", "outbound|9000|v1|b.test"
CLUSTERS = [{"name": A, "endpoints": [{"address": "10.0.0.1:8443"}]},
            {"name": B, "endpoints": [{"address": "10.0.0.2:9000", "labels": {"version": "v1"}}]}]
TO_A, TO_B = [{"tcp_proxy": {"cluster": A}}], [{"tcp_proxy": {"cluster": B}}]
SHOP = {"certificates": [{"secret": "shop"}]}


def router(*domains, cluster=A):
    """Return the filters of a chain of requests."""
    routes = [{"name": "r", "match": {"prefix": "/"}, "cluster": cluster}]
    return [{"router": {"virtual_hosts": [{"name": "all", "domains": list(domains), "routes": routes}]}}]


def chain(name, *names, **more):
    """Return a filter chain."""
    return {"name": name, **({"match": {"server_names": list(names)}} if names else {}), **more}


class Chains(TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        root, secret = Authority(), Path(self.folder, "shop")
        secret.mkdir()
        root.leaf("a.test").write(secret)
        (secret / "ca.crt").write_bytes(root.pem)

    def written(self, listener, lost=(), role="ingress"):
        """Return what the documents of a listener come back as: chains by (server names) -> (goes to, secret)."""
        native = {"node": {"role": role}, "secrets": {"directory": self.folder}, "clusters": CLUSTERS,
                  "listeners": [{"name": "edge", "address": "0.0.0.0:8443", **listener}]}
        faults = Faults()
        roots = tuple(parse_all("native.yaml", json.dumps(native).encode(), faults))
        documents, losses = write(load_documents(Documents(roots, (), faults, True), installed()).snapshot)
        self.assertEqual([one.removeprefix("listener edge: ") for one in losses], list(lost))
        seen = view(*map(json.dumps, documents), secrets=self.folder, role=role)
        self.assertEqual(seen.unsupported, ())
        return {one.match.server_names: (goes(one), one.tls and one.tls.certificates[0].secret)
                for listener in seen.snapshot.listeners for one in listener.chains}

    def chains(self, *chains, **more):
        return self.written({"listener_filters": ["tls_inspector"], "filter_chains": list(chains)}, **more)

    def test_each_chain_is_a_server_with_its_names(self):
        found = self.chains(chain("a", "a.test", tls=SHOP, filters=router("a.test")),
                            chain("b", "b.test", "*.b.test", network_filters=TO_B),
                            chain("c", "c.test", tls=SHOP, network_filters=TO_A))
        self.assertEqual(found, {("a.test",): (A, "shop"), ("b.test", "*.b.test"): (B, None), ("c.test",): (A, "shop")})

    def test_a_chain_for_all_tls_passes_all(self):
        all_tls = {"name": "a", "match": {"transport_protocol": "tls"}, "network_filters": TO_A}
        self.assertEqual(self.chains(all_tls), {(): (A, None)})

    def test_shares_have_their_weights(self):
        shares = [{"tcp_proxy": {"weighted_clusters": [{"cluster": A, "weight": 3}, {"cluster": B, "weight": 1}]}}]
        self.assertEqual(self.written({"network_filters": shares}), {(): ([(A, 3), (B, 1)], None)})

    def test_a_listener_of_bytes_has_one_server(self):
        self.assertEqual(self.written({"network_filters": TO_B}), {(): (B, None)})
        self.assertEqual(self.written({"network_filters": TO_B, "tls": SHOP}), {(): (B, "shop")})

    def test_what_cannot_be_said_is(self):
        plain = chain("p", filters=router("*"))
        self.assertEqual(self.chains(chain("a", "a.test", network_filters=TO_A), plain, lost=[
            "chain p: plain text beside TLS on one port cannot be said: left out"]), {("a.test",): (A, None)})
        self.assertEqual(self.chains(chain("a", "a.test", tls=SHOP, filters=router("x.test", "a.test")), lost=[
            "chain a: requests for x.test other than its server names get 404"]), {("a.test",): (A, "shop")})
        limited = [{"connection_limit": {"max_connections": 1}}, {"tcp_proxy": {"cluster": A, "idle_timeout": "5s"}}]
        self.assertEqual(self.written({"network_filters": limited}, [
            "network filter connection_limit has no document of Istio's",
            "tcp_proxy: idle_timeout has no field of Istio's"]), {(): (A, None)})
        ports = chain("a", network_filters=TO_A)
        ports["match"] = {"destination_port": 80}
        self.assertEqual(self.written({"filter_chains": [ports], "listener_filters": ["http_inspector"]}, [
            "listener filter http_inspector has no document of Istio's",
            "chain a: match: destination_port has no field of Istio's"]), {(): (A, None)})

    def test_what_has_no_document_is_left_out(self):
        named = [{"tcp_proxy": {}}]
        self.assertEqual(self.written({"network_filters": ["sni_cluster", *named], "listener_filters": [
            "tls_inspector"]}, ["network filter sni_cluster has no document of Istio's",
                                "tcp_proxy names no cluster: left out"]), {})
        self.assertEqual(self.written({"protocol": "udp", "udp": {"cluster": A}}, [
            "UDP has no document of Istio's: left out"]), {})
        self.assertEqual(self.written({"network_filters": TO_A}, [
            "chains and TCP of a sidecar follow from services and have no document: left out"], "sidecar"), {})


def goes(chain):
    """Return where a chain leads: a cluster, or [(cluster, weight)]."""
    if chain.filters:
        return chain.filters[-1].config.virtual_hosts[0].routes[0].cluster
    plan = chain.network_filters[-1].config
    return plan.cluster or [(one.cluster, one.weight) for one in plan.weighted_clusters]
