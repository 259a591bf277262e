"""Host names: how short ones are resolved, which wildcards cover which, and how specific they are."""

DOMAIN = "svc.cluster.local"


def kubernetes_host(name, namespace):
    """Return the host of a Kubernetes Service."""
    return f"{name}.{namespace}.{DOMAIN}"


def kubernetes_aliases(name, namespace):
    """Return the other names under which it is asked for, from the longest to the shortest."""
    return (f"{name}.{namespace}.svc", f"{name}.{namespace}", name)


def covers(pattern, host):
    """Say whether ``host`` (which may be a wildcard itself) equals ``pattern`` or stands under its wildcard."""
    if pattern == "*" or pattern == host:
        return True
    return pattern.startswith("*") and host.removeprefix("*").endswith(pattern[1:])


def overlap(one, two):
    """Return the narrower of two hosts where one covers the other, else None."""
    if covers(one, two):
        return two
    return one if covers(two, one) else None


def specificity(pattern):
    """Return a key that sorts the most specific host first: exact ones, then longer wildcards."""
    return (pattern.startswith("*"), -len(pattern))


def qualified(names, namespace):
    """Return the names of gateways as ``namespace/name``; ``mesh`` stays."""
    return {_qualified(one, namespace) for one in names}


def _qualified(name, namespace):
    """Istio also takes ``./name``, ``namespace/name`` and the older ``name.namespace``, with or without a domain."""
    where, slash, rest = name.partition("/")
    if slash:
        return f"{namespace}/{rest}" if where == "." else name
    first, dot, rest = name.partition(".")
    if dot:
        return f"{rest.partition('.')[0]}/{first}"
    return name if name == "mesh" else f"{namespace}/{name}"


def cluster_name(host, port, subset=""):
    """Return Istio's name of an outbound cluster."""
    return f"outbound|{port}|{subset}|{host}"
