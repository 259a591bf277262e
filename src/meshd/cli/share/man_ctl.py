"""The page meshctl(1), made of the click commands behind ``meshctl``; verbs of plugins are not in it."""

from collections.abc import Iterator

import click

from meshd.cli import ctl
from meshd.cli.share import roff

ABOUT = "see and steer a meshd daemon"

ENVIRONMENT = (
    ("MESHD_ADMIN", "where the daemon's admin API is: `HOST:PORT` or `unix:PATH`; `--admin` goes before it."),
    ("NO_COLOR, TERM", "no colour where `NO_COLOR` has a value or `TERM` is `dumb`."),
)
SEE_ALSO = "meshd(8), meshd.yaml(5)"
SYNOPSIS = "[OPTIONS] COMMAND [ARGUMENTS]"
HELP = (f"{roff.bold('-h')}, {roff.bold('--help')}", "show a help text, of each command too")
MORE = "Commands that installed plugins add are in `meshctl --help`, not here."


def make_page() -> str:
    """Return the page."""
    root = click.Context(ctl.root, info_name="meshctl")
    lines = [*roff.header("meshctl", 1, ABOUT), roff.section("synopsis"), roff.bold("meshctl"), SYNOPSIS]
    lines += [roff.section("description"), *_about(ctl.root), ".PP", *roff.fill(roff.inline(MORE))]
    lines += [roff.section("options"), *_options(ctl.root), *roff.tagged(*HELP), roff.section("commands")]
    for context in commands(root):
        lines += _command(context)
    for title, body in roff.epilog_sections(ctl.EPILOG):
        lines += _closing(title, body)
    lines += [roff.section("environment")]
    lines += [line for name, text in ENVIRONMENT for line in roff.tagged(roff.bold(name), text)]
    return roff.render([*lines, roff.section("see also"), *roff.fill(roff.inline(SEE_ALSO))])


def commands(parent: click.Context) -> Iterator[click.Context]:
    """Yield a context for each shipped verb that is shown, and for those below it, in the order of the help."""
    group = parent.command
    for name in ctl.VERBS if group is ctl.root else group.list_commands(parent):
        command = group.get_command(parent, name)
        if command.hidden:
            continue
        context = click.Context(command, info_name=name, parent=parent)
        yield context
        if isinstance(command, click.Group):
            yield from commands(context)


def _command(context: click.Context) -> Iterator[str]:
    yield roff.subsection(f"{_path(context)} {_usage(context.command)}")
    yield from _about(context.command)
    yield from _options(context.command)
    for title, body in roff.epilog_sections(context.command.epilog or ""):
        if title == "examples":
            yield from (".PP", "Examples:", *roff.verbatim(body))


def _path(context: click.Context) -> str:
    """Return the words that lead to a command."""
    return f"{_path(context.parent)} {context.info_name}" if context.parent else "meshctl"


def _about(command: click.Command) -> Iterator[str]:
    for number, paragraph in enumerate((command.help or "").replace("\b", "").strip().split("\n\n")):
        yield from ([".PP"] if number else [])
        yield from roff.fill(roff.inline(" ".join(paragraph.split())))


def _options(command: click.Command) -> Iterator[str]:
    """The options, told by us: click's own words differ from one version to the next."""
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            names = ", ".join(map(roff.bold, (*option.opts, *option.secondary_opts)))
            value = "" if option.is_flag else f" \\fI{roff.escape(_value(option))}\\fR"
            remark = f" (default: {option.default})" if option.show_default else ""
            yield from roff.tagged(names + value, (option.help or "").rstrip(".") + remark)


def _value(parameter: click.Parameter) -> str:
    if isinstance(parameter.type, click.Choice):
        return "|".join(parameter.type.choices)
    return parameter.metavar or str(parameter.name).upper()


def _usage(command: click.Command) -> str:
    """Return what follows a command's name."""
    pieces = ["[OPTIONS]"]
    for argument in command.params:
        if isinstance(argument, click.Argument):
            word = _value(argument)
            pieces.append(word if argument.required or argument.metavar else f"[{word}]")
    return " ".join([*pieces, *(["COMMAND"] if isinstance(command, click.Group) else [])])


def _closing(title: str, lines: list[str]) -> list[str]:
    if title == "examples":
        return [roff.section(title), *roff.verbatim(lines)]
    table = [line for word, text in roff.items(lines) for line in roff.tagged(roff.bold(word), text)]
    return [roff.section({"exit codes": "exit status"}.get(title, title)), *table]
