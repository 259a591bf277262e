"""Rules that need the whole document: its name, namespace, annotations, kind, or how strict we are. Called by ``read``.

Rules within a class are its ``check``. The rules are those of istiod's webhook; without ``--strict`` two deviations
are warnings: host ``*`` without gateways (MSH0311) and kind VirtualGateway (MSH0312).
"""

from meshd.api import ERROR, WARNING, Mapping, Sequence
from meshd_plugins.istio.schema.form import INTERNAL, is_label, label_fault, label_faults, protocol_of

ISTIO = "networking.istio.io"
PUBLIC, PRIVATE, NOBODY = "*", ".", "~"
DRY_RUN = "istio.io/dry-run"
RESERVED = frozenset((
    "internal.istio.io/webhook-always-reject", "internal.istio.io/parents", "internal.istio.io/parent-namespace",
))
WAYPOINT = "istio.io/use-waypoint"
CONFIG_MAP = "configmap://"
TRUTHS = frozenset(("1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"))


def validate(resource, context):
    """Add the faults of a decoded document."""
    found = [*_metadata_faults(resource), *RULES.get(_key(resource), _nothing)(resource)]
    if context.is_strict:
        found += STRICT.get(_key(resource), _nothing)(resource)
    for steps, message in found:
        _fault(resource, context, "MSH0113", steps, message)
    for code, steps, message in DEVIATIONS.get(_key(resource), _nothing)(resource):
        _fault(resource, context, code, steps, message, ERROR if context.is_strict else WARNING)


def _fault(resource, context, code, steps, message, severity=ERROR):
    node, path = resource.node, ""
    for step in steps:
        path += f"[{step}]" if type(step) is int else f".{step}" if path else step
        if type(node) is Sequence and type(step) is int:
            node = node.items[step]
        elif type(node) is Mapping:
            node = node.get(step) or node
    context.fault(code, node, path, message, severity)


def _key(resource):
    return resource.kind.group, resource.kind.name


def _nothing(resource):
    return ()


def _metadata_faults(resource):
    if resource.kind.is_namespaced and not is_label(resource.namespace):
        yield ("metadata", "namespace"), label_fault(resource.namespace)
    for steps, message in label_faults("labels", resource.metadata.labels):
        yield ("metadata", *steps), message
    for key in resource.annotations:
        if key in RESERVED or (key == DRY_RUN and resource.kind.name != "AuthorizationPolicy"):
            yield ("metadata", "annotations", key), f"expected no annotation {key} on a {resource.kind.name}"


def _export_faults(resource, may_be_nobody=False):
    """Yield the faults of exportTo: each namespace once, and ``*`` alone."""
    seen = set()
    names = resource.spec.export_to
    for place, name in enumerate(names):
        steps = ("spec", "exportTo", place)
        key = resource.namespace if name == PRIVATE else name
        if key in seen:
            yield steps, f"expected each namespace once, {name!r} is there already"
        elif name not in (PUBLIC, PRIVATE) and not (name == NOBODY and may_be_nobody) and not is_label(name):
            yield steps, f"expected a namespace, . or {'*, ~' if may_be_nobody else '*'}, got {name!r}"
        seen.add(key)
    for word in (PUBLIC, NOBODY):
        if word in names and len(names) > 1:
            yield ("spec", "exportTo"), f"expected {word} alone, or namespaces"


def _virtual_service(resource):
    return _export_faults(resource)


def _virtual_service_deviations(resource):
    if "*" in resource.spec.hosts and not resource.spec.gateways:
        yield "MSH0311", ("spec", "hosts", resource.spec.hosts.index("*")), (
            "expected no host * without gateways: Istio refuses it for the mesh; bound here to the mesh and every "
            "VirtualGateway"
        )


def _internal_gateways(resource):
    for place, name in enumerate(resource.spec.gateways):
        if INTERNAL in name:
            yield ("spec", "gateways", place), f"expected no Gateway of istiod's own making, got {name!r}"


