"""Where plugins come from: installed entry points and a folder of one-file plugins."""

import hashlib
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs

from meshd.api import GROUP, PluginError

SHIPPED_BY = "meshd"
LOCAL_PREFIX = "meshd_plugin_"
"""Module names of one-file plugins begin so; they are flat, which lets pickle find their classes."""


@attrs.frozen(kw_only=True)
class Source:
    """A plugin that could be loaded; ``load()`` returns its module. ``digest`` tells builds of one version apart."""

    name: str
    distribution: str
    version: str
    module: str
    digest: str
    load: Callable[[], Any]

    @property
    def order(self) -> tuple:
        """Shipped plugins first: where two offer the same type, the stranger is the one refused."""
        return (self.distribution != SHIPPED_BY, self.distribution, self.name)


def installed(points: Iterable[Any] | None = None) -> Iterator[Source]:
    """Yield a source for each entry point of ``meshd.plugins``; ``points`` replaces what is installed."""
    for point in metadata.entry_points(group=GROUP) if points is None else points:
        dist = point.dist
        name, version = (dist.name, dist.version) if dist is not None else ("unknown", "")
        yield Source(
            name=point.name, distribution=name, version=version, module=point.value, digest=_digest(dist),
            load=point.load,
        )


def _digest(dist: Any) -> str:
    """Return a digest of an installed distribution's RECORD (it lists a hash for each file), "" where it has none."""
    record = dist.read_text("RECORD") if dist is not None else None
    return hashlib.sha256(record.encode()).hexdigest()[:16] if record else ""


def unsafe(status: os.stat_result, path: str) -> str:
    """Say why a file or folder that code is loaded from cannot be trusted; "" where it can."""
    if status.st_uid not in (0, os.geteuid()):
        return f"{path}: owned by user {status.st_uid}: expected root or user {os.geteuid()}"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"{path}: mode {stat.S_IMODE(status.st_mode):04o}: expected no write permission for group and others"
    return ""


def local(folder: str) -> Iterator[Source]:
    """Yield a source for each ``*.py`` of ``folder``, sorted by name; what cannot be trusted fails in ``load()``."""
    root = Path(folder).resolve()
    try:
        paths = sorted(path for path in root.glob("*.py") if not path.name.startswith(("_", ".")))
        trouble = unsafe(root.stat(), str(root))
    except OSError as error:
        paths, trouble = [], f"{root}: {error.strerror}: expected a folder of plugins"
    if trouble and not paths:
        paths = [root / "*.py"]
    for path in paths:
        yield _file_source(path, trouble)


def _file_source(path: Path, trouble: str) -> Source:
    code = b""
    if not trouble:
        code, trouble = _read(path)
    name = LOCAL_PREFIX + path.stem

    def load() -> ModuleType:
        if trouble:
            raise PluginError(trouble)
        return _import(name, path, code)

    digest = hashlib.sha256(code).hexdigest()[:16]
    return Source(name=path.stem, distribution=f"file {path.name}", version="", module=name, digest=digest, load=load)


def _read(path: Path) -> tuple[bytes, str]:
    """Return (source, why it cannot be used); the open file is what is checked, so it cannot be changed in between."""
    try:
        with open(path, "rb") as file:
            return file.read(), unsafe(os.fstat(file.fileno()), str(path))
    except OSError as error:
        return b"", f"{path}: {error.strerror}: expected a readable file"


def _import(name: str, path: Path, code: bytes) -> ModuleType:
    """Run ``code`` as the module ``name``; a process runs a file once, as with every import."""
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return known
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module
    try:
        exec(compile(code, str(path), "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module
