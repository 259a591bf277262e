"""What a decoding run knows and gathers: faults, plugin types, origins, and the places that later checks ask for."""

from collections.abc import Callable, Iterable
from typing import Any

import attrs

from meshd.document.fault import ERROR, WARNING, Faults
from meshd.document.mark import Mark
from meshd.document.nearest import nearest
from meshd.document.node import Mapping, Node


MAX_COMPARISONS = 50_000
"""Words compared in one run to find what was meant: about a second, however many names and faults there are."""


@attrs.frozen
class Referral:
    """A reference that was decoded: something of ``kind`` named ``name`` must exist; ``node`` is its place."""

    kind: str
    name: str
    node: Node
    path: str


@attrs.frozen
class Used:
    """A plugin instance that was decoded, with the plugin type's record.

    ``path`` is that of its configuration; ``beside`` the mapping that has the keys beside the type, if there is one.
    """

    plugin: Any
    type: Any
    node: Node
    path: str
    beside: Node | None = None


@attrs.frozen
class Seen:
    """An object of a watched class; ``values`` holds the attributes that could be decoded."""

    cls: type
    node: Node
    path: str
    values: dict[str, Any]


def _no_type(kind: str, name: str) -> None:
    return None


def _no_names(kind: str) -> Iterable[str]:
    return ()


@attrs.define(eq=False)
class Context:
    """One decoding run.

    ``plugin_type(kind, name)`` returns a record with ``config`` (class or None) and ``references``; ``make_plugin``
    makes the model's plugin instance. ``watched`` are the classes whose objects are kept in ``seen``. ``origins`` is
    a dict to be filled with path -> ``file:line:column``, or None. ``plugin_notes`` say which plugins were not loaded.
    ``is_strict`` makes errors of what is only warned of else. ``node`` is who this proxy is (``model.snapshot.Node``),
    ``is_node_known`` that a native file says so. ``ages`` knows when documents were first seen (``config.age``).
    """

    faults: Faults = attrs.field(factory=Faults)
    plugin_type: Callable[[str, str], Any] = _no_type
    plugin_names: Callable[[str], Iterable[str]] = _no_names
    make_plugin: Callable[..., Any] = dict
    watched: frozenset[type] = frozenset()
    origins: dict[str, str] | None = None
    dialect: str = "native"
    is_strict: bool = False
    node: Any = None
    is_node_known: bool = False
    ages: Any = None
    plugin_notes: tuple[str, ...] = ()
    parents: list[tuple[type, str, str, Node]] = attrs.field(factory=list, init=False)
    referrals: list[Referral] = attrs.field(factory=list, init=False)
    used: list[Used] = attrs.field(factory=list, init=False)
    seen: list[Seen] = attrs.field(factory=list, init=False)
    comparisons: int = attrs.field(default=MAX_COMPARISONS, init=False)

    def fault(self, code: str, node: Node | Mark, path: str, message: str, severity: str = ERROR, **more) -> None:
        """Add a fault at ``node``; ``more`` is hint, notes, related, help."""
        mark = node if isinstance(node, Mark) else node.mark()
        self.faults.add(code, mark, message, path=path, severity=severity, **more)

    def unsupported(self, node: Node | Mark, path: str, what: str) -> None:
        """Say that something is accepted and does not work yet: a warning, an error where ``is_strict``."""
        self.fault("MSH0118", node, path, f"accepted, but not in force: {what}", ERROR if self.is_strict else WARNING)

    def guess(self, word: str, known: Iterable[str]) -> str | None:
        """Return the known word that was probably meant, or None; always None once too many were compared."""
        known = list(known)
        if len(known) > self.comparisons:
            return None
        self.comparisons -= len(known)
        return nearest(word, known)


def key_mark(node: Node, key: str) -> Mark:
    """Return the mark of the value of ``key`` in ``node``, or of the mapping itself."""
    value = node.get(key) if isinstance(node, Mapping) else None
    return (value or node).mark()
