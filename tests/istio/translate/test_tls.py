"""TLS of Gateways' servers and of DestinationRules, in the native form."""

import shutil
import tempfile
from functools import cache
from pathlib import Path
from unittest import TestCase

from tests.istio.view import document, rules, service, versions
from tests.istio.view import gateway as plain_gateway
from tests.istio.view import view as view_of
from tests.pki import Authority

HTTPS = {"number": 443, "name": "https", "protocol": "HTTPS"}
TO_A = "- {name: r, route: [{destination: {host: a.test}}]}"
SHOWN = {"mode": "SIMPLE", "credentialName": "shop"}
DIGEST = "ab" * 32


@cache
def folder():
    """Return a folder of secrets, all with the same files; it is gone with the tests."""
    found = Path(tempfile.mkdtemp(prefix="meshd-secrets-"))
    root = Authority()
    for name in ("shop", "b", "c", "r", "e", "clients", "partner"):
        (found / name).mkdir()
        root.leaf("a.test").write(found / name)
        (found / name / "ca.crt").write_bytes(root.pem)
    (found / "ca.crl").write_bytes(root.revoke())
    return str(found)


def tearDownModule():
    """Take it away."""
    shutil.rmtree(folder(), ignore_errors=True)
    folder.cache_clear()


def file(name):
    """Return the path of a file of the secret ``shop``, or of the list of the revoked."""
    return f"{folder()}/{name}" if name == "ca.crl" else f"{folder()}/shop/{name}"


def view(*texts, **more):
    """Return what a node with these secrets sees."""
    return view_of(*texts, secrets=folder(), **more)


def servers(*several):
    """Return a Gateway of servers."""
    return document("Gateway", "edge", {"selector": {"istio": "ingressgateway"}, "servers": list(several)})


def server(tls=None, hosts=("*",), name="https", **more):
    """Return a server of HTTPS."""
    return {"port": {**HTTPS, "name": name, **more}, "hosts": list(hosts), "tls": tls or SHOWN}


def served(tls, **more):
    """Return (native tls of the only chain, what was seen)."""
    seen = view(servers(server(tls, **more)), service("a.test"), rules("r", TO_A))
    return seen.listener().chains[0].tls, seen


