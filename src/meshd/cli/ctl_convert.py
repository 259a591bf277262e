"""``meshctl convert``: documents as native configuration, and back where it can; no daemon is asked."""

import sys

import attrs
import click

from meshd.cli import code, terminal
from meshd.cli.output import View
from meshd.cli.ctl_option import shows

WIDTH = 120


@click.command(
    short_help="Print documents as native configuration, or the other way.",
    epilog="\b\nexamples:\n  meshctl convert mesh.d/ > native.yaml\n  meshctl convert etc/meshd.yaml --to istio\n\n"
    "\b\nexit codes: 0 printed   1 --strict, and something could not be said   64 usage   65 not valid")
@click.argument("paths", nargs=-1, required=True, metavar="FILE|DIR...", type=click.Path())
@click.option("--to", "dialect", default="native", show_default=True, metavar="DIALECT", help="native or istio.")
@click.option("--strict", "is_strict", is_flag=True, help="exit 1 where something cannot be said in that dialect.")
@shows("yaml", "json")
def convert(view: View, paths: tuple, dialect: str, is_strict: bool) -> int:
    """Read FILEs and folders as the daemon would, for the node that they name, and print the same in another dialect.

    What cannot be said there is named on standard error.
    """
    from meshd.cli import check
    checked = check.Checked(list(paths), builds=False)
    if not checked.is_valid:
        check.write(checked, "text", sys.stderr, view.color)
        return code.DATA
    found = checked.registry.type("config_dialect", dialect)
    if found is None:
        known = ", ".join(checked.registry.names("config_dialect"))
        raise click.UsageError(f"no dialect {dialect!r}: expected one of {known}")
    documents, losses = found.build(None, None).write(attrs.evolve(checked.loaded.snapshot, documents=()))
    view.write(_text(documents, view.form))
    for loss in losses:
        sys.stderr.write(f"{terminal.glyph('warn', sys.stderr)} {loss}\n")
    return code.FAILED if losses and is_strict else code.OK


def _text(documents: list, form: str) -> str:
    if form == "json":
        import json
        return json.dumps(documents[0] if len(documents) == 1 else documents, indent=2) + "\n"
    import yaml
    return yaml.safe_dump_all(documents, sort_keys=False, width=WIDTH, allow_unicode=True)
