"""Documents to resources: lists are taken apart, kinds looked up, ``metadata`` and ``spec`` decoded."""

import re

import attrs

from meshd.api import INFO, Mapping, Related, Scalar, Sequence, decode
from meshd_plugins.istio.catalog import GROUPS, IGNORED_GROUPS, find, near
from meshd_plugins.istio.resource import DEFAULT_NAMESPACE, Metadata, Resource
from meshd_plugins.istio.validate import validate

NAME = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?")
METADATA_KEYS = ("name", "namespace", "labels", "annotations", "creationTimestamp")
TOP_KEYS = ("apiVersion", "kind", "metadata", "status")


def read(roots, context):
    """Return the resources of these documents; what is wrong with others is in ``context.faults``."""
    found = []
    seen = {}
    for root in roots:
        for document in _flat(root, context):
            resource = context.once("resource", (document,), lambda: _resource(document, context))
            if resource is None:
                continue
            resource = _aged(resource, context)
            first = seen.setdefault(resource.key, resource)
            if first is not resource:
                context.fault("MSH0301", resource.node.get("metadata"), "metadata.name",
                              f"a second {resource.title}, expected one",
                              related=(Related(first.node.get("metadata").mark(), "the first"),))
                continue
            validate(resource, context)
            found.append(resource)
    return found


def _flat(root, context):
    """Yield the document, or the items of a list of documents."""
    if type(root) is not Mapping:
        context.fault("MSH0101", root, "", f"expected a document with apiVersion and kind, got {root.what}")
        return
    kind, items = root.get("kind"), root.get("items")
    if type(kind) is Scalar and kind.text.endswith("List") and type(items) is Sequence:
        for item in items.items:
            yield from _flat(item, context)
    else:
        yield root


def _resource(node, context):
    version, name = (_word(node, key, context) for key in ("apiVersion", "kind"))
    if version is None or name is None:
        return None
    group, _, number = version.text.rpartition("/")
    kind = find(group, name.text)
    if kind is None:
        return _unknown(node, group, version, name, context)
    if number not in kind.versions:
        context.fault("MSH0303", version, "apiVersion",
                      f"{name.text} has no version {number!r}, expected one of {', '.join(kind.versions)}")
        return None
    if kind.spec is None:
        context.fault("MSH0304", name, "kind", f"{name.text} {kind.says}", INFO, is_analysis=True)
        return None
    metadata = _metadata(node, context)
    spec = _spec(kind, node, context)
    if metadata is None or spec is None:
        return None
    namespace = metadata.namespace or (DEFAULT_NAMESPACE if kind.is_namespaced else "")
    return Resource(kind, metadata, namespace, spec, node)


def _aged(resource, context):
    """Return the resource with the time at which the document was first seen, unless it says when it was made."""
    metadata = resource.metadata
    if metadata.creation_timestamp or context.ages is None:
        return resource
    seen = context.ages.first_seen("/".join(resource.key), metadata.node.source.file)
    if not seen:
        return resource
    return context.once("aged", (resource,), lambda: attrs.evolve(
        resource, metadata=attrs.evolve(metadata, creation_timestamp=seen)), (seen,))


def _word(node, key, context):
    found = node.get(key)
    if type(found) is Scalar and found.text:
        return found
    context.fault("MSH0103", found or node, key, f'missing "{key}", expected text')
    return None


def _unknown(node, group, version, name, context):
    if group in IGNORED_GROUPS:
        context.fault("MSH0304", name, "kind", f"{name.text} ({version.text}) says nothing to a proxy: left alone",
                      INFO, is_analysis=True)
        return
    if group not in GROUPS:
        context.fault("MSH0302", version, "apiVersion", f"unknown group {group!r}, expected one of "
                      f"{', '.join(sorted(one for one in GROUPS if one))}")
        return
    guess = near(group, name.text)
    context.fault("MSH0302", name, "kind", f"unknown kind {name.text!r} of {group}",
                  hint=f'did you mean "{guess}"?' if guess else "")


def _metadata(node, context):
    metadata = node.get("metadata")
    if type(metadata) is not Mapping:
        context.fault("MSH0103", metadata or node, "metadata", 'missing "metadata", expected a mapping with a name')
        return None
    known = Mapping(metadata.source, metadata.line, metadata.column,
                    {key: entry for key, entry in metadata.entries.items() if key in METADATA_KEYS})
    found = decode(Metadata, known, context, "metadata")
    if found is None:
        return None
    for key in ("name", "namespace"):
        text = getattr(found, key)
        if text and not NAME.fullmatch(text):
            context.fault("MSH0106", metadata.get(key), f"metadata.{key}",
                          f"expected lower-case letters, digits, - and ., got {text!r}")
            return None
    return found


def _spec(kind, node, context):
    if not kind.section:
        entries = {key: entry for key, entry in node.entries.items() if key not in TOP_KEYS}
        return decode(kind.spec, _like(node, entries), context, "")
    for key, (at, _) in node.entries.items():
        if key not in TOP_KEYS and key != kind.section:
            context.fault("MSH0104", at, "", f'unknown field "{key}"',
                          notes=(f"known keys: {', '.join((*TOP_KEYS, kind.section))}",))
    section = node.get(kind.section)
    return decode(kind.spec, section if section is not None else _like(node, {}), context, kind.section)


def _like(node, entries):
    return Mapping(node.source, node.line, node.column, entries)
