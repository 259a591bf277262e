"""Findings on a configuration that runs all the same, for the log: a line each, bounded, without what only informs."""

from typing import Any

from meshd.document.fault import ERROR, INFO
from meshd.service.fact import fault_line

LOGGED_FINDINGS = 20


def log_findings(log: Any, findings: tuple) -> None:
    """Log the findings of a start or a reload, errors first."""
    told = sorted((one for one in findings if one.severity != INFO), key=lambda one: one.severity != ERROR)
    for one in told[:LOGGED_FINDINGS]:
        log.warn("configuration: {fault}", fault=fault_line(one))
    if len(told) > LOGGED_FINDINGS:
        log.warn("configuration: {count} more findings: expected to be read with: meshd --check",
                 count=len(told) - LOGGED_FINDINGS)
