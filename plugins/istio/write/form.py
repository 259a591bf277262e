"""What the documents that are written share: their frame, names, and references to clusters."""

import re

import attrs

NETWORKING = "networking.istio.io/v1"
PORT = 80
"""The port of services that are written for clusters that do not name one."""
_FOREIGN = re.compile(r"[^a-z0-9]+")


def document(kind, name, spec, namespace=""):
    """Return one document; ``name`` is any text, without ``namespace`` the file's own is meant."""
    metadata = {"name": word(name), **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": NETWORKING, "kind": kind, "metadata": metadata, "spec": spec}


def word(text):
    """Return a text as a name of Kubernetes' form."""
    return _FOREIGN.sub("-", text.lower()).strip("-")[:63].strip("-") or "unnamed"


def target(cluster):
    """Return (host, port, subset) of a cluster's name: Istio's own form is taken apart, any other is the host."""
    parts = cluster.split("|")
    if len(parts) == 4 and parts[0] == "outbound" and parts[1].isdecimal():
        return parts[3], int(parts[1]), parts[2]
    return cluster, PORT, ""


def destination(cluster):
    """Return the ``destination`` of a route."""
    host, port, subset = target(cluster)
    return {"host": host, "port": {"number": port}, **({"subset": subset} if subset else {})}


def given(**fields):
    """Return the fields that have a value."""
    return {key: value for key, value in fields.items() if value not in (None, "", (), [], {})}


def seconds(value_s):
    """Return a duration as Istio reads it."""
    return f"{value_s:g}s"


def lose(losses, at, config, known=(), what="", only=None):
    """Add a sentence for each option of ``config`` (of ``only`` these) that is not its default and not ``known``."""
    for one in attrs.fields(type(config)):
        if not one.eq or one.default is attrs.NOTHING or one.name in known or (only and one.name not in only):
            continue
        if getattr(config, one.name) != one.default:
            losses.append(f"{at}: {what}{one.name.removesuffix('_s')} has no field of Istio's")
