"""ISTIO_MUTUAL on both sides, and AUTO_PASSTHROUGH, in the native form."""

import shutil
import tempfile
from functools import cache
from pathlib import Path
from unittest import TestCase

from tests.istio.view import document, faults_of, gateway, rules, service, versions
from tests.istio.view import view as view_of
from tests.pki import Authority

HTTPS = {"number": 443, "name": "https", "protocol": "HTTPS"}
TLS = {"number": 15443, "name": "tls", "protocol": "TLS"}
TO_A = "- {name: r, route: [{destination: {host: a.test}}]}"
FILES = ("cert-chain.pem", "key.pem", "root-cert.pem")
MESH = document("MeshConfig", "mesh", {"trustDomain": "corp", "trustDomainAliases": ["old.corp"]})


@cache
def folder():
    """Return a folder of secrets with the identity ``mesh``, in files as Istio names them."""
    found = Path(tempfile.mkdtemp(prefix="meshd-secrets-"))
    root = Authority()
    (found / "mesh").mkdir()
    leaf = root.leaf("uri:spiffe://corp/ns/default/sa/web")
    for name, data in zip(FILES, (leaf.pem, leaf.key_pem, root.pem), strict=True):
        (found / "mesh" / name).write_bytes(data)
        (found / "mesh" / name).chmod(0o600)
    return str(found)


def tearDownModule():
    """Take it away."""
    shutil.rmtree(folder(), ignore_errors=True)
    folder.cache_clear()


def view(*texts, **more):
    """Return what a node with an identity sees."""
    return view_of(*texts, secrets=folder(), **{"identity": "mesh", **more})


def policy(subsets=(), **tls):
    """Return a DestinationRule for a.test."""
    return document("DestinationRule", "d", {"host": "a.test", "subsets": list(subsets),
                                             "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL", **tls}}})


def towards(rule, *texts, entry=None, subset="", **node):
    """Return the ``tls`` of the cluster that a.test leads to, and what was seen."""
    to = f"- route: [{{destination: {{host: a.test{f', subset: {subset}' if subset else ''}}}}}]"
    seen = view(gateway(), rules("r", to), entry or service("a.test"), rule, *texts, **node)
    return seen.cluster(f"outbound|80|{subset}|a.test").tls, seen


def server(mode, hosts=("*",), port=None, **tls):
    """Return a Gateway with one server."""
    return document("Gateway", "edge", {"selector": {"istio": "ingressgateway"}, "servers": [
        {"port": port or HTTPS, "hosts": list(hosts), "tls": {"mode": mode, **tls}}]})


def exact(validation):
    """Return the names that a validation asks for."""
    return [one.exact for one in validation.subject_alt_names]


