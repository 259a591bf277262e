"""What becomes of the documents: classes, Gateways and their listeners, routes and their parents, each with conditions.

Worked out once for a configuration; ``translate`` serves it, ``status`` shows it.
"""

from collections import defaultdict

import attrs

from meshd_plugins.istio.gateway_api.backend import Backend, extensions, references, resolve, resolved
from meshd_plugins.istio.gateway_api.binding import Binding, attach
from meshd_plugins.istio.gateway_api.condition import (
    ACCEPTED, PARTIALLY_INVALID, TRUE, Condition, bad, good,
)
from meshd_plugins.istio.gateway_api.gateways import Gateways
from meshd_plugins.istio.gateway_api.kinds import CORE, GROUP
from meshd_plugins.istio.gateway_api.tls_policy import Policies
from meshd_plugins.istio.gateway_api.world import OWN, World
from meshd_plugins.istio.mesh.order import order

EXTERNAL_AUTH = "ExternalAuth is not there yet"


@attrs.define(eq=False)
class Judged:
    """A route: its bindings, what its references came to, and rules that cannot be carried out (place -> why)."""

    resource: object
    bindings: list = attrs.field(factory=list)
    backends: dict = attrs.field(factory=dict)
    """id of a reference -> Backend"""
    broken: list = attrs.field(factory=list)
    invalid: dict = attrs.field(factory=dict)

    def backend(self, ref):
        """Return the Backend of a reference."""
        return self.backends[id(ref)]


class Plan:
    """Everything that follows from the documents of a ``mesh`` for a ``node``."""

    def __init__(self, mesh, node):
        self.world = World(mesh, node)
        self.policies = Policies(self.world)
        self.gateways = Gateways(self.world)
        resources = [one for routes in self.world.routes.values() for one in routes]
        self.routes = [self._route(one) for one in sorted(resources, key=order)]
        self.by_service = defaultdict(list)
        for one in self.routes:
            for binding in one.bindings:
                if binding.service is not None and binding.is_accepted:
                    self.by_service[binding.service.host].append((one, binding))

    def _route(self, resource):
        found = Judged(resource)
        for place, rule in enumerate(resource.spec.rules):
            self._refer(found, rule, f"spec.rules[{place}]")
            if any(one.external_auth is not None for one in _all_filters(rule)):
                found.invalid[place] = EXTERNAL_AUTH
        for place, ref in enumerate(resource.spec.parent_refs):
            binding = self._binding(resource, ref, place)
            if binding is not None:
                self._judge_rules(found, binding)
                binding.set(resolved(found.broken))
                found.bindings.append(binding)
        return found

    def _refer(self, found, rule, path):
        for ref, below in references(rule):
            backend = found.backends[id(ref)] = resolve(found.resource, ref, self.world, self.policies)
            if not backend.is_good:
                found.broken.append((backend, (ref.node, f"{path}.{below}")))
        for ref, below in extensions(rule):
            why = Backend(reason="InvalidKind", message=f"{ref.kind} {ref.name}: no filter of this kind is known")
            found.broken.append((why, (ref.node, f"{path}.{below}")))

    def _binding(self, resource, ref, place):
        """Return the Binding of one reference, or None where the parent is somebody else's."""
        namespace = ref.namespace or resource.namespace
        binding = Binding(resource, ref, place, OWN)
        if (ref.group, ref.kind) == (CORE, "Service"):
            self._to_service(binding, namespace)
            return binding
        if ref.group != GROUP or ref.kind not in ("Gateway", "ListenerSet"):
            binding.set(bad(ACCEPTED, "NoMatchingParent", f"{ref.kind} is no parent, expected Gateway or ListenerSet"))
            return binding
        binding.parent = self.world.find(ref.kind, namespace, ref.name)
        if binding.parent is None:
            binding.set(bad(ACCEPTED, "NoMatchingParent", f"there is no {ref.kind} {namespace}/{ref.name}"))
            return binding
        owner = self.gateways.of(binding.parent)
        if owner is None:
            return None
        binding.controller = owner.controller
        attach(binding, owner.listeners, self.world)
        return binding

    def _to_service(self, binding, namespace):
        ref = binding.ref
        service = binding.service = self.world.mesh.service(namespace, ref.name)
        if service is None:
            binding.set(bad(ACCEPTED, "NoMatchingParent", f"there is no Service {namespace}/{ref.name}"))
            return
        binding.ports = tuple(one.number for one in service.ports if ref.port in (None, one.number)
                              and ref.section_name in (None, one.name))
        binding.set(good(ACCEPTED) if binding.ports else bad(
            ACCEPTED, "NoMatchingParent", f"Service {namespace}/{ref.name} has no such port"))

    def _judge_rules(self, found, binding):
        """A route whose rules are all impossible is not accepted; one with some of them is accepted in part."""
        if not found.invalid or not binding.is_accepted:
            return
        why = "; ".join(f"rule {place}: {text}" for place, text in found.invalid.items())
        if len(found.invalid) == len(found.resource.spec.rules):
            binding.set(bad(ACCEPTED, "UnsupportedValue", f"{why}; its requests get 500"))
        else:
            binding.set(Condition(PARTIALLY_INVALID, TRUE, "UnsupportedValue",
                                  f"Dropped Rule: {why}; their requests get 500"))


def _all_filters(rule):
    filters = [one for part in (rule, *rule.backend_refs) for one in getattr(part, "filters", ())]
    return [one for one in filters if hasattr(one, "external_auth")]
