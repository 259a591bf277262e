"""TLS of the mesh (ISTIO_MUTUAL): both sides show what the mesh has given them, as ``node.identity`` names it in files.

Who a peer must be is a SPIFFE id, ``spiffe://TRUST DOMAIN/ns/NAMESPACE/sa/ACCOUNT``; MeshConfig has the trust
domains.
"""

from meshd.api import ERROR, WARNING
from meshd_plugins.istio.emit import At, default, field

ISTIO_MUTUAL = "ISTIO_MUTUAL"
TRUST_DOMAIN = "cluster.local"
CODE = "MSH0320"
HELP = ("name a folder with cert-chain.pem, key.pem and root-cert.pem in node.identity of the native file, or take the "
        "document away from this node")


def trust_domains(config):
    """Return the trust domains of the mesh; ``config`` is MeshConfig or None."""
    return tuple(dict.fromkeys((getattr(config, "trust_domain", "") or TRUST_DOMAIN,
                                *getattr(config, "trust_domain_aliases", ()))))


def lack_of_identity(tls, context, path, what, *, is_grave):
    """Say that there is no certificate of the mesh; ``is_grave`` makes it an error even where nobody has said who this
    node is.
    """
    severity = ERROR if is_grave or context.is_node_known else WARNING
    context.fault(CODE, field(tls, "mode"), f"{path}.mode",
                  f"{what}: this proxy has no certificate of the mesh, and plain text is not sent in its place",
                  severity, help=HELP)


def sni_of(host, port, subset):
    """Return the server name by which a client of the mesh asks for a destination, where its rule gives none."""
    return f"outbound_.{port}_.{subset}_.{host}"


def accounts_of(service, config):
    """Return the names that the certificates of a service may have: those that it says, else its endpoints' ids."""
    said = getattr(service.resource.spec, "subject_alt_names", None)
    if said:
        return list(said)
    accounts = dict.fromkeys(one.account for one in service.endpoints if one.account)
    return [f"spiffe://{domain}/{account}" for account in accounts for domain in trust_domains(config)]


def mesh_client(tls, service, port, subset, clusters):
    """Return the native ``tls`` towards a port (a ServicePort) of a service, by a rule with mode ISTIO_MUTUAL.

    Where nothing says who the peer must be, any workload of the mesh will do, as with Istio.
    """
    config, identity = clusters.mesh.config, clusters.context.node.identity
    names = list(tls.subject_alt_names) or accounts_of(service, config)
    speaks = {"mesh_alpn": default(True)} if port.is_http else {"alpn": default(["istio"])}
    return At(tls.node, {
        "sni": At(field(tls, "sni"), tls.sni) if tls.sni else default(sni_of(service.host, port.number, subset)),
        "auto_san_validation": default(False), "certificate": default({"secret": identity}),
        "validation": default({"secret": identity, **_peer(names, config)}), **speaks})


def mesh_server(identity, subject_alt_names, config):
    """Return what is shown to clients of the mesh and asked of them."""
    return {"certificates": default([{"secret": identity}]), "client_certificate": default("required"),
            "validation": {"secret": default(identity), "subject_alt_names": list(subject_alt_names) or None,
                           "spiffe": default(True), "trust_domains": default(list(trust_domains(config)))}}


def _peer(names, config):
    if names:
        return {"subject_alt_names": names}
    return {"spiffe": True, "trust_domains": list(trust_domains(config))}
