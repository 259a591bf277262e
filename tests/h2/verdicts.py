"""Makes docs/h2-conformance.md: ``python -m tests.h2.verdicts > docs/h2-conformance.md``.

Runs every case on both engines, on the daemon, on HAProxy and on Envoy.
"""

import contextlib
import subprocess
import sys
from unittest import SkipTest

from tests.h2 import client_peers, peers
from tests.h2.cases import SERVER
from tests.h2.cases.client import CASES as CLIENT
from tests.h2.client_runner import play
from tests.h2.runner import NOT_TRIED, MemoryTalk, run
from tests.integration.harness.envoy import envoy_program

HEAD = """# HTTP/2 conformance

Made by `python -m tests.h2.verdicts > docs/h2-conformance.md`; do not edit.

meshd's own suite follows RFC 9113, RFC 7541 and RFC 8441 section by section: {count} conversations of raw frames with
a server (`tests/h2/cases/`) and {clients} with a client. A case is data: the section, what is sent, what must come
back. They run on both engines in memory, and over sockets on the daemon, HAProxy and Envoy, as servers and as clients
that pass a request on to a server that is a script; `python -m tests.h2.runner HOST:PORT` runs those for servers
against any that speaks HTTP/2 without TLS. Floods have tests of their own (`tests/h2/test_floods.py`).

How strict they are: a connection error must be a GOAWAY with the right code, or the end of the connection (5.4.1).
Where the RFC says stream error, meshd must reset that stream, or answer 4xx where 8.1.1 allows it, and go on with the
others. Of the other proxies a connection error passes too, as 5.4.1 allows it to all, and PROTOCOL_ERROR or
INTERNAL_ERROR in place of more specific codes (5.4). A client must not take a malformed answer for a whole one. Where
one of the two proxies decides otherwise, the RFC's words stand below, to the letter.

| | cases as server | passed | not tried | cases as client | passed |
|---|---|---|---|---|---|
{sums}

*not tried*: the peer announces what the case needs otherwise (extended CONNECT), or takes what the case wants kept.

## Where a proxy decides otherwise

As a server:

{differences}

As a client:

{client_differences}

## All cases for servers

`+` passed, `-` not, `.` not tried.

| section | case | fast | pure | daemon | HAProxy | Envoy |
|---|---|---|---|---|---|---|
{rows}

## All cases for clients

| section | case | fast | pure | daemon | HAProxy | Envoy |
|---|---|---|---|---|---|---|
{client_rows}
"""
NAMES = ("fast", "pure", "daemon", "HAProxy", "Envoy")
OTHERS = ("HAProxy", "Envoy")

def version(command: list[str]) -> str:
    """Return the first words that a program says of itself."""
    said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout.split()
    return next((word for word in said if word[:1].isdigit() and "." in word), "")


def as_servers() -> dict[str, dict[str, str]]:
    """Return server -> case -> outcome; a server that is not installed is left out."""
    found = {engine: {case.id: run(case, MemoryTalk(engine)) for case in SERVER} for engine in ("fast", "pure")}
    with peers.backend() as back:
        for name, peer in (("daemon", peers.meshd), ("HAProxy", peers.haproxy), ("Envoy", peers.envoy)):
            try:
                with peer(back) as address:
                    found[name] = peers.judge(address, SERVER, is_ours=name == "daemon")
            except SkipTest as reason:
                print(f"{name}: {reason}", file=sys.stderr)
    return found


def as_clients() -> dict[str, dict[str, str]]:
    """Return client -> case -> outcome, likewise."""
    found = {engine: {case.id: play(case, engine) for case in CLIENT} for engine in ("fast", "pure")}
    for name, judge in (("daemon", lambda: client_peers.judge_client(client_peers.meshd, True)),
                        ("HAProxy", client_peers.judge_haproxy),
                        ("Envoy", lambda: client_peers.judge_client(client_peers.envoy))):
        try:
            found[name] = judge()
        except SkipTest as reason:
            print(f"{name}: {reason}", file=sys.stderr)
    return found


def mark(outcome: str | None) -> str:
    """Return the sign of an outcome."""
    return "" if outcome is None else "+" if not outcome else "." if outcome == NOT_TRIED else "-"


def sum_row(title: str, server: dict[str, str], client: dict[str, str]) -> str:
    """Return the row of one program in the first table."""
    passed, met = [sum(not outcome for outcome in results.values()) for results in (server, client)]
    skipped = sum(outcome == NOT_TRIED for outcome in server.values())
    return f"| {title} | {len(server)} | {passed} | {skipped} | {len(client)} | {met} |"


def differences(cases, found: dict[str, dict[str, str]]) -> str:
    """Return what HAProxy and Envoy do otherwise, with the RFC's words."""
    lines = []
    for case in cases:
        others = [f"{name}: {found[name][case.id]}" for name in OTHERS
                  if name in found and found[name][case.id] not in ("", NOT_TRIED)]
        if others:
            lines.append(f"* **{case.section}, {case.name}.** {'; '.join(others)}."
                         + (f" {case.words}" if case.words else ""))
    return "\n".join(lines) or "Nowhere."


def rows(cases, found: dict[str, dict[str, str]]) -> str:
    """Return the rows of all cases."""
    return "\n".join(
        f"| {case.section} | {case.name.replace('|', chr(92) + '|')} | "
        + " | ".join(mark(found.get(name, {}).get(case.id)) for name in NAMES) + " |" for case in cases)


def titles() -> dict[str, str]:
    """Return what the programs call themselves."""
    found = {"fast": "meshd, fast engine", "pure": "meshd, pure engine", "daemon": "meshd, the daemon",
             "HAProxy": f"HAProxy {version(['haproxy', '-v'])}", "Envoy": "Envoy"}
    with contextlib.suppress(SkipTest, IndexError):
        found["Envoy"] = f"Envoy {version([envoy_program(), '--version']).split('/')[1]}"
    return found


def main() -> int:
    """Print the page."""
    server, client = as_servers(), as_clients()
    sums = [sum_row(title, server[name], client[name]) for name, title in titles().items()
            if name in server and name in client]
    print(HEAD.format(
        count=len(SERVER), clients=len(CLIENT), sums="\n".join(sums), differences=differences(SERVER, server),
        client_differences=differences(CLIENT, client), rows=rows(SERVER, server),
        client_rows=rows(CLIENT, client)), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
