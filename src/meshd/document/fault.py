"""Faults of a configuration: what is wrong, where, and what would be right. Collected, never raised one by one."""

import attrs

from meshd.document.mark import Mark

ERROR = "error"
WARNING = "warning"
INFO = "info"
SEVERITIES = (INFO, WARNING, ERROR)
"""From the least to the most severe."""
MAXIMUM = 1000
"""Faults kept of one run, and as many findings beside them; a thousand is more than anybody reads."""


LONGEST = 600
"""Characters of a message, hint or note."""


def printable(text: str) -> str:
    """Return the text without anything that a terminal or a log could obey, cut to ``LONGEST``."""
    if len(text) > LONGEST:
        text = text[: LONGEST - 3] + "..."
    return text if text.isprintable() else "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


@attrs.frozen
class Related:
    """Another place that a fault speaks of, and what stands there."""

    mark: Mark
    text: str = ""


@attrs.frozen
class Fault:
    """One finding. ``hint`` stands beside the caret, ``notes`` below, ``help`` says what to do.

    With ``is_analysis`` the configuration loads all the same, however severe the finding is. ``subject`` is the
    document that it is about (``VirtualService default/reviews``).
    """

    code: str
    severity: str
    message: str
    mark: Mark
    hint: str = ""
    notes: tuple[str, ...] = ()
    related: tuple[Related, ...] = ()
    path: str = ""
    help: str = ""
    is_analysis: bool = False
    subject: str = ""

    @property
    def is_blocking(self) -> bool:
        """Say whether it keeps the configuration from being loaded."""
        return self.severity == ERROR and not self.is_analysis

    def is_at_least(self, severity: str) -> bool:
        """Say whether it is as severe as that."""
        return SEVERITIES.index(self.severity) >= SEVERITIES.index(severity)

    def __str__(self) -> str:
        return f"{self.mark}: {self.path}: {self.message}" if self.path else f"{self.mark}: {self.message}"


class Faults:
    """The findings of one run, bounded; ``add`` drops what was said before.

    Errors that keep the configuration from being loaded have a bound of their own, so that others never hide them.
    """

    def __init__(self) -> None:
        self._items: dict[bool, list[Fault]] = {True: [], False: []}
        self._seen: set = set()
        self.dropped = 0
        self.dropped_findings = 0
        self.blocking = 0
        self.tape: list[tuple[tuple, dict]] | None = None

    def add(self, code: str, mark: Mark, message: str, *, path: str = "", severity: str = ERROR, **more) -> None:
        """Keep one finding; ``more`` is hint, notes, related, help, is_analysis, subject.

        Text that comes from a file is made printable. ``blocking`` counts the errors among all calls; a ``tape`` gets
        the arguments of the others.
        """
        is_loaded = severity != ERROR or more.get("is_analysis", False)
        self.blocking += not is_loaded
        if self.tape is not None and is_loaded:
            self.tape.append(((code, mark, message), {"path": path, "severity": severity, **more}))
        message, path = printable(message), printable(path)
        for name in ("hint", "help"):
            if name in more:
                more[name] = printable(more[name])
        if "notes" in more:
            more["notes"] = tuple(printable(note) for note in more["notes"])
        if "related" in more:
            more["related"] = tuple(_printable(one) for one in more["related"])
        if not mark.file.isprintable():
            mark = attrs.evolve(mark, file=printable(mark.file))
        key = (code, mark, message)
        if key in self._seen:
            return
        fault = Fault(code, severity, message, mark, path=path, **more)
        kept = self._items[fault.is_blocking]
        if len(kept) < MAXIMUM:
            self._seen.add(key)
            kept.append(fault)
        elif fault.is_blocking:
            self.dropped += 1
        else:
            self.dropped_findings += 1

    @property
    def is_full(self) -> bool:
        """Say whether no more errors are kept."""
        return len(self._items[True]) >= MAXIMUM

    def errors(self) -> int:
        """Return how many findings are errors that keep the configuration from being loaded."""
        return len(self._items[True]) + self.dropped

    def sorted(self) -> tuple[Fault, ...]:
        """Return all findings by file and place, and last ones that count those dropped."""
        found = sorted(self._items[True] + self._items[False],
                       key=lambda fault: (fault.mark.file, fault.mark.line, fault.mark.column))
        if self.dropped_findings:
            found.append(Fault("MSH0299", WARNING, f"{self.dropped_findings} more findings are not shown", Mark("-"),
                               is_analysis=True))
        if self.dropped:
            found.append(Fault("MSH0299", ERROR, f"{self.dropped} more faults are not shown", Mark("-")))
        return tuple(found)


def _printable(related: Related) -> Related:
    """Return another place without anything that a terminal could obey."""
    if related.text.isprintable() and related.mark.file.isprintable():
        return related
    return Related(attrs.evolve(related.mark, file=printable(related.mark.file)), printable(related.text))
