"""Completion scripts: those of ``meshd`` made of its parser, those of ``meshctl`` click's, which ask the program."""

import argparse
from collections.abc import Iterator

from attrs import frozen
from click.shell_completion import get_completion_class

from meshd.cli.daemon import make_parser

SHELLS = ("bash", "zsh", "fish")
PROGRAMS = ("meshctl", "meshd")


@frozen
class Option:
    """One option: its names, the words or files that it takes, its help, and what it excludes."""

    names: tuple[str, ...]
    takes_value: bool
    words: tuple[str, ...]
    is_repeatable: bool
    help: str
    excludes: tuple[str, ...]


def script(program: str, shell: str) -> str:
    """Return the script that makes ``shell`` complete ``program``."""
    return daemon_script(shell) if program == "meshd" else ctl_script(shell)


def ctl_script(shell: str) -> str:
    """Return click's script for ``meshctl``: the shell asks the program, which also knows the verbs of plugins."""
    from meshd.cli.ctl import root
    text = get_completion_class(shell)(root, {}, "meshctl", "_MESHCTL_COMPLETE").source().strip() + "\n"
    # click's for fish ends a description at its first comma; its for zsh, autoloaded, offers nothing when called again
    text = text.replace('string split ","', 'string split -m 1 ","')
    return text.replace("== loadautofunc", "== (loadautofunc|shfunc)")


def daemon_script(shell: str) -> str:
    """Return the script for ``meshd``: all that it can say is in it."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](list(options(make_parser())))


def options(parser: argparse.ArgumentParser) -> Iterator[Option]:
    """Yield the options of a parser. argparse has no public way to ask for them."""
    groups = [group._group_actions for group in parser._mutually_exclusive_groups]
    for action in parser._actions:
        rivals = [other for group in groups if action in group for other in group if other is not action]
        yield Option(
            names=tuple(action.option_strings), takes_value=action.nargs != 0, words=tuple(action.choices or ()),
            is_repeatable=isinstance(action, argparse._AppendAction), help=_plain(action.help or ""),
            excludes=tuple(name for rival in rivals for name in rival.option_strings),
        )


def _plain(text: str) -> str:
    """Return help that needs no quoting in a shell's description."""
    return text.replace("'", "").replace("[", "(").replace("]", ")").replace(":", "")


def _bash(found: list[Option]) -> str:
    names = " ".join(name for option in found for name in option.names)
    cases = "\n".join(f"        {'|'.join(option.names)}) {_bash_value(option)}; return ;;"
                      for option in found if option.takes_value)
    return f"""\
# bash completion for meshd(8)
_meshd() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD - 1]}}
    if [[ $cur == "=" ]]; then
        cur=
    elif [[ $prev == "=" ]]; then
        prev=${{COMP_WORDS[COMP_CWORD - 2]}}
    fi
    case $prev in
{cases}
    esac
    mapfile -t COMPREPLY < <(compgen -W '{names}' -- "$cur")
}}
complete -F _meshd meshd
"""


def _bash_value(option: Option) -> str:
    if option.words:
        return f"mapfile -t COMPREPLY < <(compgen -W '{' '.join(option.words)}' -- \"$cur\")"
    return 'compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur")'


def _zsh(found: list[Option]) -> str:
    lines = " \\\n".join(f"    {_zsh_option(option)}" for option in found)
    return f"#compdef meshd\n# zsh completion for meshd(8)\n_arguments -s -S \\\n{lines}\n"


def _zsh_option(option: Option) -> str:
    own = () if option.is_repeatable else option.names
    excluded = f"'({' '.join((*own, *option.excludes))})'" if own or option.excludes else ""
    star = "'*'" if option.is_repeatable else ""
    names = [name + ("=" if len(name) > 2 else "+") if option.takes_value else name for name in option.names]
    joined = names[0] if len(names) == 1 else "{" + ",".join(names) + "}"
    value = "" if not option.takes_value else f":value:({' '.join(option.words)})" if option.words else ":file:_files"
    return f"{excluded}{star}{joined}'[{option.help}]{value}'"


def _fish(found: list[Option]) -> str:
    return "\n".join(["# fish completion for meshd(8)", "complete -c meshd -f", *map(_fish_option, found)]) + "\n"


def _fish_option(option: Option) -> str:
    names = [f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names]
    rivals = [name[2:] if name.startswith("--") else f"-s {name[1:]}" for name in option.excludes]
    unless = [f"-n 'not __fish_contains_opt {' '.join(rivals)}'"] if rivals else []
    value = [] if not option.takes_value else [f"-x -a '{' '.join(option.words)}'" if option.words else "-r -F"]
    return " ".join(["complete -c meshd", *names, *unless, *value, f"-d '{option.help}'"])
