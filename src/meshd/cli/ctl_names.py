"""Names for completion, asked from the daemon while the user waits for the shell: one quick question, or none."""

from collections.abc import Callable
from typing import Any

import click

from meshd.cli.client import DEFAULT, AdminClient, AdminError

TIMEOUT_S = 0.5
"""A shell that hangs on TAB is worse than one that completes nothing."""


def names_of(kind: str) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Return a ``shell_complete`` that offers the names on the admin API's page ``kind``: clusters or listeners."""

    def names(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        return [name for name in _ask(ctx, kind) if name.startswith(incomplete)]

    return names


def _ask(ctx: click.Context, kind: str) -> list[str]:
    """Return the names, or none where the daemon does not answer: a shell has no place for an error."""
    address: Any = ctx.params.get("admin") or ctx.find_root().params.get("admin") or DEFAULT
    try:
        return [row["name"] for row in AdminClient(address, TIMEOUT_S).get(f"/{kind}?format=json")[kind]]
    except (AdminError, LookupError, TypeError):
        return []
