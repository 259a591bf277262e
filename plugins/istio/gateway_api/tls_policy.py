"""BackendTLSPolicies: for which Services they speak, and their conditions.

TLS to backends is not there yet, so that a Service with a policy gets no requests: they must not leave in plain text.
"""

import attrs

from meshd_plugins.istio.gateway_api.condition import ACCEPTED, RESOLVED, bad, good
from meshd_plugins.istio.gateway_api.kinds import CORE


@attrs.define(eq=False)
class Judged:
    """A policy and its conditions."""

    resource: object
    conditions: dict = attrs.field(factory=dict)

    def set(self, condition):
        """Keep a condition."""
        self.conditions[condition.type] = condition


class Policies:
    """All BackendTLSPolicies, the oldest first: of two for one target the first holds."""

    def __init__(self, world):
        self._world = world
        self._targets = {}
        self.judged = [self._judge(one) for one in world.tls_policies]

    def of(self, namespace, name, section):
        """Return the policy of a Service's port, or None. One that names the port goes before one that does not.

        A policy that is not accepted holds all the same: what was to be encrypted is not sent in plain text.
        """
        return self._targets.get((namespace, name, section)) or self._targets.get((namespace, name, None))

    def _judge(self, resource):
        found = Judged(resource)
        reason, message = self._target_fault(resource)
        found.set(self._authorities(resource))
        if not reason and not found.conditions[RESOLVED].is_true:
            reason, message = "NoValidCACertificate", found.conditions[RESOLVED].message
        found.set(bad(ACCEPTED, reason, message) if reason else good(
            ACCEPTED, message="TLS is not spoken to backends yet: requests for its targets get 500"))
        return found

    def _target_fault(self, resource):
        reason, message = "", ""
        for ref in resource.spec.target_refs:
            key = resource.namespace, ref.name, ref.section_name
            if (ref.group, ref.kind) != (CORE, "Service"):
                reason, message = "Invalid", f"{ref.kind} {ref.name}: expected a Service"
            elif not self._is_there(resource.namespace, ref):
                reason, message = "TargetNotFound", f"Service {resource.namespace}/{ref.name}: no such service or port"
            elif key in self._targets:
                reason, message = "Conflicted", f"{self._targets[key].title} has the target already"
            else:
                self._targets[key] = resource
        return reason, message

    def _is_there(self, namespace, ref):
        service = self._world.mesh.service(namespace, ref.name)
        return service is not None and (
            ref.section_name is None or any(port.name == ref.section_name for port in service.ports)
        )

    def _authorities(self, resource):
        for ref in resource.spec.validation.ca_certificate_refs:
            if (ref.group, ref.kind) != (CORE, "ConfigMap"):
                return bad(RESOLVED, "InvalidKind", f"{ref.kind} {ref.name}: expected a ConfigMap")
            found = self._world.find("ConfigMap", resource.namespace, ref.name)
            if found is None:
                return bad(RESOLVED, "InvalidCACertificateRef", f"ConfigMap {ref.name}: there is no such document")
            if "-----BEGIN CERTIFICATE-----" not in dict(found.spec.data).get("ca.crt", ""):
                return bad(RESOLVED, "InvalidCACertificateRef", f"ConfigMap {ref.name}: ca.crt is no PEM text")
        return good(RESOLVED)
