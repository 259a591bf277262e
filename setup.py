"""The compiled modules and nothing else: a ``.pyx``, or a ``.py`` with a ``.pxd`` beside it, is a leaf.

Each leaf has a ``.py`` of the same name, so a missing Cython or compiler costs speed only. The hash of a
leaf's source becomes the build id of its library; ``meshd.hot.compiled()`` compares the two.
"""

import os
from hashlib import sha1
from pathlib import Path

from setuptools import Extension, setup

ROOTS = (("meshd", Path("src/meshd")), ("meshd_plugins", Path("plugins")))
NAMED = Path("build/named")
"""Holds a link to each root that is called as its package is: Cython looks a ``.pxd`` up by its module's name."""


def leaf(package: str, root: Path, stem: Path) -> Extension:
    """Describe the library of one leaf; ``stem`` is its path without a suffix."""
    source = next(path for path in (stem.with_suffix(".pyx"), stem.with_suffix(".py")) if path.exists())
    paths = (source, stem.with_suffix(".pxd"), stem.with_suffix(".pxi"))
    texts = [path.read_bytes() for path in paths if path.exists()]
    return Extension(
        ".".join((package, *stem.relative_to(root).parts)),
        [source.as_posix()],
        include_dirs=["src"],
        extra_compile_args=["-O2", "-g0"],
        extra_link_args=[f"-Wl,--build-id=0x{sha1(b''.join(texts)).hexdigest()}"],
    )


def name_roots() -> None:
    """Make the links of ``NAMED``."""
    NAMED.mkdir(parents=True, exist_ok=True)
    for package, root in ROOTS:
        link = NAMED / package
        if not link.is_symlink():
            link.symlink_to(root.absolute(), target_is_directory=True)


def leaves() -> list[Extension]:
    """Return a library for each leaf in the tree; none in pure mode, without Cython, or where it refuses one."""
    if os.environ.get("MESHD_PURE", "0") not in ("", "0"):
        return []
    try:
        from Cython.Build import cythonize
        from Cython.Compiler.Errors import CompileError
    except ImportError:
        print("setup.py: there is no Cython: no leaf will be compiled")
        return []
    found = []
    for package, root in ROOTS:
        stems = {path.with_suffix("") for pattern in ("*.pyx", "*.pxd") for path in root.rglob(pattern)}
        found += [leaf(package, root, stem) for stem in sorted(stems) if stem.with_suffix(".py").exists()]
    directives = {"language_level": 3, "annotation_typing": False, "nonecheck": True}  # None is an error, no crash
    name_roots()
    try:
        made = cythonize(
            found, include_path=[NAMED.as_posix()], build_dir="build/cython", compiler_directives=directives
        )
    except CompileError as error:
        print(f"setup.py: {error} does not compile: no leaf will be compiled")
        return []
    for extension in made:
        extension.optional = True  # cythonize drops it when it is given earlier
    return made


setup(ext_modules=leaves(), options={"build_ext": {"parallel": os.cpu_count()}})
