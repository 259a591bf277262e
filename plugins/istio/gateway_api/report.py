"""What the plan finds wrong, as findings of the configuration: warnings at the place that they speak of."""

from meshd.api import WARNING
from meshd_plugins.istio.emit import field
from meshd_plugins.istio.gateway_api.condition import ACCEPTED, RESOLVED
from meshd_plugins.istio.gateway_api.world import IMPLIED


def report(plan, context):
    """Add what is wrong to the faults of ``context``; nothing of it stops the configuration."""
    for gateway in plan.world.gateways:
        _class(gateway, plan, context)
    for owner in plan.gateways.owners:
        _owner(owner, context)
    for judged in plan.routes:
        _route(judged, context)
    for policy in plan.policies.judged:
        validation = policy.resource.spec.validation
        _several(validation, "spec.validation", context)
        for condition in policy.conditions.values():
            if not condition.is_true:
                _warn("MSH0332", policy.resource.spec.node, "spec", condition, policy.resource, context)


def _class(gateway, plan, context):
    name = gateway.spec.gateway_class_name
    if name not in IMPLIED and not any(one.name == name for one in plan.world.classes):
        context.fault("MSH0330", field(gateway.spec, "gatewayClassName"), "spec.gatewayClassName",
                      f"{gateway.title}: there is no GatewayClass {name!r}, so that nobody serves it",
                      WARNING, is_analysis=True, hint=f"known without a document: {', '.join(IMPLIED)}")


def _owner(owner, context):
    if owner.fault:
        _warn("MSH0330", owner.resource.spec.node, "spec", owner.conditions[ACCEPTED], owner.resource, context)
    for one in owner.listeners:
        path = f"spec.listeners[{one.place}]"
        for kind in (ACCEPTED, RESOLVED):
            if not one.conditions[kind].is_true:
                _warn("MSH0330", one.spec.node, path, one.conditions[kind], one, context)
        if owner.is_here and one.conditions[ACCEPTED].is_true and one.not_yet:
            context.unsupported(field(one.spec, "tls"), f"{path}.tls", f"{one.not_yet}: this listener is not bound")
    frontend = getattr(getattr(owner.resource.spec, "tls", None), "frontend", None)
    if owner.is_here and frontend is not None:
        for one in (frontend.default, *(each.tls for each in frontend.per_port)):
            _several(one.validation, "spec.tls.frontend", context)


def _several(validation, path, context):
    refs = validation.ca_certificate_refs if validation is not None else ()
    if len(refs) > 1:
        context.unsupported(refs[1].node, f"{path}.caCertificateRefs", "only the first that is good is trusted")


def _route(judged, context):
    for backend, (node, path) in judged.broken:
        context.fault("MSH0332", node, path, f"{backend.reason}: {backend.message}; requests for it get 500", WARNING,
                      is_analysis=True)
    for binding in judged.bindings:
        condition = binding.conditions[ACCEPTED]
        if not condition.is_true:
            _warn("MSH0331", binding.ref.node, binding.path, condition, judged.resource, context)
    for place, why in judged.invalid.items():
        rule = judged.resource.spec.rules[place]
        context.unsupported(field(rule, "filters"), f"spec.rules[{place}].filters", f"{why}; requests get 500")


def _warn(code, node, path, condition, what, context):
    context.fault(code, node, path, f"{what.title}: {condition.type} is {condition.status}: {condition.reason}: "
                  f"{condition.message}", WARNING, is_analysis=True)
