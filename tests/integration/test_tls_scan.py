"""Scanners of TLS look at a listener with default settings: sslyze and testssl.sh find no weakness."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from tests.integration.harness.daemon import Daemon, document
from tests.integration.harness.tls import Mesh, program

HELLO = [{"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": "hello"}}]
PARTS = ("-p", "-s", "-f", "-P", "-U", "-E")
"""testssl.sh's checks: protocols, categories of ciphers, forward secrecy, preference, vulnerabilities, each cipher."""
GOOD = ("OK", "INFO")


@pytest.fixture(scope="module")
def listener():
    """Yield (port, authority's file) of a listener with default settings, with an ECDSA and an RSA certificate."""
    with Mesh() as mesh:
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(mesh.root.key.public_key())
        for name, kind in (("server", "ecdsa"), ("rsa", "rsa")):
            mesh.issue(name, "shop.test", days=90, kind=kind, extensions=[issuer])
        tls = {"certificates": [{"secret": "server"}, {"secret": "rsa"}]}
        with Daemon(document(HELLO, [], listener={"tls": tls}, secrets=mesh.settings())) as daemon:
            yield daemon.port, mesh.ca


def test_sslyze_finds_no_weakness(listener):
    sslyze = pytest.importorskip("sslyze")
    from sslyze.mozilla_tls_profile import tls_config_checker as profile

    port, authority = listener
    place = sslyze.ServerNetworkLocation(hostname="shop.test", port=port, ip_address="127.0.0.1")
    extra = sslyze.ScanCommandsExtraArguments(
        certificate_info=sslyze.CertificateInfoExtraArgument(custom_ca_file=Path(authority)))
    scanner = sslyze.Scanner()
    scanner.queue_scans([sslyze.ServerScanRequest(
        server_location=place, scan_commands_extra_arguments=extra,
        scan_commands=profile.SCAN_COMMANDS_NEEDED_BY_MOZILLA_CHECKER | {sslyze.ScanCommand.TLS_1_3_EARLY_DATA})])
    found = next(scanner.get_results())
    recommended = profile.MozillaTlsConfiguration.get(profile.TlsConfigurationEnum.MOZILLA_INTERMEDIATE)
    profile.check_server_against_tls_configuration(found, recommended)  # raises with what it does not like
    result = found.scan_result
    curves = {one.name for one in result.elliptic_curves.result.supported_curves}
    assert curves == {"X25519", "secp256r1", "secp384r1"}
    assert not result.session_renegotiation.result.is_vulnerable_to_client_renegotiation_dos
    assert not result.tls_1_3_early_data.result.supports_early_data
    assert len(result.certificate_info.result.certificate_deployments) == 2


@pytest.mark.skipif("MESHD_TEST_TESTSSL" not in os.environ, reason="long: MESHD_TEST_TESTSSL=1 asks for it")
@pytest.mark.timeout(900)
def test_testssl_finds_no_weakness(listener, tmp_path):
    port, _ = listener
    path = tmp_path / "found.json"
    command = [program("testssl"), "--quiet", "--color", "0", "--warnings", "off", "--ip", "127.0.0.1", *PARTS,
               "--jsonfile", str(path), f"shop.test:{port}"]
    subprocess.run(command, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, timeout=900)
    rows = json.loads(path.read_text())
    assert [row for row in rows if row["severity"] not in GOOD and row["id"] != "engine_problem"] == []
    found = {row["id"]: row["finding"] for row in rows}
    assert found["TLS1_3"].startswith("offered") and found["heartbleed"].startswith("not vulnerable")
    assert len(rows) > 50
