"""BackendTLSPolicies: for which Services they speak, what they ask for, and their conditions.

A Service whose policy cannot be carried out gets no requests: they must not leave in plain text.
"""

import attrs

from meshd_plugins.istio.emit import At, field
from meshd_plugins.istio.gateway_api.authority import KIND, authorities
from meshd_plugins.istio.gateway_api.condition import ACCEPTED, RESOLVED, bad, good
from meshd_plugins.istio.gateway_api.kinds import CORE

SYSTEM = "System"
TYPES = {"Hostname": ("dns", "hostname"), "URI": ("uri", "uri")}
"""Type of a name -> the native type, and the attribute that has it."""


@attrs.define(eq=False)
class Judged:
    """A policy and its conditions. ``authority`` refers to whom it trusts (None: the machine's), ``fault`` says why it
    cannot be carried out, '' where it can.
    """

    resource: object
    conditions: dict = attrs.field(factory=dict)
    authority: object = None
    fault: str = ""

    def set(self, condition):
        """Keep a condition."""
        self.conditions[condition.type] = condition

    def native(self):
        """Return the native ``tls`` of a cluster."""
        asked = self.resource.spec.validation
        source = {"system_roots": True} if self.authority is None else {
            "secret": At(field(self.authority, "name"), self.authority.name)}
        names = [At(one.node, {"type": TYPES[one.type][0], "exact": getattr(one, TYPES[one.type][1])})
                 for one in asked.subject_alt_names]
        return At(asked.node, {"sni": At(field(asked, "hostname"), asked.hostname),
                               "validation": {**source, "subject_alt_names": names or None}})


class Policies:
    """All BackendTLSPolicies, the oldest first: of two for one target the first holds."""

    def __init__(self, world):
        self._world = world
        self._targets = {}
        self.judged = [self._judge(one) for one in world.tls_policies]

    def of(self, namespace, name, section):
        """Return the policy (Judged) of a Service's port, or None. One that names the port goes before one that does
        not.

        A policy that is not accepted holds all the same: what was to be encrypted is not sent in plain text.
        """
        return self._targets.get((namespace, name, section)) or self._targets.get((namespace, name, None))

    def of_port(self, service, port):
        """Return the policy of a port of the mesh's service, which a document of Kubernetes describes, or None."""
        resource = service.resource
        if (resource.kind.group, resource.kind.name) != (CORE, "Service"):
            return None
        return self.of(resource.namespace, resource.name, port.name)

    def _judge(self, resource):
        found = Judged(resource)
        reason, message = self._target_fault(found)
        why = self._authorities(found)
        if why:
            found.fault = why[1]
            reason, message = (reason, message) if reason else why
        found.set(bad(ACCEPTED, reason, message) if reason else good(ACCEPTED))
        return found

    def _target_fault(self, judged):
        resource, reason, message = judged.resource, "", ""
        for ref in resource.spec.target_refs:
            key = resource.namespace, ref.name, ref.section_name
            if (ref.group, ref.kind) != (CORE, "Service"):
                reason, message = "Invalid", f"{ref.kind} {ref.name}: expected a Service"
            elif not self._is_there(resource.namespace, ref):
                reason, message = "TargetNotFound", f"Service {resource.namespace}/{ref.name}: no such service or port"
            elif key in self._targets:
                reason, message = "Conflicted", f"{self._targets[key].resource.title} has the target already"
            else:
                self._targets[key] = judged
        return reason, message

    def _is_there(self, namespace, ref):
        service = self._world.mesh.service(namespace, ref.name)
        return service is not None and (
            ref.section_name is None or any(port.name == ref.section_name for port in service.ports)
        )

    def _authorities(self, judged):
        """Find out whom it trusts; return the reason and message why there is nobody, or ()."""
        asked = judged.resource.spec.validation
        if asked.well_known_ca_certificates:
            judged.set(good(RESOLVED))
            known = asked.well_known_ca_certificates == SYSTEM
            return () if known else ("Invalid", f"{asked.well_known_ca_certificates}: expected {SYSTEM}")
        able, wrong, message = authorities(asked.ca_certificate_refs, judged.resource, self._world)
        reason = "InvalidKind" if wrong == KIND else "InvalidCACertificateRef"
        judged.set(bad(RESOLVED, reason, message) if wrong else good(RESOLVED))
        if not able:
            return "NoValidCACertificate", message
        judged.authority = able[0]
        return ()
