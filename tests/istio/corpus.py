"""The documents of ``tests/istio/documents``: one file for each kind, each document with what istiod says of it.

A file opens with ``# KIND APIVERSION``. Each document follows ``---`` and a comment: ``# valid: WHAT``, or one line
``# CODE LINE PATH: WHAT`` for each error, LINE counted from 1 below the comments. A document that does not begin with
``apiVersion`` is the section of the kind, and gets its head here.
"""

import re
from pathlib import Path

from meshd.document.context import Context
from meshd.document.tree import parse_all
from meshd_plugins.istio.catalog import KINDS
from meshd_plugins.istio.read import read

FOLDER = Path(__file__).with_name("documents")
NOT_IN_FORCE = frozenset(("MSH0118", "MSH0313"))
"""Istiod accepts what these are about; only this proxy cannot do it yet."""

_EXPECTED = re.compile(r"# (MSH\d{4}) (-?\d+) (.*?): (.*)")
SECTIONS = {kind.name: kind.section for kind in KINDS}


class Case:
    """One document: ``text`` as the loader gets it, ``expected`` as (code, line, path), ``skipped`` lines before it."""

    def __init__(self, kind, version, chunk):
        lines = chunk.splitlines()
        self.comments = [line for line in lines if line.startswith("#")]
        body = lines[len(self.comments):]
        self.kind = kind
        self.title = self.comments[0].partition(": ")[2]
        self.is_valid = self.comments[0].startswith("# valid")
        self.expected = sorted(
            (found[1], int(found[2]), found[3]) for found in map(_EXPECTED.fullmatch, self.comments) if found
        )
        head, indent = _head(kind, version, body)
        self.skipped = len(head)
        self.text = "\n".join((*head, *(indent + line for line in body), ""))

    def read(self, is_strict=True):
        """Return the faults of the document alone."""
        context = Context(is_strict=is_strict)
        roots = parse_all("case.yaml", self.text.encode(), context.faults)
        read(roots, context)
        return context.faults.sorted()

    def errors(self):
        """Return its errors as (code, line, path), less those that istiod does not have."""
        return sorted((fault.code, fault.mark.line - self.skipped, fault.path) for fault in self.read()
                      if fault.severity == "error" and fault.code not in NOT_IN_FORCE)


def _head(kind, version, body):
    if body and body[0].startswith("apiVersion:"):
        return [], ""
    head = [f"apiVersion: {version}", f"kind: {kind}", "metadata: {name: case}"]
    section = SECTIONS[kind]
    return (head + [f"{section}:"], "  ") if section else (head, "")


def cases(path):
    """Return the cases of a file."""
    head, *chunks = path.read_text(encoding="utf-8").split("\n---\n")
    kind, version = head[2:].split()
    return [Case(kind, version, chunk) for chunk in chunks]


def all_cases():
    """Return the cases of all files."""
    return [case for path in sorted(FOLDER.glob("*.yaml")) for case in cases(path)]
