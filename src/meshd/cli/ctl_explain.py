"""``meshctl explain``: what would happen to a request, rule by rule; asked of the daemon, or of files (``-c``)."""

import sys
from typing import Any
from urllib.parse import urlencode

import attrs
import click

from meshd.cli import code
from meshd.cli.check import Checked
from meshd.cli.ctl_names import names_of
from meshd.cli.ctl_option import asks
from meshd.cli.explain_table import show
from meshd.cli.output import View
from meshd.config import render
from meshd.explain.asked import Asked, BadQuestion, asked

EPILOG = """\b
examples:
  meshctl explain GET http://shop.example/users/7
  meshctl explain GET http://shop.example:8080/users/7 --header 'x-beta: 1' -o json
  meshctl explain POST http://shop.example/ --listener public --client-address 203.0.113.9
  meshctl explain GET http://shop.example/ -c /etc/meshd/meshd.yaml   (no daemon is asked)

\b
exit codes: 0 answered   1 could not answer   64 usage   65 the configuration given with -c is not valid
"""


class Asleep(Checked):
    """A configuration in files, built and never started; ``runtime`` is None where it is not valid."""

    runtime: Any = None

    def _build(self) -> None:
        from meshd.runtime.build import asleep
        self.runtime = asleep(self.loaded.snapshot, self.registry)


@click.command(epilog=EPILOG, short_help="Say what would happen to a request, rule by rule.")
@click.argument("method")
@click.argument("url")
@click.option("--header", "headers", metavar="NAME:VALUE", multiple=True, help="a field of the request; repeatable.")
@click.option("--from", "source", metavar="WORKLOAD", default="", help="workload that the request is from.")
@click.option("--sni", metavar="NAME", default="", help="server name that a TLS client asks for.")
@click.option("--listener", metavar="NAME", default="", shell_complete=names_of("listeners"),
              help="listener that takes it (default: the one on the URL's port).")
@click.option("--client-address", "client_address", metavar="IP", default="", help="address that it comes from.")
@click.option("-c", "--config", "paths", metavar="FILE|DIR", multiple=True, type=click.Path(),
              help="answer from these files instead of a daemon; repeatable.")
@asks("table", "json", "yaml")
def explain(client: Any, view: View, method: str, url: str, headers: tuple[str, ...], client_address: str,
            paths: tuple[str, ...], **more: str) -> int:
    """Say what would happen to a request: listener, edge, filters, route and why not the others, cluster, timeouts.

    Nothing is sent, counted or taken.
    """
    try:
        request = asked(method, url, headers, client=client_address, **more)
    except BadQuestion as error:
        raise click.UsageError(str(error)) from None
    if not paths:
        return _show(view, _live(client, request))
    asleep = Asleep(list(paths))
    if not asleep.is_valid:
        outcome = render.Outcome(
            faults=asleep.faults, files=len(asleep.files), duration_s=asleep.duration_s)
        sys.stderr.write(render.render_text(outcome, colour=attrs.evolve(view, stream=sys.stderr).has_color))
        return code.DATA
    return _show(view, _asleep(asleep.runtime, request))


def _live(client: Any, request: Asked) -> dict:
    arguments = [("method", request.method), ("url", request.url), ("client", request.client)]
    arguments += [("header", f"{name}:{value}") for name, value in request.headers]
    arguments += [("listener", request.listener), ("from", request.source), ("sni", request.sni)]
    status, body = client.ask("GET", f"/explain?{urlencode([pair for pair in arguments if pair[1]])}")
    return client.read("/explain", status, body)


def _asleep(runtime: Any, request: Asked) -> dict:
    from meshd.explain.answer import explain as answer
    from meshd.runtime.site import finish
    try:
        return finish(answer(runtime, request))
    except BadQuestion as error:
        raise click.ClickException(str(error)) from None


def _show(view: View, found: dict) -> int:
    if view.form == "table":
        show(view, found)
    else:
        view.document("Explanation", {key: value for key, value in found.items() if key != "apiVersion"})
    return code.OK
