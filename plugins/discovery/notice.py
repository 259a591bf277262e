"""Notices changes in folders through inotify where the reactor and the system have it; for ``file``."""

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorFDSet
from twisted.python.filepath import FilePath


class Notice:
    """``start(wake)``, then ``follow(folders)`` after each look; ``wake()`` is called for every change in them."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._inotify: Any = None
        self._wake: Callable[[], Any] | None = None
        self._folders: set[str] = set()

    def start(self, wake: Callable[[], Any]) -> None:
        """Begin."""
        self._wake = wake

    def stop(self) -> None:
        """End."""
        self._wake = None
        self._close()

    def follow(self, folders: set[str]) -> tuple[bool, bool]:
        """Notice changes in these folders alone; return whether all of them could be had, and whether any is new.

        What happened in a new one before is not noticed: it has to be looked at once more.
        """
        if folders == self._folders:
            return bool(folders), False
        self._close()
        if self._wake is None or not IReactorFDSet.providedBy(self._reactor):
            return False, False
        try:
            self._open(folders)
        except (ImportError, OSError):  # another system, a folder is missing, or this user has too many watches
            self._close()
            return False, False
        self._folders = folders
        return True, True

    def _open(self, folders: set[str]) -> None:
        from twisted.internet.inotify import (
            IN_CLOSE_WRITE, IN_CREATE, IN_DELETE, IN_MOVE_SELF, IN_MOVED_FROM, IN_MOVED_TO, INotify, INotifyError)
        mask = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVE_SELF | IN_MOVED_FROM | IN_MOVED_TO
        self._inotify = INotify(self._reactor)
        self._inotify.startReading()
        for folder in folders:
            try:
                self._inotify.watch(FilePath(folder), mask, callbacks=[self._noticed])
            except INotifyError as error:
                raise OSError(f"{folder}: {error}") from None

    def _close(self) -> None:
        self._folders = set()
        inotify, self._inotify = self._inotify, None
        if inotify is not None:
            inotify.loseConnection()

    def _noticed(self, _watch: Any, _path: FilePath, mask: int) -> None:
        from twisted.internet.inotify import IN_DELETE_SELF, IN_MOVE_SELF
        if mask & (IN_DELETE_SELF | IN_MOVE_SELF):  # after which twisted's object is of no more use
            self._close()
        if self._wake is not None:
            self._wake()
