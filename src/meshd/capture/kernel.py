"""Runs nft(8) and ip(8): the only module that changes the machine.

What is done is a list of steps, so that it can be shown first, or handed to another process.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence

import attrs

from meshd.capture import ruleset
from meshd.capture.reading import Captured, read
from meshd.capture.settings import OURS
from meshd.errors import MeshdError

TIMEOUT_S = 20.0
PATH = os.pathsep.join(filter(None, (os.environ.get("PATH"), "/usr/sbin", "/sbin")))
OWN = (ruleset.FAMILY, ruleset.TABLE)
_ABSENT = "No such file or directory"
_UNABLE = ("Operation not supported", "Protocol not supported", "Address family not supported", _ABSENT)


@attrs.frozen
class Step:
    """One program to run. ``text`` is its input; with ``may_fail`` its failure says that there was nothing to do."""

    words: Sequence[str]
    text: str = ""
    may_fail: bool = False


def require(*, needs_ip: bool = False) -> None:
    """Raise MeshdError where rules cannot be changed from here."""
    if os.geteuid() != 0:
        raise MeshdError("capture: nftables rules are for root: try sudo meshctl capture ...")
    for program, package in (("nft", "nftables"), ("ip", "iproute2")):
        if (program == "nft" or needs_ip) and shutil.which(program, path=PATH) is None:
            raise MeshdError(f"capture: {program}: no such program: install {package}")


def call(step: Step) -> subprocess.CompletedProcess:
    """Run a step; raises MeshdError where the program cannot be run."""
    program = shutil.which(step.words[0], path=PATH)
    if program is None and step.may_fail:
        return subprocess.CompletedProcess(list(step.words), 127, "", "")
    if program is None:
        raise MeshdError(f"capture: {step.words[0]}: no such program")
    try:
        return subprocess.run([program, *step.words[1:]], input=step.text, capture_output=True, text=True,
                              timeout=TIMEOUT_S, env={**os.environ, "LC_ALL": "C"})
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MeshdError(f"capture: {' '.join(step.words)}: {error}") from None


def run(steps: Sequence[Step]) -> None:
    """Do all steps in order; raises MeshdError at the first that fails."""
    for step in steps:
        done = call(step)
        if done.returncode and not step.may_fail:
            raise MeshdError(f"capture: {' '.join(step.words)}: {_cause(done.stderr)}")


def _cause(text: str) -> str:
    line = next((one for one in text.splitlines() if one.strip()), "failed")
    what = line.partition("Error: ")[2] or line
    missing = "the kernel may lack nf_tables with nat, redirect, fib or tproxy: " if any(
        one in what for one in _UNABLE) else ""
    return f"{missing}{what.strip()[:200]}"


def verify(script: str) -> None:
    """Let nft and the kernel check a script without putting it in force; raises MeshdError."""
    run([Step(("nft", "-c", "-f", "-"), script)])


def captured() -> Captured | None:
    """Return what our table has; None where there is none. Raises MeshdError."""
    done = call(Step(("nft", "-j", "list", "table", *OWN)))
    if done.returncode:
        if _ABSENT in done.stderr:
            return None
        raise MeshdError(f"capture: nft list table: {_cause(done.stderr)}")
    try:
        return read(json.loads(done.stdout))
    except (ValueError, KeyError, TypeError) as error:
        raise MeshdError(f"capture: table {' '.join(OWN)}: not one that this meshctl has made: {error!r}") from None


def listing() -> str:
    """Return our table as text that loads again; "" where there is none."""
    done = call(Step(("nft", "-s", "list", "table", *OWN)))
    return done.stdout if not done.returncode else ""


def chains() -> list[dict]:
    """Return all base chains of this machine, as nft's JSON has them, with those of our own table."""
    done = call(Step(("nft", "-j", "list", "chains")))
    if done.returncode:
        return []
    return [one["chain"] for one in json.loads(done.stdout)["nftables"] if "hook" in one.get("chain", ())]


def interface_to(address: str) -> str:
    """Return the network interface by which this machine reaches an address; "" where that is not known."""
    done = call(Step(("ip", "-j", "route", "get", address), may_fail=True))
    try:
        return json.loads(done.stdout)[0]["dev"]
    except (ValueError, LookupError, TypeError):
        return ""


def loading(script: str) -> Step:
    """Return the step that loads a script."""
    return Step(("nft", "-f", "-"), script)


def routes(words: Sequence[Sequence[str]]) -> list[Step]:
    """Return the steps that add routing, as ``ruleset.routing`` says it; ours that is there is taken away first."""
    return [*unroutes(words), *(Step(("ip", *one)) for one in ours(words))]


def unroutes(words: Sequence[Sequence[str]]) -> list[Step]:
    """Return the steps that take routing of ours away."""
    return [Step(("ip", *("del" if word == "add" else word for word in one)), may_fail=True) for one in ours(words)]


def ours(words: Sequence[Sequence[str]]) -> list[Sequence[str]]:
    """Return what of routing is not there by somebody else's hand: an address can be there only once."""
    return [one for one in words if "addr" not in one or not is_foreign(one[one.index("add") + 1].partition("/")[0])]


def is_foreign(address: str) -> bool:
    """Say whether loopback has an IPv6 address that another program has given it."""
    done = call(Step(("ip", "-j", "-6", "addr", "show", "dev", "lo"), may_fail=True))
    try:
        found = [one for link in json.loads(done.stdout) for one in link.get("addr_info", ())]
    except (ValueError, AttributeError):
        return False
    return any(one.get("local") == address and one.get("metric") != OURS for one in found)
