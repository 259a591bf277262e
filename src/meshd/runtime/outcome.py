"""How a start or reload ended, for the log, the metrics, the admin API and ``meshctl``."""

from typing import Any

import attrs

from meshd.document.fault import INFO
from meshd.runtime.change import Change

NO_CODE = "none"


@attrs.frozen(kw_only=True)
class Outcome:
    """``generation`` and ``digest`` are those in force afterwards; ``faults`` are Fault objects or texts.

    ``warnings`` are all findings on what is in force; what is only information is left out of what is told of it.
    """

    is_accepted: bool
    generation: int
    digest: str
    text: str
    duration_s: float = 0.0
    wall_s: float = 0.0
    changed: tuple[Change, ...] = ()
    faults: tuple[Any, ...] = ()
    warnings: tuple[Any, ...] = ()
    heir: int = 0
    """The process of the new generation, where this outcome handed over to one; 0 otherwise."""
    is_configuration: bool = False
    """Whether a refusal is the configuration's fault, and not a port that is taken or a bug."""

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of the faults; ``none`` for one without."""
        return tuple(getattr(fault, "code", NO_CODE) for fault in self.faults) or (NO_CODE,)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data; faults as text with their code."""
        return {
            "accepted": self.is_accepted, "generation": self.generation, "digest": self.digest, "text": self.text,
            "duration_s": round(self.duration_s, 6), "time": self.wall_s, "heir": self.heir or None,
            "changed": {one.kind: one.as_dict() for one in self.changed},
            "faults": [_plain(fault) for fault in self.faults],
            "warnings": [_plain(fault) for fault in self.warnings if getattr(fault, "severity", "") != INFO],
        }


def _plain(fault: Any) -> dict[str, str]:
    return {"code": getattr(fault, "code", NO_CODE), "text": str(fault)}


class OutcomeMetrics:
    """The numbers of the last outcomes."""

    def __init__(self, metrics: Any) -> None:
        self._generation = metrics.gauge(
            "meshd_config_generation", "Configurations accepted since the start", scope="host").cell()
        self._is_good = metrics.gauge(
            "meshd_config_last_reload_successful", "1 where the last configuration was accepted, else 0",
            scope="host"
        ).cell()
        self._good_at = metrics.gauge(
            "meshd_config_last_reload_success_timestamp_seconds", "When a configuration was last accepted",
            scope="host"
        ).cell()
        self._errors = metrics.counter(
            "meshd_config_errors_total", "Faults of refused configurations", ("code",), "host")

    def note(self, outcome: Outcome) -> None:
        """Count ``outcome``."""
        self._generation.set(outcome.generation)
        self._is_good.set(int(outcome.is_accepted))
        if outcome.is_accepted:
            self._good_at.set(outcome.wall_s)
            return
        for code in outcome.codes:
            self._errors.cell(code).inc()
