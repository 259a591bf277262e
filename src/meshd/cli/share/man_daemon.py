"""The page meshd(8), made of the parser of ``meshd``."""

import argparse
from collections.abc import Iterator

from meshd.cli import daemon
from meshd.cli.share import roff

ABOUT = "data plane of a service mesh"

MORE = (
    "It runs in the foreground and logs to standard error. A configuration with a fault, or none at all, ends the "
    "start; meshd never runs on defaults instead. A reload is all or nothing: where the new configuration has a fault, "
    "the one in force goes on serving. Connections of listeners that did not change are not touched.",
    "What it is told stands in meshd.yaml(5); meshctl(1) shows and steers it while it runs.",
)
TITLES = {"exit codes": "exit status"}

ENVIRONMENT = (
    ("MESHD_LOAD_PLUGINS", "comma list of the only plugins to load; goes before `plugins.load` of the configuration."),
    ("MESHD_TRACE_PLUGINS", "`1`: print each plugin as it is loaded."),
    ("MESHD_PURE", "`1`: use the Python leaves although compiled ones are there."),
    ("NO_COLOR, TERM", "no colour where `NO_COLOR` has a value or `TERM` is `dumb`."),
)
FILES = (
    (daemon.LOCAL_FILE, "the configuration, where it exists below the current folder."),
    (daemon.SYSTEM_FILE, "the configuration otherwise; see meshd.yaml(5)."),
)
SEE_ALSO = "meshctl(1), meshd.yaml(5), systemctl(1), curl(1)"


def make_page() -> str:
    """Return the page."""
    parser = daemon.make_parser()
    lines = [*roff.header("meshd", 8, ABOUT), roff.section("synopsis"), *_synopsis(parser)]
    lines += [roff.section("description"), *roff.fill(roff.inline(parser.description or ""))]
    lines += [line for text in MORE for line in (".PP", *roff.fill(roff.inline(text)))]
    lines += [roff.section("options"), *_options(parser)]
    for title, body in roff.epilog_sections(parser.epilog or ""):
        lines += [roff.section(TITLES.get(title, title)), *_body(title, body)]
    for title, table in (("environment", ENVIRONMENT), ("files", FILES)):
        lines += [roff.section(title)]
        lines += [line for name, text in table for line in roff.tagged(roff.bold(name), text)]
    return roff.render([*lines, roff.section("see also"), *roff.fill(roff.inline(SEE_ALSO))])


def _synopsis(parser: argparse.ArgumentParser) -> list[str]:
    usage = " ".join(parser.format_usage().split()).removeprefix("usage: meshd ")
    return [roff.bold("meshd"), *roff.fill(roff.escape(usage))]


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        names = ", ".join(roff.bold(name) for name in action.option_strings)
        text = (action.help or "") % vars(action) if "%(" in (action.help or "") else action.help or ""
        yield from roff.tagged(f"{names} {_value(action)}".rstrip(), text)


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    words = "|".join(action.choices) if action.choices else action.metavar or action.dest.upper()
    return f"\\fI{roff.escape(str(words))}\\fR"


def _body(title: str, lines: list[str]) -> list[str]:
    """Return an epilog's section: examples stand as they are, tables become lists."""
    if title == "examples":
        return roff.verbatim(lines)
    return [line for word, text in roff.items(lines) for line in roff.tagged(roff.bold(word), text)]
