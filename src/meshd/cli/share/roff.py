"""Man pages in the macros of man(7): lines of roff from plain text, and from the little Markdown that our texts use."""

import re
import textwrap
from collections.abc import Iterable, Iterator

from meshd import __version__

AGAIN = "python -m meshd.cli.share contrib/share"
DATE = "2026-11-27"
"""The date in the pages' footer, in year, month, day; changed together with the version."""

MAX_HEADING = 70
MAX_LINE_BYTES = 79
"""mandoc's linter wants source lines of less than 80 bytes."""

INLINE = re.compile(r"`([^`]+)`|\*\*(.+?)\*\*|\[([^\]]+)\]\(([^)]+)\)")


def header(name: str, section: int, about: str) -> list[str]:
    """Return the first lines of a page, up to its name and what it is in one line."""
    return [
        f'.\\" Generated: {AGAIN}',
        f'.TH {name.upper()} {section} "{DATE}" "meshd {__version__}" "meshd"',
        ".SH NAME", f"{escape(name)} \\- {escape(about)}",
    ]


def escape(text: str) -> str:
    """Return text that roff shows as it is; a hyphen stays the one that can be pasted into a shell."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "".join(letter if letter.isascii() else f"\\[u{ord(letter):04X}]" for letter in text)


def bold(text: str) -> str:
    """Return escaped text in bold."""
    return f"\\fB{escape(text)}\\fR"


def inline(text: str) -> str:
    """Return Markdown's code, bold and links as roff; a link to another page of the documentation is its text."""
    parts, end = [], 0
    for found in INLINE.finditer(text):
        parts.append(escape(text[end:found.start()]))
        parts.append(_span(*found.groups()))
        end = found.end()
    return "".join([*parts, escape(text[end:])])


def _span(code: str | None, strong: str | None, label: str | None, target: str | None) -> str:
    if code or strong:
        return bold(code or strong)
    label = inline(label)
    return f"{label} ({escape(target)})" if target.startswith("http") else label


def fill(text: str) -> list[str]:
    """Return the lines of a paragraph that is roff already."""
    lines = textwrap.wrap(text, MAX_LINE_BYTES - 2, break_long_words=False, break_on_hyphens=False)
    return [_guarded(line) for line in lines]


def _guarded(line: str) -> str:
    """Return a line that roff does not take for a request."""
    return "\\&" + line if line.startswith((".", "'")) else line


def section(title: str) -> str:
    """Return the heading of a section."""
    return f'.SH "{escape(title.upper())}"'


def subsection(title: str) -> str:
    """Return the heading of a subsection; ``title`` is plain text. Of a path too long for a line the end is shown."""
    if len(title) > MAX_HEADING:
        title = "..." + title[title.index(".", len(title) - MAX_HEADING) + 1:]
    return f'.SS "{escape(title)}"'


def tagged(tag: str, text: str) -> list[str]:
    """Return one item of a list: a tag that is roff already, and Markdown beside or below it."""
    return [".TP", _guarded(tag), *(fill(inline(text)) or ["\\&"])]


def verbatim(lines: Iterable[str]) -> list[str]:
    """Return lines that are shown as they stand."""
    return [".nf", ".RS", *(_guarded(escape(line)) or "\\&" for line in lines), ".RE", ".fi"]


def epilog_sections(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield (title, lines) of each ``title:`` in the text below a command's help."""
    title, lines = "", []
    for line in [*text.replace("\b", "").splitlines(), ":"]:
        if line.endswith(":") and not line.startswith(" "):
            if title:
                yield title, textwrap.dedent("\n".join(lines)).strip().splitlines()
            title, lines = line[:-1], []
        else:
            lines.append(line)


def items(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield (word, rest) of the items that a help's lines have side by side, three spaces apart."""
    for line in lines:
        for item in re.split(r" {3,}", line.strip()):
            found = re.match(r"((?:[A-Z0-9]+, )*[A-Z0-9]+) (.*)", item)
            if found is None:
                raise ValueError(f"help text: {item!r}: expected WORD and what it means")
            yield found[1], found[2]


def render(lines: Iterable[str]) -> str:
    """Return the file of a page."""
    return "\n".join(lines) + "\n"
