"""What may stand in a file of endpoints: Prometheus' list of target groups (file_sd), and two shapes of ours.

``parse`` returns targets as ``source`` wants them. It runs in a thread, beside the reactor: JSON is read group by
group, so that the interpreter is never held for as long as a large file takes.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from meshd_plugins.discovery.target import ADDRESS, LOCALITY, PRIORITY, WEIGHT, address, number

LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
ENDPOINT_LIMIT = 100_000
KEYS = ("address", "weight", "labels", "locality", "priority")
GROUP_KEYS = ("targets", "labels")
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()

Target = dict[str, str]


def parse(data: bytes, path: str = "") -> list[Target]:
    """Return the targets; raises ValueError or yaml.YAMLError naming what is wrong.

    YAML scalars are all read as text, so that nothing is turned into dates or base-60 numbers.
    """
    is_json = path.endswith(".json") or data.lstrip()[:1] in (b"[", b"{")
    try:
        items = json_items(data.decode()) if is_json else _yaml_items(data)
        return targets(items)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def targets(items: Any) -> list[Target]:
    """Return the targets of a list of groups, addresses and mappings; raises ValueError."""
    found: list[Target] = []
    own: set[str] = set()
    for index, item in enumerate(items):
        where = f"[{index}]"
        if isinstance(item, dict) and not ("address" in item or "weight" in item):
            found += group(item, where)
        else:
            target = _own(item, where)
            if target[ADDRESS] in own:
                raise ValueError(f"{where}: address {target[ADDRESS]!r} stands twice")
            own.add(target[ADDRESS])
            found.append(target)
        if len(found) > ENDPOINT_LIMIT:
            raise ValueError(f"too many endpoints: expected at most {ENDPOINT_LIMIT}")
    return found


def group(item: Any, where: str) -> list[Target]:
    """Return the targets of one of Prometheus' groups, ``{targets: [...], labels: {...}}``; raises ValueError."""
    if not isinstance(item, dict):
        raise ValueError(f"{where}: expected a mapping with targets and labels, got {item!r:.60}")
    for key in item:
        if key not in GROUP_KEYS:
            raise ValueError(f"{where}.{key}: unknown key: expected one of {', '.join(GROUP_KEYS)}")
    names = item.get("targets", [])
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        raise ValueError(f"{where}.targets: expected a list of addresses")
    labels = _labels(item.get("labels") or {}, where)
    for name in labels:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{where}.labels: {name!r:.60}: expected a label's name: letters, digits and _")
    return [{**labels, ADDRESS: one} for one in names]


def json_items(text: str) -> Iterator[Any]:
    """Yield the items of a JSON list, or of the list ``endpoints`` of a mapping; raises ValueError."""
    start = _SPACE.match(text).end()
    if text[start : start + 1] != "[":
        yield from _listed(json.loads(text))
        return
    position = _SPACE.match(text, start + 1).end()
    if text[position : position + 1] != "]":
        while True:
            item, position = _DECODER.raw_decode(text, position)
            yield item
            position = _SPACE.match(text, position).end()
            if text[position : position + 1] != ",":
                break
            position = _SPACE.match(text, position + 1).end()
    if text[position : position + 1] != "]" or _SPACE.match(text, position + 1).end() != len(text):
        raise json.JSONDecodeError("Expecting ',' or ']' and the end", text, position)


def _yaml_items(data: bytes) -> list[Any]:
    return _listed(yaml.load(data, LOADER))


def _listed(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        tree = tree.get("endpoints")
    if tree is None or tree == "":
        tree = []
    if not isinstance(tree, list):
        raise ValueError("expected a list of endpoints, or a mapping with the key 'endpoints'")
    return tree


def _own(item: Any, where: str) -> Target:
    """Return the target of an address, or of a mapping with the keys of an endpoint."""
    if isinstance(item, str):
        return {ADDRESS: address(item, where)}
    if not isinstance(item, dict):
        raise ValueError(f"{where}: expected an address or a mapping, got {item!r:.60}")
    for key in item:
        if key not in KEYS:
            raise ValueError(f"{where}.{key}: unknown key: expected one of {', '.join(KEYS)}")
    locality = item.get("locality", "")
    if not isinstance(locality, str):
        raise ValueError(f"{where}.locality: expected text, got {locality!r:.60}")
    return {
        **_labels(item.get("labels", {}), where),
        ADDRESS: address(item.get("address"), f"{where}.address"),
        WEIGHT: str(number(item.get("weight", 1), 1, 1_000_000, f"{where}.weight")),
        PRIORITY: str(number(item.get("priority", 0), 0, 128, f"{where}.priority")),
        LOCALITY: locality,
    }


def _labels(labels: Any, where: str) -> dict[str, str]:
    if not isinstance(labels, dict) or not all(isinstance(part, str) for pair in labels.items() for part in pair):
        raise ValueError(f"{where}.labels: expected a mapping of text to text")
    return labels