def _destination_rule(resource):
    spec = resource.spec
    yield from _export_faults(resource)
    if spec.workload_selector is not None and any(name not in (PRIVATE, resource.namespace) for name in spec.export_to):
        yield ("spec", "exportTo"), "expected no other namespace beside workloadSelector"
    yield from _credential_faults(resource, ("spec",), spec)
    for place, subset in enumerate(spec.subsets):
        yield from _credential_faults(resource, ("spec", "subsets", place), subset)


def _credential_faults(resource, steps, one):
    """Yield faults of credentials in a ConfigMap: in the namespace of the document only."""
    policy = one.traffic_policy
    if policy is None:
        return
    places = [((*steps, "trafficPolicy", "tls"), policy.tls)]
    places += [((*steps, "trafficPolicy", "portLevelSettings", place, "tls"), port.tls)
               for place, port in enumerate(policy.port_level_settings)]
    for place, tls in places:
        if tls is not None and tls.credential_name.startswith(CONFIG_MAP):
            namespace, _, name = tls.credential_name[len(CONFIG_MAP):].partition("/")
            if namespace != resource.namespace or not name.partition("/")[0]:
                yield (*place, "credentialName"), f"expected {CONFIG_MAP}{resource.namespace}/NAME"


def _gateway(resource):
    if not is_label(resource.name):
        yield ("metadata", "name"), label_fault(resource.name)
    for place, server in enumerate(resource.spec.servers):
        if not server.port.protocol and not (resource.kind.name == "VirtualGateway" and protocol_of(server.port)):
            yield ("spec", "servers", place, "port", "protocol"), "expected a protocol such as HTTP, got nothing"


def _virtual_gateway_deviations(resource):
    yield "MSH0312", ("kind",), "expected Gateway: Istio knows no VirtualGateway; read as Gateway"


def _service_entry(resource):
    yield from _export_faults(resource, may_be_nobody=True)
    waypoint = resource.labels.get(WAYPOINT, "")
    is_inside = resource.spec.location == "MESH_INTERNAL" and resource.spec.resolution == "DYNAMIC_DNS"
    if is_inside and waypoint and waypoint.lower() != "none":
        yield ("spec", "location"), "expected MESH_EXTERNAL with resolution DYNAMIC_DNS and a waypoint"


def _workload_entry(resource):
    for name, message in resource.spec.faults(may_be_name=True):
        yield ("spec", *(name if isinstance(name, tuple) else (name,))), message


def _mesh_config(resource):
    retry = resource.spec.default_inbound_http_retry_policy
    if retry is not None and retry.attempts == 0 and retry.backoff_s is not None:
        yield ("spec", "defaultInboundHttpRetryPolicy", "backoff"), "expected attempts of at least 1 beside it"


def _authorization_policy(resource):
    value = resource.annotations.get(DRY_RUN)
    if value is None:
        return
    place = ("metadata", "annotations", DRY_RUN)
    if resource.spec.action not in ("ALLOW", "DENY"):
        yield place, f"expected it only with action ALLOW or DENY, got {resource.spec.action}"
    elif value not in TRUTHS:
        yield place, f"expected true or false, got {value!r}"


RULES = {
    (ISTIO, "VirtualService"): _virtual_service, (ISTIO, "DestinationRule"): _destination_rule,
    (ISTIO, "Gateway"): _gateway, (ISTIO, "VirtualGateway"): _gateway, (ISTIO, "ServiceEntry"): _service_entry,
    (ISTIO, "WorkloadEntry"): _workload_entry, ("mesh.istio.io", "MeshConfig"): _mesh_config,
    ("security.istio.io", "AuthorizationPolicy"): _authorization_policy,
}
"""Group and kind -> function that yields (steps from the top, message)."""

STRICT = {(ISTIO, "VirtualService"): _internal_gateways}
"""The same for what the analyzer warns of without ``--strict``."""

DEVIATIONS = {
    (ISTIO, "VirtualService"): _virtual_service_deviations, (ISTIO, "VirtualGateway"): _virtual_gateway_deviations,
}
"""Group and kind -> function that yields (code, steps, message) of what Istio refuses and we take."""
