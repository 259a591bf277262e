"""pip, run in meshd's own environment as a child in this process group, so that Ctrl-C reaches both."""

import importlib.util
import os
import subprocess
import sys
import sysconfig
from collections import deque
from collections.abc import Mapping
from pathlib import Path

import attrs
import click

KEPT_LINES = 2000
"""Lines of pip's output that are kept; of a failure the last ones are shown."""
SHOWN_LINES = 15
END_S = 30.0
"""How long pip may take to put its own work back after Ctrl-C."""
OPTIONS = ("--disable-pip-version-check", "--no-input", "--no-color")
DIVERTING = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_DRY_RUN", "PIP_REPORT", "PIP_QUIET",
             "PIP_REQUIREMENT")
"""Settings that would install elsewhere or something else."""


@attrs.frozen
class Done:
    """How a run of pip ended: its exit code and what it said."""

    code: int
    text: str

    @property
    def tail(self) -> str:
        """The last lines, indented, for an error."""
        lines = [line for line in self.text.splitlines() if line.strip()][-SHOWN_LINES:]
        return "".join(f"  {line}\n" for line in lines).rstrip("\n")


def check_ready(environment: Mapping[str, str] = os.environ) -> None:
    """Raise ClickException where plugins cannot be installed here, with what to do."""
    if importlib.util.find_spec("pip") is None:
        raise click.ClickException(f"pip: not installed in meshd's environment {sys.prefix}\n"
                                   f"help: {sys.executable} -m ensurepip")
    mark = Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
    is_system = sys.prefix == sys.base_prefix
    if is_system and mark.exists() and environment.get("PIP_BREAK_SYSTEM_PACKAGES", "0") in ("", "0", "false"):
        raise click.ClickException(
            f"{sys.prefix}: its packages belong to the operating system (PEP 668: {mark}): expected meshd in an "
            "environment of its own\nhelp: python3 -m venv /opt/meshd && /opt/meshd/bin/pip install meshd, or install "
            "the plugins as packages of the system")
    folder = sysconfig.get_path("purelib")
    if not os.access(folder, os.W_OK):
        raise click.ClickException(f"{folder}: no write permission: expected to run as the owner of meshd's "
                                   "environment\nhelp: run it as root (sudo)")


def run(*arguments: str, is_shown: bool = False) -> Done:
    """Run ``pip ARGUMENTS``; ``is_shown`` passes its output on to standard error as it comes."""
    environment = {name: value for name, value in os.environ.items() if name not in DIVERTING}
    command = [sys.executable, "-P", "-m", "pip", *OPTIONS, *arguments]
    lines: deque[str] = deque(maxlen=KEPT_LINES)
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment,
        text=True, errors="replace",
    ) as process:
        try:
            for line in process.stdout or ():
                lines.append(line)
                if is_shown:
                    sys.stderr.write(line)
        except BaseException:
            _await(process)
            raise
    return Done(process.returncode, "".join(lines))


def _await(process: subprocess.Popen) -> None:
    """Ctrl-C has reached pip too: let it put its work back before ours is."""
    try:
        process.communicate(timeout=END_S)
    except subprocess.TimeoutExpired:
        process.kill()
