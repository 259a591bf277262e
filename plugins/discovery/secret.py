"""A credential of a discovery: read from a file or the environment for each use, in a thread, and never shown."""

import re
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed

from meshd_plugins.discovery.source import SourceError

MAX_BYTES = 65536
_VISIBLE = re.compile(rb"[\x21-\x7e]+")


class Secret:
    """``file`` is a path, ``variable`` the name of an environment variable; with neither there is none.

    A file is read anew each time, since whoever rotates it replaces it.
    """

    def __init__(self, file: str | None, variable: str, site: Any) -> None:
        self._file = file
        self._variable = variable
        self._environment: Mapping[str, str] = site.environment
        self._in_thread = site.in_thread

    def fetch(self) -> Deferred:
        """Return a Deferred of the credential (bytes), or of None; it fails with SourceError, which does not show it.
        """
        if self._file:
            return self._in_thread(_read, self._file)
        if not self._variable:
            return succeed(None)
        value = self._environment.get(self._variable, "")
        try:
            return succeed(_checked(value.encode("utf-8", "surrogateescape"), f"environment: {self._variable}"))
        except SourceError as error:
            return fail(error)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return _checked(file.read(MAX_BYTES), path)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error


def _checked(value: bytes, where: str) -> bytes:
    value = value.strip()
    if not _VISIBLE.fullmatch(value):
        raise SourceError(f"{where}: expected a credential of visible ASCII characters")
    return value
