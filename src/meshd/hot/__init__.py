"""The leaves that get compiled, and the answer to which of them are: ``meshd --version`` and the start ask.

A leaf is a ``.pyx``, or a ``.py`` with a ``.pxd`` beside it, anywhere in meshd. The build id of its library is
the hash of its source (``setup.py`` puts it there), so a library that no longer matches is known as stale.
"""

from hashlib import sha1
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path

from meshd.hot.pure import is_installed

COMPILED = "compiled"
PURE = "pure"
STALE = "stale"
PACKAGES = ("meshd", "meshd_plugins")


def compiled() -> dict[str, str]:
    """Return the state of each leaf by its module name: ``compiled``, ``pure`` or ``stale``.

    A library whose source is no leaf any more is stale too: Python would load it before the ``.py``.
    """
    states = {}
    for package in PACKAGES:
        spec = find_spec(package)
        for folder in spec.submodule_search_locations or () if spec else ():
            states.update(states_in(Path(folder), package))
    return states


def states_in(root: Path, package: str) -> dict[str, str]:
    """Return the states of the leaves in one folder, which is that of ``package``."""
    states = {}
    for stem in sorted(_stems(root)):
        name = ".".join((package, *stem.relative_to(root).parts))
        states[name] = PURE if is_installed() else _state(stem)
    return states


def stale() -> list[str]:
    """Return the names of the stale leaves, for the warning at start and for the tests."""
    return [name for name, state in compiled().items() if state == STALE]


def _stems(root: Path) -> set[Path]:
    leaves = {path.with_suffix("") for suffix in ("pyx", "pxd") for path in root.rglob(f"*.{suffix}")}
    leaves = {stem for stem in leaves if stem.with_suffix(".py").exists()}
    libraries = {path.with_name(path.name.split(".")[0]) for path in root.rglob("*.so") if _is_ours(path)}
    return leaves | libraries


def _is_ours(path: Path) -> bool:
    return path.name.endswith(tuple(EXTENSION_SUFFIXES))


def _library(stem: Path) -> Path | None:
    paths = (stem.with_name(stem.name + suffix) for suffix in EXTENSION_SUFFIXES)
    return next((path for path in paths if path.exists()), None)


def _state(stem: Path) -> str:
    library = _library(stem)
    if library is None:
        return PURE
    return COMPILED if _digest(stem) in library.read_bytes() else STALE


def _digest(stem: Path) -> bytes:
    pyx, pxd, pxi = (stem.with_suffix(suffix) for suffix in (".pyx", ".pxd", ".pxi"))
    source = pyx if pyx.exists() else stem.with_suffix(".py")
    return sha1(b"".join(path.read_bytes() for path in (source, pxd, pxi) if path.exists())).digest()
