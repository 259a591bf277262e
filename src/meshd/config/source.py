"""Paths given with ``-c`` to parsed documents: files and folders are found, read within bounds and put into trees.

What the native file names under ``documents`` is read with it; a path there is relative to the file that names it.
"""

import hashlib
import os
import stat

import attrs

from meshd.document.fault import Faults
from meshd.document.mark import Mark
from meshd.document.memory import Kept, Memory
from meshd.document.nearest import nearest
from meshd.document.node import Mapping, Node, Scalar, Sequence
from meshd.document.tree import MAX_BYTES, is_resource, parse_all
from meshd.document.value import missing_hint

ENDINGS = (".yaml", ".yml", ".json")
MAX_FILES = 20_000


@attrs.frozen
class Documents:
    """What was read: ``roots`` of the files that could be parsed, ``files`` all that were found, ``faults`` so far.

    ``is_complete`` says that every file could be parsed.
    """

    roots: tuple[Node, ...]
    files: tuple[str, ...]
    faults: Faults
    is_complete: bool


def read(paths: list[str], memory: Memory | None = None) -> Documents:
    """Read every file that the paths name. Never raises for bad input: see ``faults``.

    A file whose bytes are those of the last reading is not parsed again where there is a ``memory``.
    """
    faults = Faults()
    faults.tape = [] if memory is not None else None
    if not paths:
        faults.add("MSH0004", Mark("-"), "no configuration is given, expected a file or folder")
    files: dict[str, str] = {}
    trees = _trees(paths, files, faults, memory)
    named = [path for tree in trees if tree is not None for root in tree for path in _named(root)]
    trees += [_resources(tree, faults) for tree in _trees(named, files, faults, memory)]
    roots = tuple(root for tree in trees if tree is not None for root in tree)
    return Documents(roots, tuple(files.values()), faults, None not in trees)


def _trees(
    paths: list[str], files: dict[str, str], faults: Faults, memory: Memory | None
) -> list[list[Node] | None]:
    """Read what is not in ``files`` (real path -> path) yet; None stands for a file that could not be parsed."""
    new: dict[str, str] = {}
    for path in paths:
        folder = os.path.realpath(path) if os.path.isdir(path) else ""
        for file in _files(path, faults):
            is_here = folder and not os.path.islink(file)
            real = os.path.join(folder, os.path.basename(file)) if is_here else os.path.realpath(file)
            if real not in files:
                new.setdefault(real, file)
    files.update(new)
    return [_roots(file, faults, memory) for file in new.values()]


def _named(root: Node) -> list[str]:
    """Return the paths that a native document names under ``documents``; what is no text is the decoder's matter."""
    listed = root.get("documents") if type(root) is Mapping and not is_resource(root) else None
    items = listed.items if type(listed) is Sequence else ()
    folder = os.path.dirname(os.path.abspath(root.source.file))
    paths = [os.path.join(folder, item.text) for item in items if type(item) is Scalar and item.text]
    return [path for path in paths if os.access(path, os.R_OK)]


def _resources(tree: list[Node] | None, faults: Faults) -> list[Node] | None:
    for root in tree or ():
        if not is_resource(root):
            faults.add("MSH0013", root.mark(), "expected documents with apiVersion and kind under documents")
    return tree


def _files(path: str, faults: Faults) -> list[str]:
    """Return the files that ``path`` means: itself, or what is in the folder, sorted, without hidden files."""
    if not os.path.isdir(path):
        return [path]
    try:
        with os.scandir(path) as entries:
            names = sorted(one.name for one in entries if not one.is_dir())
    except OSError as error:
        faults.add("MSH0004", Mark(path), f"cannot read the folder: {error.strerror}")
        return []
    found = [os.path.join(path, name) for name in names if name.endswith(ENDINGS) and not name.startswith(".")]
    if not found:
        faults.add("MSH0005", Mark(path), "the folder holds no configuration, expected *.yaml, *.yml or *.json files")
    if len(found) > MAX_FILES:
        faults.add("MSH0006", Mark(path), f"the folder holds {len(found)} files, expected at most {MAX_FILES}")
        return []
    return found


def _roots(file: str, faults: Faults, memory: Memory | None) -> list[Node] | None:
    try:
        data = _bytes(file)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        hint = missing_hint(os.path.abspath(file), nearest) if isinstance(error, FileNotFoundError) else ""
        hint = "" if hint == "no such file" else hint
        faults.add("MSH0004", Mark(file), f"cannot read the file: {reason.lower()}", hint=hint)
        return None
    return parse_all(file, data, faults) if memory is None else _remembered(file, data, faults, memory)


def _remembered(file: str, data: bytes, faults: Faults, memory: Memory) -> list[Node] | None:
    """Return the trees of the last reading where the file is the same; what had a fault is parsed again."""
    key = ("file", file, hashlib.sha256(data).digest())
    kept = memory.find(key)
    if kept is not None:
        return kept.result
    before = faults.blocking, len(faults.tape)
    roots = parse_all(file, data, faults)
    if (faults.blocking, len(faults.tape)) == before:
        memory.keep(key, Kept(roots, ()))
    return roots


def _bytes(file: str) -> bytes:
    """Return the file's bytes, at most one more than allowed. A pipe or device could keep us waiting: refused."""
    found = os.stat(file)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(0, "not a regular file")
    with open(file, "rb") as stream:
        data = stream.read(min(found.st_size, MAX_BYTES) + 1)  # memory for the limit, at each file, takes time
        return data if len(data) <= found.st_size else data + stream.read(MAX_BYTES + 1 - len(data))
