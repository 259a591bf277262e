"""What can be checked only when everything has been decoded: references, chains, addresses, documents.

Works on what was gathered while decoding, so it also runs where other faults were found.
"""

import os
from datetime import UTC, datetime
from itertools import islice

from meshd.config.clash import check_addresses
from meshd.config.effect import check_effect
from meshd.config.offer import check_offers
from meshd.config.share import check_beside, check_canaries
from meshd.document.context import Context, Referral, Seen
from meshd.document.locate import locate
from meshd.document.node import Node, Sequence
from meshd.document.value import missing_hint
from meshd.model.cluster import Cluster
from meshd.model.listener import FilterChain, Listener
from meshd.model.snapshot import Admin, Snapshot
from meshd.model.tls import Certificate, DownstreamTls, UpstreamTls, Validation

OF_TLS = (Certificate, Validation, DownstreamTls, UpstreamTls)
WATCHED = frozenset((Cluster, Listener, FilterChain, Admin, Snapshot, *OF_TLS))
CHAINS = (Listener, FilterChain)
_KINDS = {Cluster: "cluster", Listener: "listener"}


def check(context: Context, is_complete: bool = True) -> None:
    """Add the faults of the whole. Unless ``is_complete`` (a file could not be parsed) names are not looked up."""
    names = _names(context) if is_complete else {}
    for referral in context.referrals:
        _check_name(referral, names, context)
    known = {(one.kind, one.name): one.path for one in context.referrals}
    chains = {seen.path: {one.name: seen.node for one in seen.values["filters"]} for seen in context.seen
              if seen.cls in CHAINS and "filters" in seen.values}
    for used in context.used:
        chain = used.path.partition(".filters[")[0]
        there = {**names, "filter": chains[chain]} if chain in chains else names
        _check_needs(used, there, known, context)
        check_beside(used, context)
    for seen in context.seen:
        if seen.cls in CHAINS:
            _check_chain(seen, "filters", "http_filter", context)
            _check_chain(seen, "network_filters", "network_filter", context)
        elif seen.cls is Snapshot:
            _check_documents(seen, context)
    if any(seen.cls in OF_TLS for seen in context.seen):
        from meshd.config.certificate import check_certificates  # imports OpenSSL

        check_certificates(context, datetime.now(UTC).timestamp())
    check_effect(context)
    check_offers(context)
    listeners = [seen for seen in context.seen if seen.cls is Listener]
    check_addresses(listeners, [seen for seen in context.seen if seen.cls is Admin], context)


def _names(context: Context) -> dict[str, dict[str, Node]]:
    names: dict[str, dict[str, Node]] = {kind: {} for kind in _KINDS.values()}
    for seen in context.seen:
        if seen.cls in _KINDS and "name" in seen.values:
            names[_KINDS[seen.cls]].setdefault(seen.values["name"], seen.node)
    return names


def _check_name(referral: Referral, names: dict[str, dict[str, Node]], context: Context) -> None:
    there = names.get(referral.kind)
    if there is None or referral.name in there:
        return
    if context.faults.is_full:
        context.faults.dropped += 1
        return
    guess = context.guess(referral.name, there)
    listed = ", ".join(islice(there, 20)) + (", ..." if len(there) > 20 else "") or "none"
    context.fault(
        "MSH0201", referral.node, referral.path, f'unknown {referral.kind} "{referral.name}"',
        hint=f'did you mean "{guess}"?' if guess else f"no such {referral.kind}", notes=(f"configured: {listed}",),
    )


def _check_needs(used, names, known: dict, context: Context) -> None:
    """Check what a plugin says that it uses (``PluginType.references``)."""
    try:
        needs = list(used.type.references(used.plugin.config))
    except Exception as error:  # a plugin's own code
        context.fault("MSH0117", used.node, used.path, f"references of {used.plugin.type} raised {error!r}")
        return
    for need in needs:
        path = f"{used.path}.{need.path}" if need.path else used.path
        if need.kind == "file":
            _check_file(need.name, locate(used.node, need.path), path, context)
        elif need.kind == "choice":
            _check_choice(used, need.name, context)
        elif not known.get((need.kind, need.name), "").startswith(used.path):
            _check_name(Referral(need.kind, need.name, locate(used.node, need.path), path), names, context)


def _check_choice(used, key: str, context: Context) -> None:
    """Add a fault unless a network filter before this one, or one of the listener's, may choose what ``key`` would say.
    """
    chain, _, place = used.path.rpartition(".network_filters[")
    seen = next((one for one in context.seen if one.cls in CHAINS and one.path == chain), None)
    if seen is None or "network_filters" not in seen.values:
        return
    looking = [filters for one in context.seen if one.cls is Listener and f"{chain}.".startswith(f"{one.path}.")
               for filters in one.values.get("listener_filters", ())]
    before = [*looking, *seen.values["network_filters"][:int(place.partition("]")[0])]]
    types = [context.plugin_type(one.kind, one.type) for one in before if not one.disabled]
    if not used.plugin.disabled and not any(one is not None and one.chooses for one in types):
        context.fault("MSH0103", used.node, used.path, f'missing "{key}", expected it as no filter before this one '
                      "chooses it: nobody would be served", hint=f'give the {key}, or a filter before that chooses it')


def _check_file(file: str, node: Node, path: str, context: Context) -> None:
    if not os.access(file, os.R_OK):
        context.fault("MSH0110", node, path, f"no readable file {file!r}", hint=missing_hint(file, context.guess))


def _check_documents(seen: Seen, context: Context) -> None:
    nodes = seen.node.get("documents")
    for place, file in enumerate(seen.values.get("documents", ())):
        if type(nodes) is Sequence and not os.access(file, os.R_OK):
            _check_file(file, nodes.items[place], f"documents[{place}]", context)


def _check_chain(seen: Seen, key: str, kind: str, context: Context) -> None:
    """The last filter that is not disabled must be terminal, and no other."""
    filters = seen.values.get(key, ())
    active = [(place, one) for place, one in enumerate(filters) if not one.disabled]
    ends = [_is_terminal(one, context) for _, one in active]
    nodes = seen.node.get(key)
    pairs = [(f"{seen.path}.{key}[{place}]", one, nodes.items[place]) for place, one in active]
    check_canaries(pairs, context)
    for (place, one), is_end in list(zip(active, ends))[:-1]:
        if is_end:
            context.fault("MSH0202", nodes.items[place], f"{seen.path}.{key}[{place}]",
                          f'filter "{one.name}" ends the chain, expected it last', hint="no filter after it runs")
    if filters and not (ends and ends[-1]):
        place = active[-1][0] if active else len(filters) - 1
        terminal = ", ".join(name for name in context.plugin_names(kind)
                             if context.plugin_type(kind, name).terminal) or "none is installed"
        context.fault("MSH0202", nodes.items[place], f"{seen.path}.{key}",
                      f"the chain does not end in a terminal filter, expected one of: {terminal}")


def _is_terminal(plugin, context: Context) -> bool:
    record = context.plugin_type(plugin.kind, plugin.type)
    return record is not None and record.terminal
