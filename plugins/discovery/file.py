"""The discovery ``file``: endpoints in YAML or JSON files that are read again when they change; a cluster watches them.

Prometheus' file_sd: several files, globs in the last part of a path, ``refresh_interval`` as what always works. A
change is seen at once through inotify on the folders, so writers may rename; where there is no inotify the files are
looked at every ``interval``. A file that cannot be read keeps its own last good targets, over reloads too.
"""

import errno
import glob
import os
import re
from collections.abc import Callable, Iterable
from typing import Any

import attrs
import yaml
from twisted.internet.defer import Deferred
from zope.interface import implementer

from meshd.api import Duration, File, ListOf, Need, PluginType, Size, config, option

from meshd_plugins.discovery.notice import Notice
from meshd_plugins.discovery.options import SourceOptions
from meshd_plugins.discovery.shape import Target, parse
from meshd_plugins.discovery.source import Answer, Discovery, ISource
from meshd_plugins.discovery.target import SOURCE

FILE_LIMIT = 10_000
PATH = "__meta_filepath"
SUFFIXES = (".json", ".yaml", ".yml")
_GLOB = re.compile(r"[*?\[]")


@config
class FileOptions(SourceOptions):
    """Where the endpoints stand."""

    path: str | None = option(File(), default=None, doc="one YAML or JSON file, which must be there from the start")
    files: tuple[str, ...] = option(
        ListOf(item=File(), maximum=1000), default=(),
        doc="files, as in Prometheus' file_sd: .json, .yaml or .yml, with * ? [] in the last part of the path",
    )
    refresh_interval_s: float = option(
        Duration(minimum=0.05), default=300.0, doc="time between two looks at all files, whatever was noticed"
    )
    interval_s: float = option(
        Duration(minimum=0.05), default=1.0, doc="time between two looks where changes are not noticed (no inotify)"
    )
    max_bytes: int = option(Size(minimum=64), default=16 * 2**20, doc="a longer file is refused")

    def check(self):
        """Yield faults between fields, and paths that Prometheus would refuse."""
        if (self.path is None) == (not self.files):
            yield "files", "expected either path or files"
        for index, name in enumerate(self.files):
            if not name.endswith(SUFFIXES):
                yield ("files", index), f"expected a name that ends in one of {', '.join(SUFFIXES)}"
            elif _GLOB.search(os.path.dirname(name)):
                yield ("files", index), "expected * ? [] in the last part of the path alone"


@attrs.frozen
class Read:
    """One file as it was last read: ``stamp`` tells versions apart, ``error`` says why it is not what it should be."""

    stamp: tuple
    targets: list[Target]
    error: str = ""


@implementer(ISource)
class FileSource:
    """Reads the files in a thread. ``memory`` is a dict of path -> Read that a reload leaves as it is."""

    is_whole = True

    def __init__(self, options: FileOptions, site: Any, memory: dict[str, Read]) -> None:
        self.patterns = options.files or (options.path,)
        self.name = f"file {', '.join(self.patterns)}"[:200]
        self._options = options
        self._in_thread = site.in_thread
        self._memory = memory
        self._notice = Notice(site.reactor)

    def start(self, wake: Callable[[], Any]) -> None:
        """Notice changes from now on."""
        self._notice.start(wake)

    def stop(self) -> None:
        """Notice nothing more."""
        self._notice.stop()

    def look(self) -> Deferred:
        """Return a Deferred of the Answer."""
        read = self._in_thread(look_at, self.patterns, dict(self._memory), self._options.max_bytes)
        return read.addCallback(self._taken)

    def _taken(self, seen: tuple[dict[str, Read], set[str]]) -> Answer:
        found, around = seen
        self._memory.clear()
        self._memory.update(found)
        is_noticed, is_new = self._notice.follow(around)
        next_s = min(0.0 if is_new else self._options.interval_s, self._options.refresh_interval_s)
        if is_noticed and not is_new:
            next_s = self._options.refresh_interval_s
        targets = [target for one in found.values() for target in one.targets]
        faults = tuple(f"{path}: {one.error}" for path, one in found.items() if one.error)
        return Answer(targets=targets, next_s=next_s, faults=faults)


def folders(path: str) -> Iterable[str]:
    """Return the folders in which a change concerns ``path``: its own, and those of links and where they lead."""
    own = os.path.dirname(path)
    around = {os.path.realpath(own), os.path.dirname(os.path.realpath(path))}
    return around | {os.path.dirname(own)} if os.path.islink(own) else around


def look_at(
    patterns: Iterable[str], memory: dict[str, Read], limit_bytes: int
) -> tuple[dict[str, Read], set[str]]:
    """Return path -> Read of all files, those that have not changed from ``memory``, and the folders; blocks.

    Raises ValueError.
    """
    around = {folder for path in patterns for folder in folders(path)}
    found: dict[str, Read] = {}
    for pattern in patterns:
        for path in sorted(glob.glob(pattern)) if _GLOB.search(pattern) else (pattern,):
            if path not in found:
                found[path] = _look_at_one(path, memory.get(path), limit_bytes)
        if len(found) > FILE_LIMIT:
            raise ValueError(f"{pattern}: too many files: expected at most {FILE_LIMIT}")
    return found, around


def _look_at_one(path: str, before: Read | None, limit_bytes: int) -> Read:
    last = before.targets if before is not None else []
    stamp: tuple = ()
    try:
        status = os.stat(path)
        stamp = status.st_mtime_ns, status.st_size, status.st_ino, status.st_dev
        if before is not None and before.stamp == stamp:
            return before
        return Read(stamp, _marked(parse(_content(path, limit_bytes), path), path))
    except FileNotFoundError as error:
        return Read(("missing", error.errno), last, os.strerror(errno.ENOENT).lower())
    except OSError as error:
        return Read((), last, (error.strerror or str(error)).lower())
    except (ValueError, yaml.YAMLError) as error:
        return Read(stamp, last, " ".join(str(error).split()))


def _content(path: str, limit_bytes: int) -> bytes:
    with open(path, "rb") as file:
        data = file.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise ValueError(f"file too long: expected at most {limit_bytes} bytes")
    return data


def _marked(targets: list[Target], path: str) -> list[Target]:
    for target in targets:
        target[PATH] = path
        target.setdefault(SOURCE, f"file {path}")
    return targets


def references(config):
    """Yield the file that must be there."""
    if config.path is not None:
        yield Need("file", config.path, "path")


def build(config, site):
    """Return a Discovery of the files."""
    key = (config.path, config.files, config.relabel_configs)
    memory = site.state("worker", ("discovery file", site.name, config.path, config.files), dict)
    return Discovery("file", FileSource(config, site, memory), config, site, key=key)


TYPE = PluginType(
    kind="discovery", name="file", config=FileOptions, build=build, references=references,
    doc="Endpoints of files that are watched: Prometheus' file_sd, and shapes of ours.",
)
