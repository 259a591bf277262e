"""Native TLS as documents have it: what can be said, and sentences of what cannot."""

from unittest import TestCase

from meshd.model.tls import Certificate, DownstreamTls, SanMatch, UpstreamTls, Validation
from meshd_plugins.istio.write.tls import client_tls, server_tls

SHOP = Certificate(secret="shop")
FILES = Certificate(certificate_file="/c", key_file="/k")


class Servers(TestCase):
    def check(self, expected, lost=(), *, certificates=(SHOP,), **options):
        losses = []
        self.assertEqual(server_tls(DownstreamTls(certificates=certificates, **options), "a", losses), expected)
        self.assertEqual([one.partition("tls: ")[2] for one in losses], list(lost))

    def test_certificates(self):
        self.check({"mode": "SIMPLE", "credentialName": "shop"})
        self.check({"mode": "SIMPLE", "credentialNames": ["shop", "rsa"]},
                   certificates=(SHOP, Certificate(secret="rsa")))
        pair = {"serverCertificate": "/c", "privateKey": "/k"}
        self.check({"mode": "SIMPLE", **pair}, certificates=(FILES,))
        self.check({"mode": "SIMPLE", "tlsCertificates": [pair, pair]},
                   ["a server has at most 2 certificates, the others are left out"], certificates=(FILES,) * 3)

    def test_clients(self):
        names = SanMatch(exact="x.test"), SanMatch(prefix="y")
        self.check({"mode": "MUTUAL", "credentialName": "shop", "subjectAltNames": ["x.test"]},
                   ["names of a kind, or by prefix, suffix or regex, cannot be asked for: left out"],
                   client_certificate="required", validation=Validation(secret="shop", subject_alt_names=names))
        self.check({"mode": "OPTIONAL_MUTUAL", "credentialName": "shop", "caCertCredentialName": "mesh"},
                   ["validation: spiffe has no field of Istio's"],
                   client_certificate="optional", validation=Validation(secret="mesh", spiffe=True))
        self.check({"mode": "MUTUAL", "serverCertificate": "/c", "privateKey": "/k", "caCertificates": "/ca",
                    "caCrl": "/crl"}, certificates=(FILES,), client_certificate="required",
                   validation=Validation(ca_file="/ca", crl_file="/crl"))

    def test_versions(self):
        self.check({"mode": "SIMPLE", "credentialName": "shop", "minProtocolVersion": "TLSV1_3",
                    "ecdhCurves": ["P-256", "X25519"]}, ["session_tickets has no field of Istio's"],
                   min_version="1.3", ecdh_curves=("P-256", "X25519"), session_tickets=False)


    def test_hashes_alone_need_an_authority(self):
        self.check({"mode": "MUTUAL", "credentialName": "shop", "verifyCertificateHash": ["ab" * 32]},
                   ["validation: hashes alone cannot be said: authorities are written by hand"],
                   client_certificate="required", validation=Validation(verify_certificate_hash=("ab" * 32,)))


class Mesh(TestCase):
    OWN = Certificate(secret="mesh")

    def server(self, expected, lost=(), client_certificate="required", **rules):
        losses = []
        validation = Validation(secret="mesh", **rules) if client_certificate != "none" else None
        tls = DownstreamTls(certificates=(self.OWN,), client_certificate=client_certificate, validation=validation)
        self.assertEqual(server_tls(tls, "a", losses, "mesh"), expected)
        self.assertEqual(losses, list(lost))

    def test_a_server_with_the_identity_is_istio_mutual(self):
        self.server({"mode": "ISTIO_MUTUAL"}, spiffe=True, trust_domains=("cluster.local",))
        self.server({"mode": "ISTIO_MUTUAL", "subjectAltNames": ["spiffe://a/b"]},
                    ["a: tls: validation: trust_domains are MeshConfig's: written by hand"],
                    trust_domains=("corp",), subject_alt_names=(SanMatch(exact="spiffe://a/b"),))
        self.server({"mode": "SIMPLE", "credentialName": "mesh"}, client_certificate="none")
        self.server({"mode": "MUTUAL", "credentialName": "mesh"})

    def test_a_host_with_the_identity_is_istio_mutual(self):
        for sni, said in (("outbound_.80_.v1_.a.test", {}), ("x.test", {"sni": "x.test"})):
            losses = []
            tls = UpstreamTls(certificate=self.OWN, sni=sni, mesh_alpn=True, auto_san_validation=False,
                              validation=Validation(secret="mesh", spiffe=True, trust_domains=("cluster.local",)))
            found = client_tls(tls, "a", losses, "outbound|80|v1|a.test", "mesh")
            self.assertEqual((found, losses), ({"mode": "ISTIO_MUTUAL", **said}, []))


class Hosts(TestCase):
    def check(self, expected, lost=(), **options):
        losses = []
        self.assertEqual(client_tls(UpstreamTls(**options), "a", losses), expected)
        self.assertEqual([one.partition("tls: ")[2] for one in losses], list(lost))

    def test_none_is_none(self):
        self.assertIsNone(client_tls(None, "a", []))

    def test_modes(self):
        self.check({"mode": "SIMPLE"})
        self.check({"mode": "SIMPLE", "credentialName": "shop"}, validation=Validation(secret="shop"))
        self.check({"mode": "MUTUAL", "credentialName": "shop"}, certificate=SHOP, validation=Validation(secret="shop"))
        self.check({"mode": "MUTUAL", "clientCertificate": "/c", "privateKey": "/k", "caCertificates": "/ca"},
                   certificate=FILES, validation=Validation(ca_file="/ca"))
        self.check({"mode": "SIMPLE", "insecureSkipVerify": True}, insecure_skip_verify=True)

    def test_a_name_that_is_verified_is_written_out(self):
        self.check({"mode": "SIMPLE", "sni": "a.test", "subjectAltNames": ["a.test"]}, sni="a.test")
        self.check({"mode": "SIMPLE", "sni": "a.test"}, sni="a.test", auto_san_validation=False)
        self.check({"mode": "SIMPLE"}, ["auto_sni and auto_san_validation are always on without sni"], auto_sni=False)

    def test_two_sources_cannot_be_said(self):
        self.check({"mode": "MUTUAL", "credentialName": "shop"}, ["authorities are those of the credential shop"],
                   certificate=SHOP, validation=Validation(ca_file="/ca"))
        self.check({"mode": "MUTUAL", "credentialName": "shop"}, ["authorities are those of the credential shop"],
                   certificate=SHOP)
        self.check({"mode": "MUTUAL", "clientCertificate": "/c", "privateKey": "/k"},
                   ["a secret of authorities cannot stand beside files of a certificate: left out"],
                   certificate=FILES, validation=Validation(secret="shop"))
