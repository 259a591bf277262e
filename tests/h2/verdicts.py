"""Makes docs/h2-conformance.md: ``python -m tests.h2.verdicts > docs/h2-conformance.md``.

Runs every server case on both engines, on HAProxy and on Envoy, and every client case on both engines.
"""

import subprocess
import sys
from unittest import SkipTest

from tests.h2.cases import SERVER
from tests.h2.cases.client import CASES as CLIENT
from tests.h2.peers import backend, envoy, haproxy, judge
from tests.h2.runner import NOT_TRIED, MemoryTalk, run

HEAD = """# HTTP/2 conformance

Made by `python -m tests.h2.verdicts > docs/h2-conformance.md`; do not edit.

meshd's own suite follows RFC 9113, RFC 7541 and RFC 8441 section by section: {count} conversations of raw frames with
a server (`tests/h2/cases/`) and {clients} with a client. A case is data: the section, what is sent, what must come
back. They run on both engines in memory, and on HAProxy and Envoy over sockets; `python -m tests.h2.runner HOST:PORT`
runs them against any server that speaks HTTP/2 without TLS. Floods have tests of their own
(`tests/h2/test_floods.py`).

How strict they are: a connection error must be a GOAWAY with the right code, or the end of the connection (5.4.1).
Where the RFC says stream error, meshd's engines must reset that stream, or answer 4xx where 8.1.1 allows it, and go
on with the others; of other servers a connection error passes too, as 5.4 allows it to all. Where one of the two
proxies decides otherwise, the RFC's words stand below.

| | cases | passed | not tried |
|---|---|---|---|
{sums}

*not tried*: the peer announces what the case needs otherwise (a window of 16 MiB, extended CONNECT).

## Where a proxy decides otherwise

{differences}

## All cases

`+` passed, `-` not, `.` not tried.

| section | case | fast | pure | HAProxy | Envoy |
|---|---|---|---|---|---|
{rows}

## Clients

Both engines pass all {clients} cases, in which the server is a script:

{client_rows}
"""


def version(command: list[str]) -> str:
    """Return the first words that a program says of itself."""
    said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout.split()
    return next((word for word in said if word[:1].isdigit() and "." in word), "")


def outcomes() -> dict[str, dict[str, str]]:
    """Return server -> case -> outcome; a server that is not installed is left out."""
    found = {engine: {case.id: run(case, MemoryTalk(engine)) for case in SERVER} for engine in ("fast", "pure")}
    with backend() as back:
        for name, peer in (("HAProxy", haproxy), ("Envoy", envoy)):
            try:
                with peer(back) as address:
                    found[name] = judge(address, SERVER)
            except SkipTest as reason:
                print(f"{name}: {reason}", file=sys.stderr)
    return found


def mark(outcome: str | None) -> str:
    """Return the sign of an outcome."""
    return "" if outcome is None else "+" if not outcome else "." if outcome == NOT_TRIED else "-"


def sum_row(name: str, results: dict[str, str]) -> str:
    """Return the row of one server in the first table."""
    passed = sum(not outcome for outcome in results.values())
    skipped = sum(outcome == NOT_TRIED for outcome in results.values())
    return f"| {name} | {len(results)} | {passed} | {skipped} |"


def differences(found: dict[str, dict[str, str]]) -> str:
    """Return what HAProxy and Envoy do otherwise, with the RFC's words."""
    lines = []
    for case in SERVER:
        others = [f"{name}: {found[name][case.id]}" for name in ("HAProxy", "Envoy")
                  if name in found and found[name][case.id] not in ("", NOT_TRIED)]
        if others:
            lines.append(f"* **{case.section}, {case.name}.** {'; '.join(others)}."
                         + (f" {case.words}" if case.words else ""))
    return "\n".join(lines) or "Nowhere."


def main() -> int:
    """Print the page."""
    found = outcomes()
    rows = [f"| {case.section} | {case.name.replace('|', chr(92) + '|')} | "
            + " | ".join(mark(found.get(name, {}).get(case.id)) for name in ("fast", "pure", "HAProxy", "Envoy")) + " |"
            for case in SERVER]
    names = {"fast": "meshd, fast engine", "pure": "meshd, pure engine",
             "HAProxy": f"HAProxy {version(['haproxy', '-v'])}"}
    try:
        from tests.integration.harness.envoy import envoy_program
        names["Envoy"] = f"Envoy {version([envoy_program(), '--version']).split('/')[1]}"
    except (SkipTest, IndexError):
        names["Envoy"] = "Envoy"
    print(HEAD.format(
        count=len(SERVER), clients=len(CLIENT), differences=differences(found), rows="\n".join(rows),
        sums="\n".join(sum_row(names[name], results) for name, results in found.items()),
        client_rows="\n".join(f"* {case.section}: {case.name}" for case in CLIENT)), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
