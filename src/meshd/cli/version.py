"""What ``meshd --version`` and the start say: versions of what runs, and which leaves are compiled."""

import platform
from importlib import metadata

from meshd import __version__
from meshd.hot import COMPILED, STALE, compiled


def leaves() -> str:
    """Return one line: how many leaves are compiled, and which are stale."""
    states = compiled()
    made = sorted(name for name, state in states.items() if state == COMPILED)
    stale = sorted(name for name, state in states.items() if state == STALE)
    line = f"{len(made)} of {len(states)} compiled" if states else "none"
    if made:
        line += f": {', '.join(made)}"
    if stale:
        line += f"; stale, build them again: {', '.join(stale)}"
    return line


def text() -> str:
    """Return the lines of ``--version``."""
    return (
        f"meshd {__version__}\n"
        f"python {platform.python_version()} ({platform.python_implementation()}), "
        f"twisted {metadata.version('twisted')}\n"
        f"leaves: {leaves()}"
    )
