"""What policies are attached to (targetRef, targetRefs), and ask: whether it exists (IST0101)."""

from meshd_plugins.istio.analysis.place import GATEWAY_API
from meshd_plugins.istio.analysis.report import listed, there, value

ISTIO, SECURITY = "networking.istio.io", "security.istio.io"
POLICIES = (
    ("AuthorizationPolicy", SECURITY), ("RequestAuthentication", SECURITY), ("Telemetry", "telemetry.istio.io"),
    ("WasmPlugin", "extensions.istio.io"), ("EnvoyFilter", ISTIO),
)
OWN_GROUPS = {
    "Gateway": ((ISTIO, "Gateway"), (ISTIO, "VirtualGateway"), (GATEWAY_API, "Gateway")),
    "Service": (("", "Service"),), "ServiceEntry": ((ISTIO, "ServiceEntry"),),
    "VirtualService": ((ISTIO, "VirtualService"),),
}
"""Where the targets of a RateLimitPolicy are looked for."""
NO_EFFECT = "the policy has no effect"


def analyze(report):
    """Look at the targets of every policy."""
    known = {one.key: one for one in report.mesh.resources}
    for resource in report.mesh.of("RateLimitPolicy", "meshd.io"):
        if resource.spec.target_ref is not None:
            _own(report, resource, resource.spec.target_ref, known)
        if resource.spec.store is not None:
            _store(report, resource, resource.spec.store.redis)
    for kind, group in POLICIES:
        for resource in report.mesh.of(kind, group):
            one = getattr(resource.spec, "target_ref", None)
            pairs = [(one, "spec.targetRef")] if one is not None else []
            pairs += [(one, f"spec.targetRefs[{place}]") for place, one in enumerate(resource.spec.target_refs)]
            for target, path in pairs:
                key = target.group.removeprefix("core"), target.kind, resource.namespace, target.name
                if key not in known and target.kind != "GatewayClass":
                    _lost(report, resource, target, path, resource.namespace, known)


def _own(report, policy, target, known):
    namespace = target.namespace or policy.namespace
    found = [known[key] for group, kind in OWN_GROUPS[target.kind]
             if (key := (group, kind, namespace, target.name)) in known]
    if not found:
        _lost(report, policy, target, "spec.targetRef", namespace, known)
        return
    rule = policy.spec.route
    names = [one.name for one in found[0].spec.http if one.name] if rule else []
    if rule and rule not in names:
        report.add("IST0101", policy, value(policy.spec, "route"), "spec.route",
                   f'referenced route not found: "{rule}"',
                   hint=report.guess(rule, names) or "no rule has this name", notes=(NO_EFFECT,),
                   related=(there(found[0], f"{found[0].title} names: {listed(names) or 'no rule'}"),))


def _store(report, policy, redis):
    host = report.mesh.resolve(redis.host, policy.namespace)
    service = report.mesh.find(host, policy.namespace)
    if service is not None and service.port(redis.port) is not None:
        return
    key, path, what = ("port", "port", f":{redis.port}") if service is not None else ("host", "host", "")
    report.add("IST0101", policy, value(redis, key), f"spec.store.redis.{path}",
               f'referenced host{":port" if what else ""} not found: "{redis.host}{what}"',
               hint="no such port" if what else "no such host",
               notes=("no limit is enforced" if redis.on_error == "OPEN" else "every request is refused",),
               help="add a ServiceEntry for it, or write host and port of an existing service")


def _lost(report, policy, target, path, namespace, known):
    names = sorted({name for _, kind, owner, name in known if kind == target.kind and owner == namespace})
    report.add("IST0101", policy, value(target, "name"), f"{path}.name",
               f'referenced target not found: {target.kind} "{namespace}/{target.name}"',
               hint=report.guess(target.name, names) or f"no such {target.kind}", notes=(NO_EFFECT,),
               help="write the name of a document that is here; it is looked for in the policy's namespace"
               if not getattr(target, "namespace", "") else "")