class Servers(TestCase):
    def test_a_credential_is_a_secret(self):
        tls, seen = served(SHOWN)
        self.assertEqual(([one.secret for one in tls.certificates], tls.client_certificate, tls.validation),
                         (["shop"], "none", None))
        self.assertEqual(seen.unsupported, ())

    def test_files_are_files(self):
        tls, _ = served({"mode": "MUTUAL", "serverCertificate": file("tls.crt"), "privateKey": file("tls.key"),
                         "caCertificates": file("ca.crt"), "caCrl": file("ca.crl")})
        found = tls.certificates[0]
        self.assertEqual((found.certificate_file, found.key_file, tls.validation.ca_file, tls.validation.crl_file),
                         tuple(map(file, ("tls.crt", "tls.key", "ca.crt", "ca.crl"))))

    def test_several_certificates(self):
        tls, _ = served({"mode": "SIMPLE", "credentialNames": ["r", "e"]})
        self.assertEqual([one.secret for one in tls.certificates], ["r", "e"])
        pairs = [{"serverCertificate": f"{folder()}/{one}/tls.crt", "privateKey": f"{folder()}/{one}/tls.key"}
                 for one in "re"]
        tls, _ = served({"mode": "SIMPLE", "tlsCertificates": pairs})
        self.assertEqual([one.certificate_file for one in tls.certificates],
                         [one["serverCertificate"] for one in pairs])

    def test_certificates_of_clients(self):
        for mode, native in (("MUTUAL", "required"), ("OPTIONAL_MUTUAL", "optional")):
            tls, _ = served({**SHOWN, "mode": mode, "subjectAltNames": ["x.test"],
                             "verifyCertificateHash": [DIGEST]})
            self.assertEqual((tls.client_certificate, tls.validation.secret), (native, "shop"))
            self.assertEqual([one.exact for one in tls.validation.subject_alt_names], ["x.test"])
            self.assertEqual(tls.validation.verify_certificate_hash, (DIGEST,))
        tls, _ = served({**SHOWN, "mode": "MUTUAL", "caCertCredentialName": "clients"})
        self.assertEqual(tls.validation.secret, "clients")

    def test_versions_and_ciphers(self):
        tls, seen = served({**SHOWN, "minProtocolVersion": "TLSV1_3", "maxProtocolVersion": "TLSV1_3",
                            "cipherSuites": ["ECDHE-RSA-AES128-GCM-SHA256"], "ecdhCurves": ["P-256", "X25519"]})
        self.assertEqual((tls.min_version, tls.max_version, tls.cipher_suites, tls.ecdh_curves),
                         ("1.3", "1.3", ("ECDHE-RSA-AES128-GCM-SHA256",), ("P-256", "X25519")))
        self.assertEqual(seen.unsupported, ())

    def test_what_cannot_be_is_said(self):
        for key, value in (("minProtocolVersion", "TLSV1_0"), ("insecureSkipVerify", True),
                           ("subjectAltNames", ["x.test"])):
            tls, seen = served({**SHOWN, key: value})
            self.assertEqual([one.path for one in seen.unsupported], [f"spec.servers[0].tls.{key}"])
            self.assertEqual((tls.min_version, tls.client_certificate), ("1.2", "none"))
        seen = view(servers(server({**SHOWN, "maxProtocolVersion": "TLSV1_1"})))
        self.assertEqual((seen.snapshot.listeners, len(seen.unsupported)), ((), 1))

    def test_what_comes_over_tls_is_not_sent_to_https_once_more(self):
        _, seen = served({**SHOWN, "httpsRedirect": True})
        host = seen.listener().chains[0].filters[-1].config.virtual_hosts[0]
        self.assertEqual([one.redirect for one in host.routes], [None])

    def test_servers_of_one_port_are_chains_by_name(self):
        seen = view(servers(server(hosts=["a.test"]), server({**SHOWN, "credentialName": "b"}, ["*/*.b.test"], "other"),
                            server({**SHOWN, "credentialName": "c"}, ["a.test", "c.test"], "third")),
                    service("a.test"), rules("r", TO_A, hosts=["a.test", "x.b.test"]))
        self.assertEqual([(one.match.server_names, one.tls.certificates[0].secret) for one in seen.listener().chains],
                         [(("a.test",), "shop"), (("*.b.test",), "b"), (("c.test",), "c")])
        self.assertEqual([one.type for one in seen.listener().listener_filters], ["tls_inspector"])
        domains = [[domain for host in one.filters[-1].config.virtual_hosts for domain in host.domains]
                   for one in seen.listener().chains]
        self.assertEqual(domains, [["a.test"], ["x.b.test"], ["a.test"]])

    def test_chains_keep_their_names_whatever_becomes_of_others(self):
        both = view(servers(server(hosts=["a.test"]), server(hosts=["b.test"], name="b")), service("a.test"))
        one = view(servers(server(hosts=["b.test"], name="b")), service("a.test"))
        self.assertEqual(both.listener().chains[1].name, one.listener().chains[0].name)

    def test_tls_without_http_ends_here_and_is_bytes(self):
        rule = document("VirtualService", "r", {"hosts": ["*"], "gateways": ["edge"], "tcp": [
            {"route": [{"destination": {"host": "a.test"}}]}]})
        seen = view(servers(server(hosts=["a.test"], protocol="TLS")), service("a.test", ports=[(443, "tcp")]), rule)
        chain = seen.listener().chains[0]
        self.assertEqual((chain.network_filters[-1].config.cluster, chain.tls.certificates[0].secret),
                         ("outbound|443||a.test", "shop"))