class Clients(TestCase):
    def test_the_identity_is_shown_and_its_authorities_are_trusted(self):
        tls, seen = towards(policy())
        self.assertEqual((tls.certificate.secret, tls.validation.secret, tls.mesh_alpn, seen.warnings),
                         ("mesh", "mesh", True, ()))

    def test_the_server_name_is_that_of_the_cluster_or_the_rule_s(self):
        self.assertEqual(towards(policy())[0].sni, "outbound_.80_._.a.test")
        tls, _ = towards(policy([{"name": "v1", "labels": {}}]), subset="v1")
        self.assertEqual(tls.sni, "outbound_.80_.v1_.a.test")
        self.assertEqual(towards(policy(sni="x.test"))[0].sni, "x.test")

    def test_without_accounts_the_peer_is_any_of_the_trust_domains(self):
        tls, _ = towards(policy())
        self.assertEqual((tls.validation.spiffe, tls.validation.trust_domains, tls.auto_san_validation),
                         (True, ("cluster.local",), False))
        self.assertEqual(towards(policy(), MESH)[0].validation.trust_domains, ("corp", "old.corp"))

    def test_names_are_the_rule_s_then_the_entry_s_then_of_the_endpoints_accounts(self):
        points = [{"address": "10.0.0.1", "serviceAccount": "a"}, {"address": "10.0.0.2"},
                  {"address": "10.0.0.3", "serviceAccount": "a"}, {"address": "10.0.0.4", "serviceAccount": "b"}]
        entry = service("a.test", endpoints=points)
        self.assertEqual(exact(towards(policy(), MESH, entry=entry)[0].validation), [
            f"spiffe://{domain}/ns/default/sa/{account}" for account in "ab" for domain in ("corp", "old.corp")])
        entry = service("a.test", endpoints=points, subjectAltNames=["spiffe://other/ns/x/sa/y"])
        self.assertEqual(exact(towards(policy(), entry=entry)[0].validation), ["spiffe://other/ns/x/sa/y"])
        tls, _ = towards(policy(subjectAltNames=["spiffe://own/ns/x/sa/y"]), entry=entry)
        self.assertEqual((exact(tls.validation), tls.validation.trust_domains), (["spiffe://own/ns/x/sa/y"], ()))

    def test_accounts_of_workload_entries_are_in_their_namespace(self):
        entry = service("a.test", namespace="shop", endpoints=(), workloadSelector={"labels": {"app": "a"}})
        workload = document("WorkloadEntry", "w", {"address": "10.0.0.1", "labels": {"app": "a"},
                                                   "serviceAccount": "till"}, "shop")
        self.assertEqual(exact(towards(policy(), workload, entry=entry)[0].validation),
                         ["spiffe://cluster.local/ns/shop/sa/till"])

    def test_a_port_of_bytes_offers_the_word_for_bytes(self):
        rule = document("VirtualService", "r", {"hosts": ["*"], "gateways": ["edge"], "tcp": [
            {"route": [{"destination": {"host": "a.test"}}]}]})
        port = {"number": 9000, "name": "tcp", "protocol": "TCP"}
        seen = view(document("Gateway", "edge", {"selector": {"istio": "ingressgateway"}, "servers": [
            {"port": port, "hosts": ["*"]}]}), service("a.test", ports=((9000, "tcp"),)), rule, policy())
        tls = seen.cluster("outbound|9000||a.test").tls
        self.assertEqual((tls.alpn, tls.mesh_alpn, tls.sni), (("istio",), False, "outbound_.9000_._.a.test"))

    def test_files_beside_it_are_warned_of(self):
        _, seen = towards(policy(caCertificates="/x"))
        self.assertEqual([one.path for one in seen.unsupported], ["spec.trafficPolicy.tls.caCertificates"])

    def test_without_an_identity_it_is_a_fault_that_says_what_to_do(self):
        found = faults_of(gateway(), service("a.test"), policy(), rules("r", TO_A))
        fault = next(one for one in found if one.code == "MSH0320")
        self.assertIn("node.identity", fault.help)
        self.assertIn("a.test", fault.message)

    def test_an_absolute_path_is_a_folder_anywhere(self):
        tls, _ = towards(policy(), identity=f"{folder()}/mesh")
        self.assertEqual(tls.certificate.secret, f"{folder()}/mesh")

    def test_files_that_are_not_there_are_named(self):
        with self.assertRaisesRegex(Exception, "none/tls.crt"):
            towards(policy(), identity="none")


class Servers(TestCase):
    def served(self, *texts, **tls):
        return view(server("ISTIO_MUTUAL", **tls), service("a.test"), rules("r", TO_A), *texts).listener().chains[0].tls

    def test_clients_must_be_of_the_mesh(self):
        tls = self.served(MESH)
        self.assertEqual(([one.secret for one in tls.certificates], tls.client_certificate, tls.validation.secret),
                         (["mesh"], "required", "mesh"))
        self.assertEqual((tls.validation.spiffe, tls.validation.trust_domains), (True, ("corp", "old.corp")))

    def test_names_and_hashes_and_versions_narrow_it(self):
        tls = self.served(subjectAltNames=["spiffe://corp/ns/a/sa/b"], verifyCertificateHash=["ab" * 32],
                          minProtocolVersion="TLSV1_3")
        self.assertEqual((exact(tls.validation), tls.validation.verify_certificate_hash, tls.min_version),
                         (["spiffe://corp/ns/a/sa/b"], ("ab" * 32,), "1.3"))

    def test_bytes_end_here_too(self):
        rule = document("VirtualService", "r", {"hosts": ["*"], "gateways": ["edge"], "tcp": [
            {"route": [{"destination": {"host": "a.test"}}]}]})
        seen = view(server("ISTIO_MUTUAL", port=TLS), service("a.test", ports=((9000, "tcp"),)), rule)
        chain = seen.listener().chains[0]
        self.assertEqual((chain.tls.client_certificate, chain.network_filters[-1].config.cluster),
                         ("required", "outbound|9000||a.test"))

    def test_without_an_identity_it_is_a_fault(self):
        found = faults_of(server("ISTIO_MUTUAL"), service("a.test"), rules("r", TO_A))
        self.assertEqual([(one.code, one.path) for one in found], [("MSH0320", "spec.servers[0].tls.mode")])


