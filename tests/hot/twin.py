"""Both twins of a leaf in one process, whichever of them meshd itself uses."""

import importlib.machinery
import importlib.util
from pathlib import Path

import meshd.hot

FOLDER = Path(meshd.hot.__file__).parent


def twins(name):
    """Return the modules of the leaf ``meshd.hot.NAME``: the pure one, then the compiled one where there is one."""
    libraries = [FOLDER / (name + suffix) for suffix in importlib.machinery.EXTENSION_SUFFIXES]
    return [_load(path) for path in (FOLDER / f"{name}.py", *libraries) if path.exists()]


def _load(path):
    spec = importlib.util.spec_from_file_location(path.name.split(".")[0], path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
