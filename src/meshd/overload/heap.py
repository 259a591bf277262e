"""Gives unused memory back to the system: what was freed in small pieces stays with the C library otherwise."""

import ctypes


def shrink() -> bool:
    """Ask the C library to return what it holds free (malloc_trim(3)); say whether it knows how (glibc does)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None:
        return False
    trim(0)
    return True