class Passing(TestCase):
    def chains(self, *texts, hosts=("*.test",)):
        seen = view_of(server("AUTO_PASSTHROUGH", hosts, TLS), *texts)
        return {one.match.server_names[0]: one for one in seen.listener().chains}, seen

    def test_each_port_and_subset_is_a_chain_by_the_name_of_its_cluster(self):
        found, seen = self.chains(versions("a.test", "v1", ports=((80, "http"), (9000, "tcp"))))
        self.assertEqual(sorted(found), ["outbound_.80_._.a.test", "outbound_.80_.v1_.a.test",
                                         "outbound_.9000_._.a.test", "outbound_.9000_.v1_.a.test"])
        for name, chain in found.items():
            self.assertEqual((chain.network_filters[-1].config.cluster, chain.tls), (name, None))
            self.assertIn("istio-http/1.1", chain.match.application_protocols)
        self.assertEqual((seen.unsupported, [one.type for one in seen.listener().listener_filters]),
                         ((), ["tls_inspector"]))

    def test_hosts_of_the_server_bound_it(self):
        found, _ = self.chains(service("a.test"), service("b.test"), service("c.other"), hosts=["b.test", "./c.other"])
        self.assertEqual(sorted(found), ["outbound_.80_._.b.test", "outbound_.80_._.c.other"])
        found, _ = self.chains(service("a.test"), service("b.test", namespace="shop"), hosts=["shop/*"])
        self.assertEqual(sorted(found), ["outbound_.80_._.b.test"])

    def test_what_is_outside_of_the_mesh_is_not_reached(self):
        self.assertEqual(list(self.chains(service("a.test"), service("b.test", location="MESH_EXTERNAL"))[0]),
                         ["outbound_.80_._.a.test"])

    def test_the_bytes_are_as_they_came_and_the_rest_is_the_destination_s(self):
        rule = document("DestinationRule", "d", {"host": "a.test", "trafficPolicy": {
            "tls": {"mode": "ISTIO_MUTUAL"}, "connectionPool": {"tcp": {"maxConnections": 7, "idleTimeout": "5s"}}}})
        found, seen = self.chains(service("a.test"), rule)
        cluster = seen.cluster("outbound_.80_._.a.test")
        self.assertEqual((cluster.tls, cluster.circuit_breaker.config.max_connections), (None, 7))
        chain = found["outbound_.80_._.a.test"]
        self.assertEqual(chain.network_filters[-1].config.idle_timeout_s, 5)


class Telling(TestCase):
    def told(self, mode, topology=None):
        config = [document("MeshConfig", "mesh", {"defaultConfig": {"gatewayTopology": topology}})] if topology else []
        seen = view(server(mode, **({} if mode == "ISTIO_MUTUAL" else {"credentialName": "mesh"})),
                    service("a.test"), rules("r", TO_A), *config)
        http = seen.listener().chains[0].http
        return http.forward_client_cert_details, http.set_current_client_cert_details.uri

    def test_backends_are_told_who_the_client_is_where_it_is_asked(self):
        self.assertEqual(self.told("ISTIO_MUTUAL"), ("sanitize_set", True))
        self.assertEqual(self.told("MUTUAL"), ("sanitize_set", True))
        self.assertEqual(self.told("SIMPLE"), ("sanitize", False))

    def test_the_mesh_config_says_it_for_all_gateways(self):
        self.assertEqual(self.told("SIMPLE", {"forwardClientCertDetails": "APPEND_FORWARD"}), ("append_forward", True))
