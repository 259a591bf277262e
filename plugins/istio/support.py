"""``python -m meshd_plugins.istio.support > docs/istio-support.md``: which fields of which documents do something.

The page is made of the classes: a field that is ``unsupported`` is accepted with a warning (with ``--strict`` an
error), and says why; so are all fields below it. What is refused for safety stands in the opening.
"""

import sys

from meshd.api import (
    Anything, Boolean, Choice, Duration, HeaderName, HeaderValue, Integer, ListOf, MapOf, Nested, Number, Regex, Text,
    options,
)
from meshd_plugins.istio.catalog import KINDS
from meshd_plugins.istio.schema.gateway import ServerTLSSettings
from meshd_plugins.istio.schema.match import L4MatchAttributes, TLSMatchAttributes
from meshd_plugins.istio.schema.traffic_policy import ClientTLSSettings, TunnelSettings

OPENING = """\
# Which documents and fields work

<!-- Generated: python -m meshd_plugins.istio.support > docs/istio-support.md -->

Every field of these documents is known and checked as istiod checks it. A field **works**, or it is accepted and
**warned** of: its use is the warning MSH0118, which says why, and an error with `--strict`. What is warned of counts
for all that stands below it.

Some documents are **refused** where they select this proxy, since running without them would let in what they forbid
(MSH0313): `AuthorizationPolicy` with an action other than `AUDIT`, `RequestAuthentication` with rules,
`PeerAuthentication` with mode `STRICT`. `ISTIO_MUTUAL` is refused where the native file names no `node.identity`
(MSH0320).

Two things that istiod refuses are taken, with a warning; with `--strict` they are errors: host `*` in a
`VirtualService` without `gateways` (MSH0311), and `kind: VirtualGateway` (MSH0312).

Times are written as Go writes them (`250ms`, `1m30s`).
"""

LEAF = {
    Text: "text", Integer: "whole number", Number: "number", Boolean: "truth value", Duration: "time",
    Regex: "RE2 expression", HeaderName: "header name", HeaderValue: "header value", Anything: "anything",
}
WORKS, WARNED, REFUSED = "works", "warned", "refused"
SECURITY = "where it selects this proxy and forbids something: it cannot be enforced yet (MSH0313)"
REFUSED_KINDS = frozenset(("PeerAuthentication", "RequestAuthentication", "AuthorizationPolicy"))
MESH_TLS = "ISTIO_MUTUAL needs node.identity of the native file, and is refused without (MSH0320)"
NETWORKS = "in sidecars; Istio does not look at it at a gateway (warned)"
NO_OLD = "TLS before 1.2 is not there: TLSV1_0 and TLSV1_1 are warned of"
FOUND_LATER = {
    (ClientTLSSettings, "mode"): (WORKS, MESH_TLS),
    (ServerTLSSettings, "mode"): (WORKS, MESH_TLS),
    (L4MatchAttributes, "destination_subnets"): (WORKS, NETWORKS),
    (L4MatchAttributes, "source_subnet"): (WORKS, NETWORKS),
    (TLSMatchAttributes, "destination_subnets"): (WORKS, NETWORKS),
    (ServerTLSSettings, "min_protocol_version"): (WORKS, NO_OLD),
    (ServerTLSSettings, "max_protocol_version"): (WORKS, NO_OLD),
    (ServerTLSSettings, "ecdh_curves"): (WORKS, "in this order; OpenSSL knows more names than Istio"),
    (ServerTLSSettings, "insecure_skip_verify"): (WARNED, "certificates of clients are verified all the same"),
    (TunnelSettings, "protocol"): (WORKS, "CONNECT or POST"),
}
"""Fields of which only the translation can say whether they work: class and attribute -> state and reason."""


def make_page():
    """Return the page."""
    lines = [OPENING, *_overview()]
    for kind in KINDS:
        lines += _kind(kind)
    return "\n".join(lines) + "\n"


def _overview():
    yield from ("| kind | group | versions | fields | warned or refused |", "|---|---|---|---|---|")
    for kind in KINDS:
        rows = list(_rows(kind))
        warned = sum(state != WORKS for _, _, state, _ in rows)
        group, versions = kind.group or "(core)", ", ".join(kind.versions)
        yield f"| [{kind.name}](#{_anchor(kind)}) | {group} | {versions} | {len(rows)} | {warned} |"
    yield ""


def _title(kind):
    return f"{kind.name} ({kind.group})" if kind.group else f"{kind.name} (core)"


def _anchor(kind):
    kept = (one for one in _title(kind).lower().replace(" ", "-") if one.isalnum() or one in "-_")
    return "".join(kept)


def _kind(kind):
    yield from (f"## {_title(kind)}", "")
    if kind.spec is None:
        yield from (f"A {kind.name} {kind.says}.", "")
        return
    yield from ("| field | value | | |", "|---|---|---|---|")
    for path, words, state, why in _rows(kind):
        yield f"| `{path}` | {words} | {state} | {_cell(why)} |"
    yield ""


def _rows(kind):
    """Yield (path, type, state, reason or meaning) of each field of a kind."""
    if kind.spec is not None:
        outer = (REFUSED, SECURITY) if kind.name in REFUSED_KINDS else None
        yield from _fields(kind.spec, kind.section, outer, ())


def _fields(cls, path, outer, above):
    """Yield the rows of a class; ``outer`` is the state and reason of what it stands in, None where that works."""
    for field in options(cls):
        place = f"{path}.{field.key}" if path else field.key
        own = (WARNED, field.unsupported) if field.unsupported else FOUND_LATER.get((cls, field.name))
        inner, place = _class_of(field.spec, place)
        yield place, _words(field.spec), *(outer or own or (WORKS, field.doc))
        if inner is not None and inner not in above:
            yield from _fields(inner, place, outer or own, (*above, cls))


def _class_of(spec, place):
    """Return the class that a field leads to, and the path of what stands in lists and mappings."""
    if isinstance(spec, ListOf):
        return _class_of(spec.item, place + "[]")
    if isinstance(spec, MapOf):
        return _class_of(spec.value, place + ".KEY")
    return (spec.cls if isinstance(spec, Nested) else None), place


def _words(spec):
    if isinstance(spec, ListOf):
        return f"list of {_words(spec.item)}"
    if isinstance(spec, MapOf):
        return f"mapping to {_words(spec.value)}"
    if isinstance(spec, Choice):
        return " or ".join(f"`{word}`" for word in spec.words)
    return spec.cls.__name__ if isinstance(spec, Nested) else LEAF[type(spec)]


def _cell(text):
    return text.replace("|", "\\|")


def main():
    """Print the page."""
    sys.stdout.write(make_page())


if __name__ == "__main__":
    main()
