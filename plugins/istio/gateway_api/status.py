"""The plan as Gateway API's ``status`` says it, in plain data: for ``meshctl gateway-api status`` and tests."""

from meshd_plugins.istio.gateway_api.condition import ACCEPTED, bad, good
from meshd_plugins.istio.gateway_api.kinds import GROUP
from meshd_plugins.istio.gateway_api.world import CONTROLLERS, OWN


def status(plan):
    """Return a list of dicts, one for each GatewayClass, Gateway, ListenerSet, route and BackendTLSPolicy of ours."""
    found = [_row(one, conditions=[_class(one).as_dict()]) for one in plan.world.classes
             if one.spec.controller_name in CONTROLLERS]
    found += [_row(one.resource, conditions=_listed(one.conditions), **_sets(one),
                   listeners=[_listener(each) for each in one.listeners]) for one in plan.gateways.owners]
    found += [_row(one.resource, parents=[_parent(binding) for binding in one.bindings]) for one in plan.routes]
    found += [_row(one.resource, ancestors=_ancestors(one, plan)) for one in plan.policies.judged]
    return found


def _row(resource, **fields):
    return {"kind": resource.kind.name, "namespace": resource.namespace, "name": resource.name, **fields}


def _listed(conditions):
    return [one.as_dict() for one in conditions.values()]


def _class(resource):
    ref = resource.spec.parameters_ref
    if ref is not None:
        return bad(ACCEPTED, "InvalidParameters", f"{ref.kind} {ref.name}: no parameters of this kind are known")
    return good(ACCEPTED)


def _sets(owner):
    if owner.resource is not owner.gateway:
        return {}
    asked = [{"type": one.type, "value": one.value} for one in owner.gateway.spec.addresses if one.value]
    return {"addresses": asked, "attachedListenerSets": len(owner.sets)}


def _listener(one):
    return {"name": one.spec.name, "attachedRoutes": len({id(binding.route) for binding, _ in one.routes
                                                          if binding.is_accepted}),
            "supportedKinds": [{"group": GROUP, "kind": kind} for kind in one.kinds],
            "conditions": _listed(one.conditions)}


def _parent(binding):
    ref = binding.ref
    given = {"group": ref.group, "kind": ref.kind, "namespace": ref.namespace or binding.route.namespace,
             "name": ref.name, "sectionName": ref.section_name, "port": ref.port}
    return {"parentRef": {key: value for key, value in given.items() if value is not None},
            "controllerName": binding.controller, "conditions": _listed(binding.conditions)}


def _ancestors(judged, plan):
    """Return one entry for each Gateway whose routes use a target of the policy, or the target's namespace alone."""
    targets = {(judged.resource.namespace, ref.name) for ref in judged.resource.spec.target_refs}
    gateways = {id(one.gateway): one.gateway for route in plan.routes if _uses(route, targets)
                for binding in route.bindings for one in binding.listeners}
    return [{"ancestorRef": {"group": GROUP, "kind": "Gateway", "namespace": one.namespace, "name": one.name},
             "controllerName": OWN, "conditions": _listed(judged.conditions)} for one in gateways.values()] or [
        {"ancestorRef": None, "controllerName": OWN, "conditions": _listed(judged.conditions)}]


def _uses(route, targets):
    return any((ref.namespace or route.resource.namespace, ref.name) in targets
               for rule in route.resource.spec.rules for ref in rule.backend_refs)
