"""Secrets that servers of Gateways name: missing (IST0101) or without a certificate and its key (IST0161).

Only where Secret documents are there at all: they are often kept elsewhere.
"""

from meshd_plugins.istio.analysis.report import there, value
from meshd_plugins.istio.gateway_api.listener import secret_fault

OLD_KEYS = frozenset(("cert", "key"))
"""Istio's own form of a Secret."""


def analyze(report):
    """Look at the credentials of every server."""
    secrets = {(one.namespace, one.name): one for one in report.mesh.of("Secret", "")}
    for gateway in report.mesh.gateways if secrets else ():
        for place, server in enumerate(gateway.spec.servers):
            name = server.tls.credential_name if server.tls is not None else ""
            if name:
                found = secrets.get((gateway.namespace, name)) or secrets.get((report.node.namespace, name))
                _credential(report, gateway, server.tls, f"spec.servers[{place}].tls.credentialName", found)


def _credential(report, gateway, tls, path, secret):
    node, name = value(tls, "credentialName"), tls.credential_name
    if secret is None:
        report.add("IST0101", gateway, node, path, f'referenced credentialName not found: "{name}"',
                   hint="no such Secret", notes=("clients cannot connect to the server",),
                   help=f"add a Secret of namespace {gateway.namespace}, or name another one")
        return
    fault = secret_fault(secret)
    if fault and not dict(secret.spec.data).keys() >= OLD_KEYS:
        report.add("IST0161", gateway, node, path, f'credential "{name}" cannot be used: {fault}', hint="not valid",
                   related=(there(secret),), notes=("clients cannot connect to the server",),
                   help="the Secret needs tls.crt and tls.key, PEM in base64")
