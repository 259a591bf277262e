"""Several files to one tree: lists of the same section follow one another, any other section given twice is a fault."""

from meshd.document.context import Context
from meshd.document.fault import Related
from meshd.document.node import Mapping, Node, Sequence
from meshd.document.option import ListOf
from meshd.document.plan import plan_of
from meshd.document.value import wrong


def merge(cls: type, roots: tuple[Node, ...], context: Context) -> Mapping | None:
    """Return one mapping of the roots' sections, which are options of ``cls``, or None where no root is a mapping."""
    mappings = [root for root in roots if type(root) is Mapping]
    for root in roots:
        if type(root) is not Mapping:
            wrong(root, context, "", "a mapping of sections")
    if len(mappings) < 2:
        return mappings[0] if mappings else None
    fields = plan_of(cls).fields
    first = mappings[0]
    merged = Mapping(first.source, first.line, first.column, dict(first.entries))
    for root in mappings[1:]:
        for key, entry in root.entries.items():
            there = merged.entries.get(key)
            if there is None:
                merged.entries[key] = entry
            elif key in fields and isinstance(fields[key].spec, ListOf) and _are_lists(there[1], entry[1]):
                merged.entries[key] = (there[0], _joined(there[1], entry[1]))
            else:
                context.fault("MSH0014", entry[0], "", f'section "{key}" is given in two files',
                              related=(Related(there[0].mark(), "the first"),), help="keep it in one file")
    return merged


def _are_lists(one: Node, two: Node) -> bool:
    return type(one) is Sequence and type(two) is Sequence


def _joined(one: Sequence, two: Sequence) -> Sequence:
    return Sequence(one.source, one.line, one.column, one.items + two.items)


def canonical(node: Node | None) -> bytes:
    """Return the content of a tree without places, comments, quotes and layout; equal content gives equal bytes."""
    parts: list[str] = []
    stack: list = [node]
    while stack:
        item = stack.pop()
        if type(item) is str:
            parts.append(item)
        elif type(item) is Mapping:
            parts.append("{")
            stack.append("}")
            for key, (_, value) in reversed(item.entries.items()):
                stack += [value, f"{len(key)}:{key}="]
        elif type(item) is Sequence:
            parts.append("[")
            stack.append("]")
            stack += item.items[::-1]
        elif item is not None:
            parts.append(f"{'' if item.plain else 'q'}{len(item.text)}:{item.text},")
    return "".join(parts).encode("utf-8", "surrogatepass")
