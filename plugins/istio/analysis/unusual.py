"""What istiod's webhook warns of (IST0133): settings without effect, or likely to be meant otherwise."""

from meshd_plugins.istio.analysis.place import parts
from meshd_plugins.istio.analysis.report import item, key, value
from meshd_plugins.istio.mesh.index import MESH
from meshd_plugins.istio.mesh.service import HTTP_PROTOCOLS, NONE, protocol_of

LARGE_BODY = 100 * 1024
CERTIFICATES = (
    ("ca_crl", "caCrl"), ("server_certificate", "serverCertificate"), ("private_key", "privateKey"),
    ("ca_certificates", "caCertificates"), ("credential_name", "credentialName"),
)
SELECTORS = (
    ("Sidecar", "networking.istio.io", "workload_selector", "workloadSelector", "labels"),
    ("ServiceEntry", "networking.istio.io", "workload_selector", "workloadSelector", "labels"),
    ("EnvoyFilter", "networking.istio.io", "workload_selector", "workloadSelector", "labels"),
    ("AuthorizationPolicy", "security.istio.io", "selector", "selector", "match_labels"),
    ("RequestAuthentication", "security.istio.io", "selector", "selector", "match_labels"),
    ("PeerAuthentication", "security.istio.io", "selector", "selector", "match_labels"),
    ("Telemetry", "telemetry.istio.io", "selector", "selector", "match_labels"),
)


def analyze(report):
    """Look at every kind of which istiod's webhook warns."""
    for resource in report.mesh.of("VirtualService"):
        _virtual_service(report, resource)
    for resource in report.mesh.gateways:
        for place, server in enumerate(resource.spec.servers):
            _server(report, resource, server, f"spec.servers[{place}]")
    for resource in report.mesh.of("ServiceEntry"):
        _service_entry(report, resource)
    for resource in report.mesh.of("Sidecar"):
        for place, listener in enumerate(resource.spec.egress):
            _egress(report, resource, listener, f"spec.egress[{place}]")
    for kind, group, attribute, name, labels in SELECTORS:
        for resource in report.mesh.of(kind, group):
            selector = getattr(resource.spec, attribute)
            if selector is not None and not getattr(selector, labels):
                report.add("IST0133", resource, key(resource.spec, name), f"spec.{name}",
                           "a selector without labels selects every workload of the namespace",
                           help=f"remove {name}, or give it labels")


def _virtual_service(report, resource):
    for place, name in enumerate(resource.spec.gateways):
        if name != MESH and "/" not in name and "." in name:
            own, namespace = name.split(".")[:2]
            report.add("IST0133", resource, item(resource.spec, "gateways", place), f"spec.gateways[{place}]",
                       f'"{name}" is the old form of a gateway\'s name', hint=f"write {namespace}/{own}")
    for number, rule in enumerate(resource.spec.http):
        abort = rule.fault.abort if rule.fault is not None else None
        if abort is not None and abort.http_status is None and abort.grpc_status is None and abort.http2_error is None:
            report.add("IST0133", resource, key(rule.fault, "abort"), f"spec.http[{number}].fault.abort",
                       "an abort without a status aborts nothing", hint="no status", help="write httpStatus: 503")
        body = rule.direct_response.body if rule.direct_response is not None else None
        if body is not None and len(body.string or body.bytes_ or "") > LARGE_BODY:
            report.add("IST0133", resource, key(rule.direct_response, "body"),
                       f"spec.http[{number}].directResponse.body",
                       "a body of more than 100 KiB is held in memory by every proxy",
                       hint="more than 100 KiB", help="serve it from a service")


def _server(report, resource, server, path):
    tls = server.tls
    if tls is None:
        return
    if tls.https_redirect and protocol_of(server.port.name, server.port.protocol) not in HTTP_PROTOCOLS:
        report.add("IST0133", resource, key(tls, "httpsRedirect"), f"{path}.tls.httpsRedirect",
                   "only a server of plain HTTP can redirect to https", hint="no effect here")
    if tls.mode in ("PASSTHROUGH", "AUTO_PASSTHROUGH") and not tls.https_redirect:
        for attribute, name in CERTIFICATES:
            if getattr(tls, attribute):
                report.add("IST0133", resource, key(tls, name), f"{path}.tls.{name}",
                           f"{name} is not used with mode {tls.mode}", hint="no effect",
                           help="write mode: SIMPLE where the gateway is to end TLS")


def _service_entry(report, resource):
    spec = resource.spec
    if spec.workload_selector is not None and spec.resolution == NONE:
        report.add("IST0133", resource, key(spec, "workloadSelector"), "spec.workloadSelector",
                   "a workloadSelector has no effect with resolution NONE", hint="selects nothing",
                   notes=("connections go to the address that the client asked for",), help="write resolution: STATIC")


def _egress(report, resource, listener, path):
    seen = set()
    found = [parts(host) for host in listener.hosts]
    for place, one in enumerate(found):
        is_covered = one in seen or (one[0], "*") in seen or (one != ("*", "*") and ("*", "*") in found)
        if is_covered and one[0] != "~":
            report.add("IST0133", resource, item(listener, "hosts", place), f"{path}.hosts[{place}]",
                       f'"{listener.hosts[place]}" is covered by another host of the list', hint="no effect")
        seen.add(one)
    port = listener.port
    if port is not None and port.target_port:
        report.add("IST0133", resource, value(port, "targetPort"), f"{path}.port.targetPort",
                   "targetPort of a listener is not used", hint="no effect")
