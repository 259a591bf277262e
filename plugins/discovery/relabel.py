"""Prometheus' ``relabel_configs``: rules that rewrite, keep or drop the targets of a discovery by their labels.

``compile_rules`` turns the configuration into one function; ``source`` runs it on every target. Expressions are RE2 and
match whole values, as Prometheus' do (relabel.go of Prometheus is what the actions follow).
"""

import hashlib
import re
from collections.abc import Callable

from meshd.api import BadRegex, Choice, Integer, ListOf, Regex, Text, compile_regex, config, option

ACTIONS = (
    "replace", "keep", "drop", "keepequal", "dropequal", "hashmod", "labelmap", "labeldrop", "labelkeep", "lowercase",
    "uppercase",
)
NEEDS_TARGET = ("replace", "hashmod", "lowercase", "uppercase", "keepequal", "dropequal")
_REFERENCE = re.compile(r"\$(?:(\$)|(\w+)|\{(\w+)\})")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

Labels = dict[str, str]


@config
class RelabelConfig:
    """One rule, with Prometheus' keys and defaults."""

    action: str = option(Choice(ACTIONS), default="replace", doc="what to do")
    source_labels: tuple[str, ...] = option(
        ListOf(item=Text(minimum=1)), default=(), doc="labels whose values are joined to what the expression is held to"
    )
    separator: str = option(Text(), default=";", doc="stands between joined values")
    regex: str = option(Regex(), default="(.*)", doc="RE2 expression, held to the whole value")
    modulus: int = option(Integer(), default=0, doc="of hashmod")
    target_label: str = option(Text(), default="", doc="label that is written")
    replacement: str = option(Text(), default="$1", doc="what is written; $1 or ${name} stand for groups")

    def check(self):
        """Yield faults between fields, as Prometheus finds them."""
        if self.action in NEEDS_TARGET and not self.target_label:
            yield "target_label", f"expected a label for the action {self.action!r}"
        if self.action == "hashmod" and not self.modulus:
            yield "modulus", "expected at least 1 for the action 'hashmod'"
        if self.action in ("keepequal", "dropequal") and not self.source_labels:
            yield "source_labels", f"expected labels for the action {self.action!r}"


def compile_rules(rules: tuple[RelabelConfig, ...]) -> Callable[[Labels], Labels | None]:
    """Return a function that rewrites the labels of one target (a dict that it may change), or returns None to drop it.
    """
    steps = [_STEPS[rule.action](rule, compile_regex(rule.regex)) for rule in rules]
    if not steps:
        return _same

    def apply(labels: Labels) -> Labels | None:
        for step in steps:
            labels = step(labels)
            if labels is None:
                return None
        return labels

    return apply


def _same(labels: Labels) -> Labels:
    return labels


def _joined(rule: RelabelConfig) -> Callable[[Labels], str]:
    names, separator = rule.source_labels, rule.separator
    return lambda labels: separator.join([labels.get(name, "") for name in names])


def _expand(template: str, found) -> str:
    """Write the groups of a match into ``template`` as Go does: an unknown group is empty, ``$$`` is a dollar."""
    def group(reference) -> str:
        if reference[1]:
            return "$"
        name = reference[2] or reference[3]
        try:
            return found.group(int(name) if name.isdecimal() else name) or ""
        except (IndexError, KeyError, BadRegex):
            return ""

    return _REFERENCE.sub(group, template) if "$" in template else template


def _write(labels: Labels, name: str, value: str) -> Labels:
    """Set a label; an empty value removes it, as Prometheus keeps no empty label."""
    if value:
        labels[name] = value
    else:
        labels.pop(name, None)
    return labels


def _replace(rule, regex):
    text = _joined(rule)

    def step(labels: Labels) -> Labels:
        found = regex.fullmatch(text(labels))
        if found is None:
            return labels
        name = _expand(rule.target_label, found)
        if not _LABEL.fullmatch(name):
            return labels
        return _write(labels, name, _expand(rule.replacement, found))

    return step


def _keep(rule, regex):
    text = _joined(rule)
    return lambda labels: labels if regex.fullmatch(text(labels)) else None


def _drop(rule, regex):
    text = _joined(rule)
    return lambda labels: None if regex.fullmatch(text(labels)) else labels


def _keepequal(rule, regex):
    text = _joined(rule)
    return lambda labels: labels if text(labels) == labels.get(rule.target_label, "") else None


def _dropequal(rule, regex):
    text = _joined(rule)
    return lambda labels: None if text(labels) == labels.get(rule.target_label, "") else labels


def _hashmod(rule, regex):
    text = _joined(rule)

    def step(labels: Labels) -> Labels:
        digest = hashlib.md5(text(labels).encode(), usedforsecurity=False).digest()
        return _write(labels, rule.target_label, str(int.from_bytes(digest[8:], "big") % rule.modulus))

    return step


def _labelmap(rule, regex):
    def step(labels: Labels) -> Labels:
        for name, value in list(labels.items()):
            found = regex.fullmatch(name)
            if found is not None:
                _write(labels, _expand(rule.replacement, found), value)
        return labels

    return step


def _labeldrop(rule, regex):
    return lambda labels: {name: value for name, value in labels.items() if not regex.fullmatch(name)}


def _labelkeep(rule, regex):
    return lambda labels: {name: value for name, value in labels.items() if regex.fullmatch(name)}


def _lowercase(rule, regex):
    text = _joined(rule)
    return lambda labels: _write(labels, rule.target_label, text(labels).lower())


def _uppercase(rule, regex):
    text = _joined(rule)
    return lambda labels: _write(labels, rule.target_label, text(labels).upper())


_STEPS = {
    "replace": _replace, "keep": _keep, "drop": _drop, "keepequal": _keepequal, "dropequal": _dropequal,
    "hashmod": _hashmod, "labelmap": _labelmap, "labeldrop": _labeldrop, "labelkeep": _labelkeep,
    "lowercase": _lowercase, "uppercase": _uppercase,
}
