"""When each document was first seen, kept on disk: the age that files do not have. Read by checks, kept by daemons.

A document's first-seen time is that of its file when it was first read; later edits do not change it. What is no longer
read is forgotten, so the file is as small as the configuration.
"""

import contextlib
import json
import os
from datetime import UTC, datetime

NAME = "first-seen.json"
MAX_BYTES = 64 * 1024 * 1024


class Ages:
    """``folder`` is systemd's StateDirectory, or None: then nothing is remembered, and nothing has an age."""

    def __init__(self, folder: str | None) -> None:
        self._path = os.path.join(folder, NAME) if folder else None
        self._known = self._read()
        self._seen: dict[str, str] = {}

    def first_seen(self, key: str, file: str) -> str:
        """Return the time (ISO 8601, UTC) at which the document ``key`` was first seen, or ''."""
        if self._path is None:
            return ""
        found = self._known.get(key)
        if found is None:
            try:
                found = datetime.fromtimestamp(os.stat(file).st_mtime, UTC).isoformat(timespec="seconds")
            except OSError:
                return ""
        self._seen[key] = found
        return found

    def keep(self) -> None:
        """Write down what was seen, where that has changed; a folder that cannot be written is no reason to fail."""
        if self._path is None or self._seen == self._known:
            return
        fresh = f"{self._path}.{os.getpid()}"
        try:
            with open(fresh, "w") as file:
                json.dump(self._seen, file)
            os.replace(fresh, self._path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(fresh)

    def _read(self) -> dict[str, str]:
        if self._path is None:
            return {}
        try:
            with open(self._path, "rb") as file:
                found = json.loads(file.read(MAX_BYTES))
        except (OSError, ValueError):
            return {}
        is_good = isinstance(found, dict) and all(isinstance(one, str) for one in found.values())
        return found if is_good else {}


def ages_of(environment: dict) -> Ages:
    """Return the ages kept in ``STATE_DIRECTORY`` (systemd may name several folders there: the first)."""
    return Ages(environment.get("STATE_DIRECTORY", "").partition(":")[0] or None)
