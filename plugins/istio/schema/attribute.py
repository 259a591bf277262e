"""Values and attributes of AuthorizationPolicy: accounts, trust domains, ports, paths, and the keys of ``when``."""

import re

from meshd_plugins.istio.schema.form import each, subnet_fault

ANY_SEGMENT, ANY_REST = "{*}", "{**}"
_LITERAL = re.compile(r"[a-zA-Z0-9._~%!$&'()+,;:@=-]+")
_MAP_KEY = re.compile(r"[^\[]+\[.{1,}\]", re.DOTALL)


def account_fault(text):
    """A service account, with or without its namespace."""
    parts = text.split("/")
    if "*" in text or len(parts) > 2 or "" in parts:
        return f"expected ACCOUNT or NAMESPACE/ACCOUNT without wildcards, got {text!r}"
    return ""


def wildcard_value_fault(text):
    """A value with a wildcard at its start or end at most."""
    if text.count("*") > 1 or "*" in text[1:-1]:
        return f"expected at most one *, at the start or the end, got {text!r}"
    return ""


def domain_fault(text):
    """A trust domain."""
    return f"expected a trust domain, got {text!r}" if "/" in text else wildcard_value_fault(text)


def port_fault(text):
    """A port, as text; istiod takes 0."""
    is_good = text.isascii() and text.isdigit() and int(text[:10]) <= 65535
    return "" if is_good else f"expected a port, got {text!r}"


def path_fault(text):
    """A path, whose segments may be ``{*}``, and the last ``{**}``."""
    has_template = ANY_SEGMENT in text or ANY_REST in text
    is_over = False
    for segment in text.strip("/").split("/"):
        if segment in (ANY_SEGMENT, ANY_REST):
            if is_over:
                return f"expected {ANY_REST} as the last of the templates, got {text!r}"
            is_over = segment == ANY_REST
        elif "{" in segment or "}" in segment:
            return f"expected braces only as {ANY_SEGMENT} or {ANY_REST}, got {text!r}"
        elif has_template and not _LITERAL.fullmatch(segment):
            return f"expected a segment of letters and -._~%!$&'()+,;:@=, got {segment!r}"
    return ""


def _anything(text):
    return ""


ATTRIBUTES = {
    "source.ip": subnet_fault, "remote.ip": subnet_fault, "source.namespace": _anything,
    "source.serviceAccount": account_fault, "source.principal": _anything,
    "source.trustDomain": wildcard_value_fault, "request.auth.principal": _anything,
    "request.auth.audiences": _anything, "request.auth.presenter": _anything, "destination.ip": subnet_fault,
    "destination.port": port_fault, "connection.sni": _anything,
}
"""Attribute -> form of its values."""

MAPS = ("request.headers", "request.auth.claims", "experimental.envoy.filters.")
"""Attributes that are written ``NAME[KEY]``."""


def attribute_faults(condition):
    """Yield the faults of a condition's attribute and of its values."""
    if condition.key.startswith(MAPS):
        if not _MAP_KEY.fullmatch(condition.key):
            yield "key", f"expected NAME[KEY], got {condition.key!r}"
        return
    form = ATTRIBUTES.get(condition.key)
    if form is None:
        yield "key", f"unknown attribute {condition.key!r}, expected one of {', '.join((*MAPS[:2], *ATTRIBUTES))}"
        return
    yield from each("values", condition.values, form)
    yield from each("not_values", condition.not_values, form)
