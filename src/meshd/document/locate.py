"""Finds the node of a path such as ``routes[2].cluster`` below another node, for faults found after decoding."""

import re

from meshd.document.node import Mapping, Node, Sequence

_STEP = re.compile(r"\.?([^.\[\]]+)|\[([0-9]+)\]")


def locate(node: Node, path: str) -> Node:
    """Return the node at ``path`` below ``node``, or the last one on the way that is there."""
    for key, place in _STEP.findall(path):
        if place and type(node) is Sequence and int(place) < len(node.items):
            node = node.items[int(place)]
        elif key and type(node) is Mapping and key in node.entries:
            node = node.entries[key][1]
        else:
            break
    return node
