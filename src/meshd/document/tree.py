"""YAML text to a tree, with every fault of the text: called for each file of a configuration.

The parser's events (libyaml's where PyYAML has it) are put together here, in one loop without recursion, so that depth,
size, aliases and duplicate keys are decided by us. Nesting is bounded on the way: libyaml takes 28 s for 100,000 ``[``
Aliases are accepted within bounds (a value is not copied, but decoded once for each use); merge keys are refused.
"""

import re

import yaml
from yaml.events import (
    AliasEvent, DocumentStartEvent, MappingEndEvent, MappingStartEvent, ScalarEvent, SequenceEndEvent,
    SequenceStartEvent,
)

from meshd.document.fault import Faults, Related
from meshd.document.mark import Mark
from meshd.document.node import Mapping, Node, Scalar, Sequence, Source
from meshd.document.scalar import NULL_WORDS

try:
    from yaml.cyaml import CParser
except ImportError:  # PyYAML without libyaml
    CParser = None

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 2_000_000
MAX_ALIASES = 100
MAX_ALIASED_NODES = 100_000

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff]")
_TAB_INDENT = re.compile(r" *\t")


class _Stop(Exception):
    """Reading cannot go on; the fault has been added."""


def parse(file: str, data: bytes, faults: Faults) -> Node | None:
    """Return the tree of one file's bytes, or None where it has no usable one; what is wrong is added to ``faults``."""
    roots = parse_all(file, data, faults)
    return roots[0] if roots else None


def parse_all(file: str, data: bytes, faults: Faults) -> list[Node] | None:
    """Return the trees of one file's YAML documents, or None after adding faults.

    Only documents with ``apiVersion`` and ``kind`` may share a file.
    """
    source = _source(file, data, faults)
    if source is None:
        return None
    builder = _Builder(source, faults)
    try:
        return builder.build()
    except _Stop:
        return None
    except yaml.MarkedYAMLError as error:
        _add_syntax_fault(source, error, faults)
    except yaml.YAMLError as error:
        faults.add("MSH0002", source.whole(), f"YAML: {error}")
    return None


def is_resource(root: Node) -> bool:
    """Say whether a document is of Kubernetes' kind: it has ``apiVersion`` and ``kind``."""
    return type(root) is Mapping and "apiVersion" in root.entries and "kind" in root.entries


def _source(file: str, data: bytes, faults: Faults) -> Source | None:
    if len(data) > MAX_BYTES:
        faults.add("MSH0006", Mark(file), f"the file has {len(data)} bytes, expected at most {MAX_BYTES}")
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig")
        _add_character_fault(Source(file, before), len(before), f"byte 0x{data[error.start]:02x} is not UTF-8", faults)
        return None
    found = _CONTROL.search(text)
    if found:
        _add_character_fault(Source(file, text), found.start(), f"control character U+{ord(found[0]):04X}", faults)
        return None
    return Source(file, text)


def _add_character_fault(source: Source, offset: int, what: str, faults: Faults) -> None:
    lines = Source("", source.text[:offset]).lines()
    line, column = len(lines) - 1, len(lines[-1])
    faults.add("MSH0007", source.mark(line, column, line, column + 1), f"{what}, expected UTF-8 text", hint="remove it")


def _add_syntax_fault(source: Source, error: yaml.MarkedYAMLError, faults: Faults) -> None:
    place = error.problem_mark or error.context_mark
    line, column = (place.line, place.column) if place else (0, 0)
    lines = source.lines()
    line = min(line, len(lines) - 1)
    tab = _TAB_INDENT.match(lines[line])
    if tab:
        mark = source.mark(line, tab.end() - 1, line, tab.end())
        faults.add("MSH0001", mark, "YAML: found a tab where indentation is expected", hint="replace the tab by spaces")
        return
    column = min(column, len(lines[line]))
    if "nesting depth" in (error.problem or ""):  # newer libyaml: it looks ahead further than our own bound
        too_deep = f"nested too deep, expected at most {MAX_DEPTH} levels"
        faults.add("MSH0010", source.mark(line, column, line, column + 1), too_deep)
        return
    message = "YAML: " + ": ".join(part for part in (error.context, error.problem) if part)
    faults.add("MSH0002", source.mark(line, column, line, column + 1), message)


def _events(text: str):
    if CParser is not None:
        return iter(CParser(text.encode()).get_event, None)
    return yaml.parse(text, Loader=yaml.SafeLoader)


