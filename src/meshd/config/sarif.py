"""Faults as SARIF 2.1.0, which code hosts show beside the lines that they concern. For ``-o sarif`` of a check."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from meshd import __version__
from meshd.config.render import Outcome, title
from meshd.document.code import CODES, DOCUMENTATION, Code
from meshd.document.fault import ERROR, INFO, WARNING, Fault
from meshd.document.mark import Mark

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS = {ERROR: "error", WARNING: "warning", INFO: "note"}


def render_sarif(outcome: Outcome, codes: Mapping[str, Code] = CODES) -> str:
    """Return one SARIF log; ``codes`` say what the faults' codes mean."""
    used = sorted({fault.code for fault in outcome.faults})
    run = {
        "tool": {"driver": {
            "name": "meshd", "version": __version__, "informationUri": "https://meshd.readthedocs.io",
            "rules": [_rule(code, codes.get(code)) for code in used],
        }},
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": True}],
        "results": [_result(fault, used.index(fault.code)) for fault in outcome.faults],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False)


def _rule(code: str, meaning: Code | None) -> dict[str, Any]:
    found: dict[str, Any] = {"id": code, "helpUri": DOCUMENTATION + code}
    if meaning is not None:
        found["shortDescription"] = {"text": meaning.text}
        found["defaultConfiguration"] = {"level": LEVELS[meaning.severity]}
    return found


def _result(fault: Fault, index: int) -> dict[str, Any]:
    parts = [title(fault) + (f" ({fault.hint})" if fault.hint else ""), *fault.notes, fault.help]
    found: dict[str, Any] = {
        "ruleId": fault.code, "ruleIndex": index, "level": LEVELS[fault.severity],
        "message": {"text": "\n".join(part for part in parts if part)},
        "locations": [_location(fault.mark)],
        "properties": {"path": fault.path, "analysis": fault.is_analysis, "subject": fault.subject},
    }
    if fault.related:
        found["relatedLocations"] = [
            {"id": number, **_location(one.mark), "message": {"text": one.text}}
            for number, one in enumerate(fault.related)
        ]
    return found


def _location(mark: Mark) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": {"uri": _uri(mark.file)}}
    if mark.line:
        place["region"] = {"startLine": mark.line, "startColumn": max(1, mark.column),
                           "endLine": mark.line, "endColumn": max(mark.end_column, mark.column, 1)}
    return {"physicalLocation": place}


def _uri(file: str) -> str:
    """Return a file's reference: relative as it was given, so that a code host finds it in the repository."""
    path = quote(file.removeprefix("./"), safe="/")
    return f"file://{path}" if path.startswith("/") else path