class Workloads(TestCase):
    def chain(self, protocol, mode, **node):
        tls = {"mode": mode, "serverCertificate": file("tls.crt"), "privateKey": file("tls.key"),
               "caCertificates": file("ca.crt")}
        port = {"port": {"number": 8443, "protocol": protocol, "name": "a"}, "defaultEndpoint": "127.0.0.1:80"}
        seen = view(document("Sidecar", "s", {"ingress": [{**port, "tls": tls}]}), role="sidecar", **node)
        self.assertEqual(seen.unsupported, ())
        return next(one for listener in seen.snapshot.listeners for one in listener.chains
                    if "virtual" not in listener.name or one.match.destination_port == 8443)

    def test_tls_ends_before_the_workload(self):
        for node in ({"interception_mode": "none"}, {"interception_mode": "redirect"}):
            found = self.chain("HTTPS", "MUTUAL", **node)
            self.assertEqual((found.tls.client_certificate, found.filters[-1].type), ("required", "router"))
            found = self.chain("TLS", "SIMPLE", **node)
            self.assertEqual((found.tls.client_certificate, found.network_filters[-1].type), ("none", "tcp_proxy"))
            found = self.chain("TLS", "PASSTHROUGH", **node)
            self.assertEqual((found.tls, found.network_filters[-1].type), (None, "tcp_proxy"))


class Hosts(TestCase):
    def cluster(self, tls, subset=None, **more):
        policy = {"trafficPolicy": {"tls": tls}} if tls else {}
        seen = view(plain_gateway(), versions("a.test", "v1", subjectAltNames=more.pop("names", [])),
                    document("DestinationRule", "z", {"host": "a.test", **policy, **more}),
                    rules("r", "- route: [{destination: {host: a.test%s}}]" % (
                        f", subset: {subset}" if subset else "")))
        return seen.cluster(f"outbound|80|{subset or ''}|a.test").tls

    def test_disable_is_plain(self):
        self.assertIsNone(self.cluster({"mode": "DISABLE"}))

    def test_simple_trusts_the_system_and_asks_for_the_request_s_host(self):
        tls = self.cluster({"mode": "SIMPLE"})
        self.assertEqual((tls.sni, tls.auto_sni, tls.auto_san_validation, tls.validation.system_roots, tls.certificate),
                         (None, True, True, True, None))

    def test_a_server_name_alone_is_not_verified_and_names_are(self):
        self.assertFalse(self.cluster({"mode": "SIMPLE", "sni": "b.test"}).auto_san_validation)
        tls = self.cluster({"mode": "SIMPLE", "sni": "b.test", "subjectAltNames": ["c.test"]})
        self.assertEqual((tls.sni, [one.exact for one in tls.validation.subject_alt_names]), ("b.test", ["c.test"]))
        tls = self.cluster({"mode": "SIMPLE"}, names=["d.test"])
        self.assertEqual([one.exact for one in tls.validation.subject_alt_names], ["d.test"])

    def test_files(self):
        tls = self.cluster({"mode": "MUTUAL", "clientCertificate": file("tls.crt"), "privateKey": file("tls.key"),
                            "caCertificates": file("ca.crt"), "caCrl": file("ca.crl")})
        self.assertEqual((tls.certificate.certificate_file, tls.certificate.key_file, tls.validation.ca_file,
                          tls.validation.crl_file), tuple(map(file, ("tls.crt", "tls.key", "ca.crt", "ca.crl"))))

    def test_a_credential_is_a_secret(self):
        tls = self.cluster({"mode": "MUTUAL", "credentialName": "partner"})
        self.assertEqual((tls.certificate.secret, tls.validation.secret), ("partner", "partner"))
        tls = self.cluster({"mode": "SIMPLE", "credentialName": "partner"})
        self.assertEqual((tls.certificate, tls.validation.secret), (None, "partner"))

    def test_nothing_is_verified_where_that_is_said(self):
        tls = self.cluster({"mode": "SIMPLE", "insecureSkipVerify": True})
        self.assertEqual((tls.insecure_skip_verify, tls.validation), (True, None))

    def test_ports_and_subsets_have_their_own(self):
        level = {"portLevelSettings": [{"port": {"number": 80}, "tls": {"mode": "SIMPLE"}}]}
        self.assertIsNotNone(self.cluster(None, trafficPolicy=level))
        level["portLevelSettings"][0]["port"]["number"] = 81
        self.assertIsNone(self.cluster(None, trafficPolicy=level))
