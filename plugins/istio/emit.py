"""Plain Python to nodes of the native form that stand where their document stands. Used by every translation.

    tree(route.node, {"name": "a", "timeout": At(route.node.get("timeout"), "3s"), "cluster": None})

makes a mapping at the place of ``route.node``; None values are left out, nodes are kept as they are.
"""

import attrs

from meshd.api import Mapping, Node, Scalar, Sequence, Source


@attrs.frozen
class At:
    """A value whose place is that of ``node``; where that is None, the place of what is around it."""

    node: Node | None
    value: object


DEFAULT = Scalar(Source("default of istio"), -1, 0, -1, 0, "", False)
"""The place of what no document says."""


def default(value):
    """Return a value of Istio's that no document gives."""
    return At(DEFAULT, value)


def tree(at, value):
    """Return the node of ``value`` (dict, list, tuple, str, int, float, bool, At, Node) at the place of ``at``."""
    if isinstance(value, Node):
        return value
    if type(value) is At:
        return tree(value.node or at, value.value)
    if isinstance(value, dict):
        entries = {key: (_key(at, key, one), tree(at, one)) for key, one in value.items() if one is not None}
        return _placed(Mapping(at.source, at.line, at.column, entries), at)
    if isinstance(value, (list, tuple)):
        return _placed(Sequence(at.source, at.line, at.column, [tree(at, one) for one in value]), at)
    return scalar(at, value)


def scalar(at, value):
    """Return the scalar of a str, int, float or bool. Text is as good as quoted."""
    is_text = isinstance(value, str)
    text = value if is_text else ("true" if value else "false") if isinstance(value, bool) else f"{value}"
    return Scalar(at.source, at.line, at.column, at.end_line, at.end_column, text, not is_text)


def seconds(value_s):
    """Return a native duration of seconds, or None."""
    return None if value_s is None else f"{value_s:.6f}".rstrip("0").rstrip(".") + "s"


def field(one, key):
    """Return the node of the key of a decoded object, or the object's own."""
    return (one.node.get(key) or one.node) if one.node is not None else None


def _key(at, key, value):
    place = value.node if type(value) is At and value.node is not None else value if isinstance(value, Node) else at
    return Scalar(place.source, place.line, place.column, place.end_line, place.end_column, key, False)


def _placed(node, at):
    node.end_line, node.end_column = at.end_line, at.end_column
    return node
