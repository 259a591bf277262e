"""What the C library does with free memory: ``keep`` at the start of a process, ``shrink`` to give it back.

What was freed in small pieces stays with the library until it is asked. Buffers of large bodies go back at once
otherwise, which makes the system clear every page of the next ones: that was half the CPU time of 1 MiB over HTTP/2.
"""

import ctypes

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
"""Of malloc.h."""
KEPT_BYTES = 4 << 20
"""So much at the end of the heap stays, and buffers below it are taken from the heap."""
STEP_BYTES = 256 << 10
"""The heap grows by so much more than is asked for."""


def keep() -> bool:
    """Keep up to ``KEPT_BYTES`` of free memory for the next buffers (mallopt(3)); say whether the library knows how."""
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    options = ((M_TRIM_THRESHOLD, KEPT_BYTES), (M_MMAP_THRESHOLD, KEPT_BYTES), (M_TOP_PAD, STEP_BYTES))
    return set_option is not None and all([set_option(*option) for option in options])


def shrink() -> bool:
    """Ask the C library to return what it holds free (malloc_trim(3)); say whether it knows how (glibc does)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None:
        return False
    trim(0)
    return True
