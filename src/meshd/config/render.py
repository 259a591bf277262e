"""Faults for people and machines: text with source lines and carets, JSON with LSP-shaped ranges, GitHub annotations.

Called by ``meshd --check`` and at start. Colour only when told; never colour alone.
"""

import json
from collections.abc import Iterable
from typing import Any

import attrs

from meshd.document.code import CODES, DOCUMENTATION, Code
from meshd.document.fault import ERROR, INFO, WARNING, Fault, Related
from meshd.document.mark import Mark

COLOURS = {ERROR: "31;1", WARNING: "33;1", INFO: "36;1", "caret": "31", "gutter": "34", "good": "32"}
LSP = {ERROR: 1, WARNING: 2, INFO: 3}
GITHUB = {ERROR: "error", WARNING: "warning", INFO: "notice"}
SHOWN = 160
"""Columns of a source line that are printed."""

_UNKNOWN = Code(text="", has_path=False)


@attrs.frozen(kw_only=True)
class Outcome:
    """What a check came to: its faults, how many files, and how long it took."""

    faults: tuple[Fault, ...]
    files: int
    duration_s: float

    def count(self, severity: str) -> int:
        """Return how many faults are of a severity."""
        return sum(fault.severity == severity for fault in self.faults)

    @property
    def is_valid(self) -> bool:
        """Say whether the configuration loads, whatever analysis has found."""
        return not any(fault.is_blocking for fault in self.faults)


def render_text(outcome: Outcome, *, colour: bool = False) -> str:
    """Return all faults with their source lines, and the summary line; ends with a line feed."""
    blocks = [render_fault(fault, colour=colour) for fault in outcome.faults]
    return "\n".join([*blocks, summary(outcome, colour=colour) + "\n"])


def summary(outcome: Outcome, *, colour: bool = False) -> str:
    """Return ``1 error, 0 warnings in 6 files (42 ms).  Configuration NOT valid.``"""
    counts = [_plural(outcome.count(ERROR), "error"), _plural(outcome.count(WARNING), "warning")]
    if outcome.count(INFO):
        counts.append(_plural(outcome.count(INFO), "info"))
    verdict = "Configuration valid." if outcome.is_valid else "Configuration NOT valid."
    if outcome.is_valid and outcome.count(ERROR):
        verdict = "Configuration valid, but analysis has found errors."
    verdict = _paint(verdict, ERROR if outcome.count(ERROR) else "good", colour)
    files = _plural(outcome.files, "file")
    return f"{', '.join(counts)} in {files} ({round(outcome.duration_s * 1000)} ms).  {verdict}"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def one_line(fault: Fault) -> str:
    """Return ``file:line:col: path: what (hint)``, for logs."""
    return f"{fault} ({fault.hint})" if fault.hint else str(fault)


def title(fault: Fault) -> str:
    """Return what is wrong, with the path where its kind wants it."""
    code = CODES.get(fault.code, _UNKNOWN)
    if code.is_in_path:
        return f"{fault.message} in {fault.path or 'the top level'}"
    return f"{fault.path}: {fault.message}" if fault.path and code.has_path else fault.message


def render_fault(fault: Fault, *, colour: bool = False) -> str:
    """Return one fault as a block of lines; ends with a line feed."""
    code = CODES.get(fault.code, _UNKNOWN)
    width = max(2, *(len(str(mark.line)) for mark in (fault.mark, *(one.mark for one in fault.related))))
    head = _paint(f"{fault.severity}[{fault.code}]", fault.severity, colour)
    lines = [f"{head}: {title(fault)}"]
    is_excerpt = code.has_source and bool(fault.mark.text)
    first = ""
    if not is_excerpt and fault.related:
        first = f" (first at {_short(fault.related[0].mark, fault.mark)})"
    lines.append(f"{' ' * width}--> {fault.mark}{first}")
    if is_excerpt:
        lines += [_gutter("", width, colour), *_context(fault, code, width, colour)]
        lines += _excerpt(fault.mark, fault.hint, "^", width, colour)
        for related in fault.related:
            lines += _related(related, width, colour)
    elif fault.hint:
        lines.append(f"{' ' * (width + 1)}= help: {fault.hint}")
    lines += _remarks(fault, width, is_excerpt and not fault.related, colour)
    return "\n".join(lines) + "\n"


def _short(mark: Mark, beside: Mark) -> str:
    return f"{mark.line}:{mark.column}" if mark.file == beside.file else str(mark)


