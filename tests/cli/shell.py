"""Real shells that complete a command line with one of our scripts; meshd and meshctl are those of this Python."""

import contextlib
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from unittest import SkipTest

BIN = str(Path(sys.executable).parent)
DEADLINE_S = 60
STYLE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
"""What a terminal is told about colours and its cursor."""

BASH = """\
source "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
function=$(complete -p "$1"); function=${function##*-F }; function=${function%% *}
"$function" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}" 2>/dev/null
printf '%s\\n' "${COMPREPLY[@]}"
"""


def environment(**more: str) -> dict[str, str]:
    """Return an environment in which the commands of this Python come first."""
    return {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", **more}


def _need(shell: str) -> str:
    return shutil.which(shell) or _missing(shell)


def _missing(shell: str) -> str:
    raise SkipTest(f"{shell} is not installed")


def bash(script: Path, *words: str, **more: str) -> list[str]:
    """Return what bash offers for the last word."""
    arguments = [_need("bash"), "--norc", "-c", BASH, "bash", str(script), *words]
    return _run(arguments, **more)


def fish(script: Path, line: str, *, has_descriptions: bool = False, **more: str) -> list[str]:
    """Return what fish offers at the end of a line, without the descriptions unless they are asked for."""
    code = "source $argv[1]; complete --do-complete $argv[2]"
    with_home = {"HOME": "/nonexistent", "XDG_CONFIG_HOME": "/nonexistent", "XDG_DATA_HOME": "/nonexistent"}
    found = _run([_need("fish"), "-c", code, str(script), line], **with_home, **more)
    return found if has_descriptions else [one.split("\t")[0] for one in found]


def _run(arguments: list[str], **more: str) -> list[str]:
    run = subprocess.run(arguments, capture_output=True, text=True, timeout=DEADLINE_S, env=environment(**more))
    return [line for line in run.stdout.splitlines() if line]


class Zsh:
    """An interactive zsh on a terminal of its own; its completion exists nowhere else."""

    def __init__(self, folder: Path, **more: str) -> None:
        shell = _need("zsh")
        self._terminal, other = pty.openpty()
        self._process = subprocess.Popen(
            [shell, "-f", "-i"], stdin=other, stdout=other, stderr=other, start_new_session=True,
            env=environment(TERM="xterm", **more),
        )
        os.close(other)
        self._seen = ""
        self.type(f"unsetopt beep; PS1=; fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -D\n")
        self.type("print is-rea''dy\n")
        self.wait_for("is-ready")

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._terminal, text.encode())

    def wait_for(self, text: str) -> None:
        """Read what is shown until ``text`` is. Raises AssertionError with what came instead."""
        end = time.monotonic() + DEADLINE_S
        while text not in self._seen:
            ready, _, _ = select.select([self._terminal], [], [], max(0.0, end - time.monotonic()))
            data = os.read(self._terminal, 65536) if ready else b""
            if not data:
                raise AssertionError(f"zsh: expected {text!r}, got {self._seen!r}")
            self._seen = STYLE.sub("", self._seen + data.decode(errors="replace"))
        self._seen = ""

    def close(self) -> None:
        """End the shell."""
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError):
            os.close(self._terminal)
