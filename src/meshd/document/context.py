"""What a decoding run knows and gathers: faults, plugin types, origins, and the places that later checks ask for."""

from collections.abc import Callable, Iterable
from typing import Any

import attrs

from meshd.document.fault import ERROR, WARNING, Faults
from meshd.document.mark import Mark
from meshd.document.memory import Kept, Memory
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
    ``memory`` is what the last reading has made, or None.
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
    memory: Memory | None = None
    parents: list[tuple[type, str, str, Node]] = attrs.field(factory=list, init=False)
    referrals: list[Referral] = attrs.field(factory=list, init=False)
    used: list[Used] = attrs.field(factory=list, init=False)
    seen: list[Seen] = attrs.field(factory=list, init=False)
    comparisons: int = attrs.field(default=MAX_COMPARISONS, init=False)
    looks: int = attrs.field(default=0, init=False)
    """How often decoding has asked for what is no document: a file, the environment."""

    def fault(self, code: str, node: Node | Mark, path: str, message: str, severity: str = ERROR, **more) -> None:
        """Add a fault at ``node``; ``more`` is hint, notes, related, help."""
        mark = node if isinstance(node, Mark) else node.mark()
        self.faults.add(code, mark, message, path=path, severity=severity, **more)

    def unsupported(self, node: Node | Mark, path: str, what: str) -> None:
        """Say that something is accepted and does not work yet: a warning, an error where ``is_strict``."""
        self.fault("MSH0118", node, path, f"accepted, but not in force: {what}", ERROR if self.is_strict else WARNING)

    def once(
        self, kind: str, objects: tuple, make: Callable[[], Any], values: tuple = (), *, path: str = "",
        fits: Callable[[Any], bool] | None = None,
    ) -> Any:
        """Return ``make()``, or in a reader that lives on what it returned when it was last made of the same things.

        The result may depend on ``objects`` (the very same ones), ``values`` (hashable, equal ones), what
        ``fits(result)`` finds still true, and nothing else but documents' text and the plugins; it is never changed
        afterwards. Faults and the like are added again, under ``path`` where that is another one now. What had an
        error is made again.
        """
        if self.memory is None:
            return make()
        key = (kind, values, *map(id, objects))
        kept = self.memory.find(key)
        if kept is not None and (kept.path == path or not kept.findings) and (fits is None or fits(kept.result)):
            self._again(kept, path)
            return kept.result
        before = self._added()
        result = make()
        kept = self._kept(before, result, objects, path)
        if kept is not None:
            self.memory.keep(key, kept)
        return result

    def _added(self) -> tuple[int, ...]:
        return (self.looks, self.faults.blocking, *map(len, (self.faults.tape, self.referrals, self.used, self.seen)))

    def _kept(self, before: tuple[int, ...], result: Any, objects: tuple, path: str) -> Kept | None:
        """Return what is to be kept, or None where it had an error or looked at what is no document."""
        looks, blocking, *starts = before
        if (looks, blocking) != (self.looks, self.faults.blocking):
            return None
        lists = (self.faults.tape, self.referrals, self.used, self.seen)
        return Kept(result, objects, path, *(tuple(one[start:]) for one, start in zip(lists, starts)))

    def _again(self, kept: Kept, path: str) -> None:
        """Add what making it had added."""
        for arguments, more in kept.findings:
            self.faults.add(*arguments, **more)
        for mine, those in ((self.referrals, kept.referrals), (self.used, kept.used), (self.seen, kept.seen)):
            if path == kept.path:
                mine += those
            else:
                mine += [attrs.evolve(one, path=path + one.path[len(kept.path):]) for one in those]

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