def _context(fault: Fault, code: Code, width: int, colour: bool) -> list[str]:
    before = fault.mark.before[len(fault.mark.before) - code.context :] if code.context else ()
    start = fault.mark.line - len(before)
    return [_gutter(str(start + place), width, colour, _visible(line, 0)) for place, line in enumerate(before)]


def _excerpt(mark: Mark, label: str, sign: str, width: int, colour: bool) -> list[str]:
    column = mark.column - mark.text_column
    start = max(0, column - SHOWN // 2) if column > SHOWN - 40 else 0
    text = _visible(mark.text, start)
    column -= start
    length = max(1, min(mark.end_column - mark.column, len(text) - column))
    caret = _paint(sign * length, "caret", colour)
    return [
        _gutter(str(mark.line), width, colour, text),
        _gutter("", width, colour, (" " * column + caret + (f" {label}" if label else "")).rstrip()),
    ]


def _related(related: Related, width: int, colour: bool) -> list[str]:
    lines = [f"{' ' * width}::: {related.mark}"]
    if related.mark.text:
        lines += _excerpt(related.mark, related.text, "-", width, colour)
    return lines


def _remarks(fault: Fault, width: int, has_rule: bool, colour: bool) -> list[str]:
    help_text = fault.help or (DOCUMENTATION + fault.code if fault.code >= "MSH0100" else "")
    remarks = [f"note: {note}" for note in fault.notes] + ([f"help: {help_text}"] if help_text else [])
    rule = [_gutter("", width, colour)] if has_rule and remarks else []
    return rule + [f"{' ' * (width + 1)}= {remark}" for remark in remarks]


def _gutter(number: str, width: int, colour: bool, text: str = "") -> str:
    return (_paint(f"{number:>{width}} |", "gutter", colour) + (f" {text}" if text else "")).rstrip()


def _visible(line: str, start: int) -> str:
    """Return a window of a line, one column for each character: tabs as arrows, what cannot be printed as dots."""
    window = line[start : start + SHOWN].rstrip()
    return "".join("→" if letter == "\t" else letter if letter.isprintable() else "·" for letter in window)


def _paint(text: str, name: str, colour: bool) -> str:
    return f"\x1b[{COLOURS[name]}m{text}\x1b[0m" if colour else text


def render_json(outcome: Outcome) -> str:
    """Return one JSON document; ranges are LSP's: from 0, in UTF-16 units."""
    return json.dumps({
        "apiVersion": "cli.meshd.io/v1", "kind": "Check", "valid": outcome.is_valid, "errors": outcome.count(ERROR),
        "warnings": outcome.count(WARNING), "infos": outcome.count(INFO),
        "files": outcome.files, "durationMs": round(outcome.duration_s * 1000),
        "diagnostics": [as_diagnostic(fault) for fault in outcome.faults],
    }, indent=2, ensure_ascii=False)


def as_diagnostic(fault: Fault) -> dict[str, Any]:
    """Return a fault as an LSP Diagnostic with its file and, in ``data``, what LSP has no place for."""
    return {
        "file": fault.mark.file, "range": _range(fault.mark), "severity": LSP[fault.severity],
        "code": fault.code, "codeDescription": {"href": DOCUMENTATION + fault.code}, "source": "meshd",
        "message": title(fault),
        "relatedInformation": [
            {"location": {"file": one.mark.file, "range": _range(one.mark)}, "message": one.text}
            for one in fault.related
        ],
        "data": {"path": fault.path, "hint": fault.hint, "notes": list(fault.notes), "help": fault.help,
                 "analysis": fault.is_analysis, "subject": fault.subject},
    }


def _range(mark: Mark) -> dict[str, Any]:
    line = max(0, mark.line - 1)
    return {"start": {"line": line, "character": _utf16(mark, mark.column)},
            "end": {"line": line, "character": _utf16(mark, mark.end_column)}}


def _utf16(mark: Mark, column: int) -> int:
    before = mark.text[: max(0, column - mark.text_column)]
    return max(0, column - 1) + sum(ord(letter) > 0xFFFF for letter in before)


def render_github(faults: Iterable[Fault]) -> str:
    """Return one workflow command for each fault, as GitHub Actions reads them."""
    return "".join(_annotation(fault) + "\n" for fault in faults)


def _annotation(fault: Fault) -> str:
    mark = fault.mark
    place = f",line={mark.line},col={mark.column}" if mark.line else ""
    message = f"{fault.code}: {title(fault)}" + (f" ({fault.hint})" if fault.hint else "")
    return f"::{GITHUB[fault.severity]} file={_property(mark.file)}{place}::{_escape(message)}"


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")
