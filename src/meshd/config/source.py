"""Paths given with ``-c`` to parsed documents: files and folders are found, read within bounds and put into trees."""

import os
import stat

import attrs

from meshd.document.fault import Faults
from meshd.document.mark import Mark
from meshd.document.nearest import nearest
from meshd.document.node import Node
from meshd.document.tree import MAX_BYTES, parse
from meshd.document.value import missing_hint

ENDINGS = (".yaml", ".yml", ".json")
MAX_FILES = 1000


@attrs.frozen
class Documents:
    """What was read: ``roots`` of the files that could be parsed, ``files`` all that were found, ``faults`` so far.

    ``wanted`` is how many roots there would be without faults.
    """

    roots: tuple[Node, ...]
    files: tuple[str, ...]
    faults: Faults
    wanted: int


def read(paths: list[str]) -> Documents:
    """Read every file that the paths name. Never raises for bad input: see ``faults``."""
    faults = Faults()
    if not paths:
        faults.add("MSH0004", Mark("-"), "no configuration is given, expected a file or folder")
    files: dict[str, str] = {}
    for path in paths:
        for file in _files(path, faults):
            files.setdefault(os.path.realpath(file), file)
    roots = [_root(file, faults) for file in files.values()]
    return Documents(tuple(root for root in roots if root is not None), tuple(files.values()), faults, len(files))


def _files(path: str, faults: Faults) -> list[str]:
    """Return the files that ``path`` means: itself, or what is in the folder, sorted, without hidden files."""
    if not os.path.isdir(path):
        return [path]
    try:
        names = sorted(os.listdir(path))
    except OSError as error:
        faults.add("MSH0004", Mark(path), f"cannot read the folder: {error.strerror}")
        return []
    found = [os.path.join(path, name) for name in names if name.endswith(ENDINGS) and not name.startswith(".")]
    found = [file for file in found if not os.path.isdir(file)]
    if not found:
        faults.add("MSH0005", Mark(path), "the folder holds no configuration, expected *.yaml, *.yml or *.json files")
    if len(found) > MAX_FILES:
        faults.add("MSH0006", Mark(path), f"the folder holds {len(found)} files, expected at most {MAX_FILES}")
        return []
    return found


def _root(file: str, faults: Faults) -> Node | None:
    try:
        data = _bytes(file)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        hint = missing_hint(os.path.abspath(file), nearest) if isinstance(error, FileNotFoundError) else ""
        hint = "" if hint == "no such file" else hint
        faults.add("MSH0004", Mark(file), f"cannot read the file: {reason.lower()}", hint=hint)
        return None
    return parse(file, data, faults)


def _bytes(file: str) -> bytes:
    """Return the file's bytes, at most one more than allowed. A pipe or device could keep us waiting: refused."""
    if not stat.S_ISREG(os.stat(file).st_mode):
        raise OSError(0, "not a regular file")
    with open(file, "rb") as stream:
        return stream.read(MAX_BYTES + 1)
