"""Checks of ``isolation``, ``percent`` and ``canary_of``: where they may stand, and that shares add up."""

import re

from meshd.document.beside import BESIDE, LATER
from meshd.document.context import Context, Used, key_mark
from meshd.document.node import Node

CODE = "MSH0220"
_IN_CHAIN = re.compile(
    r"listeners\[\d+\](?:\.filter_chains\[\d+\]|\.default_filter_chain)?\.filters\[\d+\]\.[^.\[\]]+")


def check_beside(used: Used, context: Context) -> None:
    """Add a fault for each key that has no meaning where it stands."""
    plugin = used.plugin
    if all(getattr(plugin, key) == BESIDE[key].default for key in LATER):
        return
    is_in_chain = plugin.kind == "http_filter" and _IN_CHAIN.fullmatch(used.path) is not None
    if is_in_chain and not used.type.terminal:
        return
    if is_in_chain:
        why, hint = f'"{plugin.type}" ends the chain', "isolate the filters before it, or give them a share"
    elif plugin.kind == "http_filter":
        why = "this stands in place of a filter, whose own it takes"
        hint = "write it at the filter in listeners[].filters; what routes put in its place runs where it runs"
    else:
        why = f"this is of kind {plugin.kind}"
        hint = "isolate the filter that uses it, or give that one a share" if plugin.kind == "authenticator" else ""
    path = used.path.rpartition(".")[0]
    for key in LATER:
        if getattr(plugin, key) != BESIDE[key].default:
            text = f"expected only at a filter of a listener's chain before the last, but {why}"
            context.fault(CODE, key_mark(used.beside or used.node, key), f"{path}.{key}", text, hint=hint)


def check_canaries(pairs: list[tuple[str, object, Node]], context: Context) -> None:
    """Check one chain; ``pairs`` are (path, plugin, node) of its filters that are not disabled."""
    known = {plugin.name: plugin for _, plugin, _ in pairs}
    total: dict[str, float] = {}
    for place, plugin, node in pairs:
        if not plugin.canary_of:
            continue
        mark, where = key_mark(node, "canary_of"), f"{place}.canary_of"
        trouble = _trouble(plugin, known.get(plugin.canary_of))
        if trouble:
            guess = context.guess(plugin.canary_of, known)
            context.fault(CODE, mark, where, trouble, hint=f'did you mean "{guess}"?' if guess else "")
            continue
        total[plugin.canary_of] = total.get(plugin.canary_of, 0.0) + plugin.percent
        if total[plugin.canary_of] > 100.0:
            text = f'canaries of "{plugin.canary_of}" take {total[plugin.canary_of]:g} percent, expected at most 100'
            context.fault(CODE, mark, where, text)


def _trouble(plugin, base) -> str:
    """Return why ``plugin`` cannot be a canary of ``base``; "" where it can."""
    if base is None:
        return f'"{plugin.canary_of}": expected the name of another filter of this chain'
    if base is plugin:
        return f'"{plugin.canary_of}": expected another filter, not this one'
    if base.canary_of:
        return f'"{plugin.canary_of}" is a canary itself: expected a filter that is none, "{base.canary_of}"'
    if base.percent != 100.0:
        return f'"{plugin.canary_of}" has a percent of its own: expected none, as it gets what its canaries leave'
    return ""
