"""The options that meshctl's verbs share, and what they become: an admin client and a view."""

import functools
from collections.abc import Callable
from typing import Any

import click

from meshd.cli import terminal
from meshd.cli.client import DEFAULT, AdminClient
from meshd.cli.output import FORMS, View
from meshd.document.address import BadAddress, check_address



class AdminAddress(click.ParamType):
    """Where the admin API listens."""

    name = "address"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """Return the address (click.ParamType)."""
        try:
            check_address(value, True)
        except BadAddress as error:
            self.fail(f"{value!r}: {error}" + (f" ({error.hint})" if error.hint else ""), param, ctx)
        return str(value)


_ADMIN = click.option("--admin", metavar="ADDRESS", type=AdminAddress(), help="admin API: HOST:PORT or unix:PATH.")
_COLOR = click.option("--color", type=click.Choice(terminal.COLOR_CHOICES), default="auto", help="colour the output.")
_HEADERS = click.option("--no-headers", is_flag=True, help="leave the header line out.")


def shows(*forms: str) -> Callable:
    """Decorate a verb ``function(view, ...)``; ``forms`` are the values of ``-o``, the first is the default."""
    output_option = click.option(
        "-o", "--output", type=click.Choice(forms or FORMS), default=(forms or FORMS)[0], show_default=True,
        help="form of the output.")

    def decorate(function: Callable) -> Callable:
        @functools.wraps(function)
        def verb(*given: Any, output: str, no_headers: bool, color: str, **options: Any) -> Any:
            return function(*given, View(form=output, has_headers=not no_headers, color=color), **options)

        return output_option(_HEADERS(_COLOR(verb)))

    return decorate


def asks(*forms: str) -> Callable:
    """Decorate a verb ``function(client, view, ...)``; ``forms`` as those of ``shows``."""

    def decorate(function: Callable) -> Callable:
        shown = shows(*forms)(function)

        @functools.wraps(shown)
        @click.pass_context
        def verb(ctx: click.Context, *, admin: str | None, **options: Any) -> Any:
            found = ctx.find_root().obj or {}
            client = AdminClient(admin or found.get("admin") or DEFAULT, found.get("timeout", 30.0))
            return shown(client, **options)

        return _ADMIN(verb)

    return decorate
