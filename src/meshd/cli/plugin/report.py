"""What the verbs that change something tell: for people as it happens, for machines one document at the end."""

import sys
from typing import Any

from meshd.cli.output import Column, View
from meshd.cli.plugin.types import summary

COLUMNS = (
    Column("DISTRIBUTION", "name"), Column("VERSION", "version"), Column("CHANGE", "change"),
    Column("BEFORE", "previous"), Column("NOTE", "note"),
)


class Report:
    """``fact`` is for the document; ``ok`` and ``table`` go to standard output, ``note`` and ``warn`` to the other."""

    def __init__(self, view: View, kind: str) -> None:
        self.view = view
        self._kind = kind
        self._facts: dict[str, Any] = {"warnings": []}

    @property
    def is_document(self) -> bool:
        """Say whether one document is all that goes to standard output."""
        return self.view.form in ("json", "yaml")

    def fact(self, name: str, value: Any) -> None:
        """Take a field of the document."""
        self._facts[name] = value

    def table(self, name: str, rows: list[dict]) -> None:
        """Show what would be done, a row for each distribution."""
        self.fact(name, rows)
        if not self.is_document:
            self.view.items("", rows, COLUMNS)

    def ok(self, text: str) -> None:
        """Say that something was done."""
        if not self.is_document:
            self.view.write(f"{self.view.sign('ok')} {text}\n")

    def note(self, text: str) -> None:
        """Say something that is neither good nor bad."""
        sys.stderr.write(f"{text}\n")

    def warn(self, text: str) -> None:
        """Say what the user should know of."""
        self._facts["warnings"].append(text)
        view = View(color=self.view.color, stream=sys.stderr)
        sys.stderr.write(f"{view.sign('warn')} {text}\n")

    def end(self) -> None:
        """Write the document, where one was asked for."""
        if self.is_document:
            self.view.document(self._kind, self._facts)


def finding_text(row: dict, view: View) -> str:
    """Return the lines of one plugin that was checked (``Finding.as_dict``)."""
    sign = "bad" if row["errors"] else "warn" if row["warnings"] else "ok"
    parts = [row["name"], f"{row['distribution']} {row['version']}".strip(), _api(row["api"]),
             " ".join(summary(row["types"])) or "no types"]
    text = f"{view.sign(sign)} {'   '.join(part for part in parts if part)}\n"
    for word, key in (("error", "errors"), ("warning", "warnings"), ("note", "notes")):
        text += "".join(f"    {word}: {one}\n" for one in row[key])
    return text


def _api(api: dict) -> str:
    if not api["stated"]:
        return ""
    return f"API {api['stated']} {'fits' if api['fits'] else 'does not fit'} {api['have']}"
