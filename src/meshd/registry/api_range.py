"""Which versions of the plugin API a plugin fits (``MESHD_API = ">=1,<2"``)."""

from meshd.api import API_VERSION

_OPERATORS = {
    ">=": lambda have, want: have >= want,
    "<=": lambda have, want: have[: len(want)] <= want,
    "==": lambda have, want: have[: len(want)] == want,
    "!=": lambda have, want: have[: len(want)] != want,
    ">": lambda have, want: have[: len(want)] > want,
    "<": lambda have, want: have < want,
}


def api_fits(wanted: str, have: tuple[int, ...] = API_VERSION) -> bool:
    """Say whether ``have`` lies in ``wanted``: comparisons joined by commas; ``==1`` is any 1.x, ``>1`` begins at 2.

    Raises ValueError where ``wanted`` is not that.
    """
    if not isinstance(wanted, str):
        raise ValueError(f"API range {wanted!r}: expected text such as '>=1,<2'")
    return all([_part_fits(part.strip(), have) for part in wanted.split(",")])


def _part_fits(part: str, have: tuple[int, ...]) -> bool:
    for sign, holds in _OPERATORS.items():
        if part.startswith(sign):
            figures = part[len(sign) :].strip().split(".")
            if all(figure.isdecimal() for figure in figures):
                return holds(have, tuple(map(int, figures)))
            break
    raise ValueError(f"API range {part!r}: expected a comparison such as '>=1' or '<2'")
