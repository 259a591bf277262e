"""What a reading may take over from the one before it: results, by the very objects that they were made of.

A reader that lives on (``config/child.py``) hands one Memory to each of its readings; elsewhere there is none. A result
is kept together with all that making it has added to the context, and taken over only together with that.
"""

from collections.abc import Hashable
from typing import Any

import attrs

from meshd.document.node import Node


@attrs.frozen(eq=False)
class Kept:
    """``objects`` are kept so that their ids are nobody else's; the rest is what the context got meanwhile."""

    result: Any
    objects: tuple
    path: str = ""
    findings: tuple = ()
    referrals: tuple = ()
    used: tuple = ()
    seen: tuple = ()


class Memory:
    """Results of the last reading and of the one that runs; what a reading does not use is gone after it."""

    def __init__(self) -> None:
        self._old: dict[Hashable, Kept] = {}
        self._new: dict[Hashable, Kept] = {}
        self._nodes: set[int] = set()

    def __len__(self) -> int:
        return len(self._old) + len(self._new)

    def turn(self) -> None:
        """Begin another reading: what the last one has used and made may be used again."""
        self._old, self._new = self._new, {}
        self._nodes = set()

    def find(self, key: Hashable) -> Kept | None:
        """Return what was kept under ``key``, or None."""
        kept = self._new.get(key) or self._old.get(key)
        if kept is not None:
            self.keep(key, kept)
        return kept

    def keep(self, key: Hashable, kept: Kept) -> None:
        """Keep a result for the next reading; ``key`` must say all that it depends on."""
        self._new[key] = kept
        if isinstance(kept.result, Node):
            self._nodes.add(id(kept.result))

    def has_node(self, node: Node) -> bool:
        """Say whether this node is a kept result: it may come again, so it is worth while to keep what it becomes."""
        return id(node) in self._nodes