class _Builder:
    """Puts the events of one file together. ``stack`` holds the open collections, innermost last."""

    def __init__(self, source: Source, faults: Faults) -> None:
        self.source = source
        self.faults = faults
        self.stack: list[tuple] = []
        self.anchors: dict[str, tuple[Node, int]] = {}
        self.nodes = self.aliases = self.aliased = 0
        self.roots: list[Node] = []

    def build(self) -> list[Node] | None:
        """Read all events; return the documents, or None where there is none."""
        for event in _events(self.source.text):
            kind = type(event)
            if kind is ScalarEvent:
                self._scalar(event)
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                self._open(event, kind is MappingStartEvent)
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                self._close()
            elif kind is AliasEvent:
                self._alias(event)
            elif kind is DocumentStartEvent:
                self._document(event)
        if not self.roots:
            self.faults.add("MSH0005", self.source.whole(), "the file is empty, expected a configuration")
            return None
        if len(self.roots) > 1 and not is_resource(self.roots[-1]):
            self._refuse_second(self.roots[-1].mark())
        return self.roots

    def _document(self, event) -> None:
        self.anchors.clear()
        if self.roots and not is_resource(self.roots[-1]):
            start, end = event.start_mark, event.end_mark
            self._refuse_second(self.source.mark(start.line, start.column, end.line, end.column))

    def _refuse_second(self, mark: Mark) -> None:
        self.faults.add("MSH0008", mark, "a second YAML document begins, expected one in each file that is not "
                        "made of documents with apiVersion and kind", hint="put it into its own file")
        raise _Stop

    def _scalar(self, event) -> None:
        start, end = event.start_mark, event.end_mark
        node = Scalar(self.source, start.line, start.column, end.line, end.column, event.value, not event.style)
        if event.tag is not None:
            self._refuse_tag(event)
        if event.anchor is not None:
            self.anchors[event.anchor] = (node, 1)
        self._put(node, event)

    def _open(self, event, is_mapping: bool) -> None:
        start = event.start_mark
        if event.tag is not None:
            self._refuse_tag(event)
        if len(self.stack) >= MAX_DEPTH:
            self._fault("MSH0010", event, f"nested too deep, expected at most {MAX_DEPTH} levels")
            raise _Stop
        content: dict | list = {} if is_mapping else []
        node = (Mapping if is_mapping else Sequence)(self.source, start.line, start.column, content)
        node.end_line = start.line + 1 if not event.flow_style else start.line
        self.stack.append((node, content, [None], event.anchor, self.nodes, event))

    def _close(self) -> None:
        node, _, _, anchor, before, event = self.stack.pop()
        if anchor is not None:
            self.anchors[anchor] = (node, self.nodes - before + 1)
        self._put(node, event)

    def _put(self, node: Node, event) -> None:
        """Give ``node`` to the innermost open collection."""
        self.nodes += 1
        if self.nodes > MAX_NODES:
            self._fault("MSH0010", event, f"too many values, expected at most {MAX_NODES}")
            raise _Stop
        if not self.stack:
            if not (type(node) is Scalar and node.plain and node.text in NULL_WORDS):
                self.roots.append(node)
            return
        _, content, key, _, _, _ = self.stack[-1]
        if type(content) is list:
            content.append(node)
        elif key[0] is None:
            key[0] = self._key(node)
        else:
            self._entry(content, key[0], node)
            key[0] = None

    def _key(self, node: Node) -> Scalar:
        if isinstance(node, Scalar) and not (node.plain and node.text in NULL_WORDS):
            if node.plain and node.text == "<<":
                self.faults.add("MSH0009", node.mark(), "merge keys (<<) are not part of YAML 1.2 and are refused",
                                hint="write the fields out")
            return node
        self.faults.add("MSH0011", node.mark(), "this key is not text, expected a word", hint="quote it")
        return Scalar(self.source, node.line, node.column, node.end_line, node.end_column, "", True)

    def _entry(self, content: dict, key: Scalar, value: Node) -> None:
        if key.plain and key.text in ("", "<<"):
            return
        first = content.setdefault(key.text, (key, value))[0]
        if first is not key:
            message = f'duplicate key "{key.text}" (YAML would keep the last one silently)'
            self.faults.add("MSH0003", key.mark(), message, related=(Related(first.mark()),))

    def _alias(self, event) -> None:
        found = self.anchors.get(event.anchor)
        if found is None:
            is_open = any(entry[3] == event.anchor for entry in self.stack)
            self._fault("MSH0009", event, f"alias *{event.anchor} " + (
                "stands inside its own anchor" if is_open else "has no anchor before it"))
            raise _Stop
        node, size = found
        self.aliases += 1
        self.aliased += size
        self.nodes += size - 1
        if self.aliases > MAX_ALIASES or self.aliased > MAX_ALIASED_NODES:
            self._fault("MSH0009", event, f"too many aliases, expected at most {MAX_ALIASES} in a file, "
                        f"standing for at most {MAX_ALIASED_NODES} values")
            raise _Stop
        self._put(node, event)

    def _refuse_tag(self, event) -> None:
        self._fault("MSH0012", event, f"YAML tag {event.tag} is refused, expected a plain value", "remove the tag")

    def _fault(self, code: str, event, message: str, hint: str = "") -> None:
        start, end = event.start_mark, event.end_mark
        self.faults.add(code, self.source.mark(start.line, start.column, end.line, end.column), message, hint=hint)
