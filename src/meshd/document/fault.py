"""Faults of a configuration: what is wrong, where, and what would be right. Collected, never raised one by one."""

import attrs

from meshd.document.mark import Mark

ERROR = "error"
WARNING = "warning"
INFO = "info"
MAXIMUM = 1000
"""Faults kept of one run; a thousand is more than anybody reads."""


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

    With ``is_analysis`` the configuration loads all the same, however severe the finding is.
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

    def __str__(self) -> str:
        return f"{self.mark}: {self.path}: {self.message}" if self.path else f"{self.mark}: {self.message}"


class Faults:
    """The findings of one run, bounded; ``add`` drops what was said before."""

    def __init__(self) -> None:
        self._items: list[Fault] = []
        self._seen: set = set()
        self.dropped = 0

    def add(self, code: str, mark: Mark, message: str, *, path: str = "", severity: str = ERROR, **more) -> None:
        """Keep one finding; ``more`` is hint, notes, related, help, is_analysis.

        Text that comes from a file is made printable.
        """
        message, path = printable(message), printable(path)
        if "hint" in more:
            more["hint"] = printable(more["hint"])
        if "notes" in more:
            more["notes"] = tuple(printable(note) for note in more["notes"])
        if not mark.file.isprintable():
            mark = attrs.evolve(mark, file=printable(mark.file))
        key = (code, mark, message)
        if key in self._seen:
            return
        if len(self._items) >= MAXIMUM:
            self.dropped += 1
            return
        self._seen.add(key)
        self._items.append(Fault(code, severity, message, mark, path=path, **more))

    @property
    def is_full(self) -> bool:
        """Say whether nothing more is kept."""
        return len(self._items) >= MAXIMUM

    def errors(self) -> int:
        """Return how many findings are errors that keep the configuration from being loaded."""
        return sum(one.severity == ERROR and not one.is_analysis for one in self._items) + self.dropped

    def sorted(self) -> tuple[Fault, ...]:
        """Return all findings by file and place, and a last one that counts those dropped."""
        found = sorted(self._items, key=lambda fault: (fault.mark.file, fault.mark.line, fault.mark.column))
        if self.dropped:
            found.append(Fault("MSH0299", ERROR, f"{self.dropped} more faults are not shown", Mark("-")))
        return tuple(found)
