"""The finder behind ``MESHD_PURE=1``: inside meshd a ``.py`` wins over the library compiled from it."""

import sys
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader

PACKAGES = ("meshd.", "meshd_plugins.")


class SourceFinder:
    """A meta path finder that sees source files only, and only in meshd's packages."""

    def __init__(self) -> None:
        self._folders: dict[str, FileFinder] = {}

    def find_spec(self, name: str, path=None, target=None) -> ModuleSpec | None:
        """Find ``name`` as a source file in the folders of ``path``; None lets the next finder look."""
        if not name.startswith(PACKAGES):
            return None
        for folder in path or ():
            spec = self._folder(folder).find_spec(name)
            if spec is not None and spec.loader is not None:
                return spec
        return None

    def _folder(self, folder: str) -> FileFinder:
        if folder not in self._folders:
            self._folders[folder] = FileFinder(folder, (SourceFileLoader, SOURCE_SUFFIXES))
        return self._folders[folder]

    def invalidate_caches(self) -> None:
        """Look at the folders again (importlib.invalidate_caches calls this)."""
        self._folders.clear()


def is_installed() -> bool:
    """Say whether libraries are being passed over."""
    return any(isinstance(finder, SourceFinder) for finder in sys.meta_path)


def install() -> None:
    """Pass libraries over from here on, in this process."""
    if not is_installed():
        sys.meta_path.insert(0, SourceFinder())
