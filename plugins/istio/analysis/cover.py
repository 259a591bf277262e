"""Whether one match takes all that another one takes. Conservative: where it is not sure, it says no. For ``reach``."""

from meshd_plugins.istio.mesh.name import covers as covers_host


def includes(wide, narrow):
    """Say whether every request that the HTTP match ``narrow`` takes is taken by ``wide``."""
    if not _text(wide.uri, narrow.uri, wide.ignore_uri_case, narrow.ignore_uri_case):
        return False
    if not all(_text(getattr(wide, name), getattr(narrow, name)) for name in ("scheme", "method", "authority")):
        return False
    if not _fields(wide.headers, narrow.headers, str.lower) or not _fields(wide.query_params, narrow.query_params, str):
        return False
    absent = {name.lower(): one for name, one in narrow.without_headers}
    if any(absent.get(name.lower()) != one for name, one in wide.without_headers):
        return False
    return _who(wide, narrow)


def includes_l4(wide, narrow):
    """Say the same of a TLS or TCP match."""
    for name in ("destination_subnets", "source_subnet"):
        value = getattr(wide, name, None)
        if value and value != getattr(narrow, name):
            return False
    hosts = getattr(wide, "sni_hosts", ())
    if hosts and not all(any(covers_host(one, host) for one in hosts) for host in narrow.sni_hosts):
        return False
    return _who(wide, narrow)


def _who(wide, narrow):
    """Compare port, gateways, and whom the rule is for."""
    if wide.port is not None and wide.port != narrow.port:
        return False
    if not dict(wide.source_labels).items() <= dict(narrow.source_labels).items():
        return False
    if wide.gateways and not (narrow.gateways and set(narrow.gateways) <= set(wide.gateways)):
        return False
    return not wide.source_namespace or wide.source_namespace == narrow.source_namespace


def _fields(wide, narrow, fold):
    there = {fold(name): one for name, one in narrow}
    return all(fold(name) in there and _text(one, there[fold(name)]) for name, one in wide)


def _text(wide, narrow, wide_folds=False, narrow_folds=False):
    """Compare two string matches; one without any of the three, and None, take everything."""
    if wide is None or (wide.exact is None and wide.prefix is None and wide.regex is None):
        return True
    if narrow is None or (narrow_folds and not wide_folds):
        return False
    if wide.regex is not None:
        return wide.regex == narrow.regex
    fold = str.lower if wide_folds else str
    if narrow.regex is not None or (narrow.exact is None and narrow.prefix is None):
        return False
    if wide.exact is not None:
        return narrow.exact is not None and fold(wide.exact) == fold(narrow.exact)
    return fold(narrow.exact if narrow.exact is not None else narrow.prefix).startswith(fold(wide.prefix))
