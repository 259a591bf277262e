"""The memory limits that the kernel holds this process to, and how much is used of each; read by ``memory``.

Strategy: a limit may stand at any level of the hierarchy, so each level that has one is kept. A group's usage counts
the caches of files too, which the kernel drops before it kills anybody; they are taken off, but looked up only where
the usage is near the limit. Kernel documentation: admin-guide/cgroup-v2.rst, admin-guide/cgroup-v1/memory.rst.
"""

import os
from collections.abc import Iterator

import attrs

ENDLESS_BYTES = 1 << 60
"""What version 1 says where there is no limit is more than this."""


@attrs.frozen
class Level:
    """One group with a limit: its folder, and the names of its files."""

    folder: str
    usage: str
    limits: tuple[str, ...]
    caches: tuple[str, ...]

    def limit_bytes(self) -> int | None:
        """Return the lowest limit of this group, None where it has none (any more). Raises OSError."""
        found = [limit for limit in map(self._number, self.limits) if limit is not None]
        return min(found, default=None)

    def used_bytes(self, enough_bytes: float) -> int:
        """Return what is used; the caches are taken off where it is at least ``enough_bytes``. Raises OSError."""
        used = self._number(self.usage) or 0
        return used if used < enough_bytes else max(0, used - self._cached_bytes())

    def _cached_bytes(self) -> int:
        with open(os.path.join(self.folder, "memory.stat"), encoding="ascii") as file:
            rows = (line.split() for line in file)
            return sum(int(row[1]) for row in rows if row[0] in self.caches)

    def _number(self, name: str) -> int | None:
        with open(os.path.join(self.folder, name), encoding="ascii") as file:
            text = file.read().strip()
        return int(text) if text != "max" and int(text) < ENDLESS_BYTES else None


def levels(proc: str = "/proc/self") -> list[Level]:
    """Return the groups of this process that have a limit of memory; empty where the kernel tells of none."""
    try:
        return [level for level in _candidates(proc) if _has_limit(level)]
    except (OSError, ValueError, IndexError):
        return []


def _has_limit(level: Level) -> bool:
    try:
        return level.limit_bytes() is not None
    except (OSError, ValueError):
        return False


def _candidates(proc: str) -> Iterator[Level]:
    paths = _paths(proc)
    with open(os.path.join(proc, "mountinfo"), encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            fields, _, rest = line.partition(" - ")
            root, mount = fields.split()[3:5]
            kind, _, options = rest.split()[:3]
            if kind == "cgroup2" and "" in paths:
                limits = ("memory.max", "memory.high")
                for folder in _upwards(mount, root, paths[""]):
                    yield Level(folder, "memory.current", limits, ("inactive_file", "active_file"))
            elif kind == "cgroup" and "memory" in options.split(",") and "memory" in paths:
                for folder in _upwards(mount, root, paths["memory"]):
                    yield Level(folder, "memory.usage_in_bytes", ("memory.limit_in_bytes",),
                                ("total_inactive_file", "total_active_file"))


def _paths(proc: str) -> dict[str, str]:
    """Return controller -> path of this process's group; the controller of version 2 is ``""``."""
    paths = {}
    with open(os.path.join(proc, "cgroup"), encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            paths.update({controller: path for controller in controllers.split(",")})
    return paths


def _upwards(mount: str, root: str, path: str) -> Iterator[str]:
    """Yield the folders from a group up to the mount. A container may see its own group as the mount's root."""
    inside = path[len(root.rstrip("/")):] if (path + "/").startswith(root.rstrip("/") + "/") else "/"
    folder = os.path.normpath(mount + "/" + inside)
    while len(folder) > len(mount):
        yield folder
        folder = os.path.dirname(folder)
    yield mount
