"""Authorities that documents refer to: ConfigMaps with ``ca.crt``.

The ConfigMap must be among the documents; its file is ``ca.crt`` of the folder of its name under the native
``secrets.directory``, where it is renewed. Of several that are good the first is taken.
"""

from meshd_plugins.istio.gateway_api.kinds import CORE

CERTIFICATE = "-----BEGIN CERTIFICATE-----"
KIND, REF, GRANT = "kind", "ref", "grant"
"""What can be wrong with a reference."""


def authorities(refs, source, world):
    """Return (the references that are good, what is wrong with the first other one, a message), the last two ''."""
    able, wrong, message = [], "", ""
    for ref in refs:
        found, why = _fault(ref, source, world)
        if not found:
            able.append(ref)
        elif not wrong:
            wrong, message = found, why
    return able, wrong, message


def _fault(ref, source, world):
    namespace = getattr(ref, "namespace", None) or source.namespace
    if (ref.group, ref.kind) != (CORE, "ConfigMap"):
        return KIND, f"{ref.kind} {ref.name}: expected a ConfigMap"
    if not world.permits(source, ref.kind, namespace, ref.name):
        return GRANT, f"ConfigMap {namespace}/{ref.name}: no ReferenceGrant in {namespace} allows it"
    found = world.find("ConfigMap", namespace, ref.name)
    if found is None:
        return REF, f"ConfigMap {ref.name}: there is no such document"
    if CERTIFICATE not in dict(found.spec.data).get("ca.crt", ""):
        return REF, f"ConfigMap {ref.name}: ca.crt is no PEM text"
    return "", ""
