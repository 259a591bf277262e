"""``meshctl analyze``: what is wrong or doubtful in files and folders of documents; no daemon is asked."""

from collections import Counter
from typing import Any

import click

from meshd.cli import code
from meshd.cli.ctl_option import shows
from meshd.cli.output import Column, View
from meshd.cli.suppress import Suppression

COLUMNS = (Column("CODE", "code"), Column("SEVERITY", "severity"), Column("MEANING", "meaning"))
COUNTS = (Column("CODE", "code"), Column("SEVERITY", "severity"), Column("COUNT", "count"),
          Column("MEANING", "meaning"))
SEVERITIES = ("info", "warning", "error")


@click.command(
    short_help="Find what is wrong or doubtful in files of documents; no daemon is asked.",
    epilog="\b\nexamples:\n  meshctl analyze mesh.d/\n  meshctl analyze etc/meshd.yaml -o sarif > meshd.sarif\n"
    "  meshctl analyze mesh.d/ --strict --fail-on warning\n"
    '  meshctl analyze mesh.d/ --suppress "IST0101=VirtualService shop/*"\n'
    "  meshctl analyze --list\n\n\b\nexit codes: 0 nothing as severe as --fail-on   64 usage\n"
    "            65 a file does not parse or breaks the schema   79 findings")
@click.argument("paths", nargs=-1, metavar="[FILE|DIR]...", type=click.Path())
@click.option("--list", "is_list", is_flag=True, help="list all codes with their severity and meaning.")
@click.option("--fail-on", type=click.Choice(SEVERITIES), default="error", show_default=True,
              help="lowest severity of a finding that makes it exit 79.")
@click.option("--strict", "is_strict", is_flag=True,
              help="what is accepted and not in force, or not accepted by Istio, is an error.")
@click.option("--suppress", "suppressed", multiple=True, metavar="CODE=KIND NS/NAME", type=Suppression.read,
              help="leave findings out: of a code (* for all) on a document; * stands for any text; may be repeated.")
@shows("text", "json", "github", "sarif")
def analyze(view: View, paths: tuple, is_list: bool, fail_on: str, is_strict: bool, suppressed: tuple) -> int:
    """Check FILEs and folders as ``meshd --check`` does, and say what a request would see.

    Findings have a code: istioctl's where it means the same, else one of meshd's own. What keeps a configuration from
    being loaded cannot be suppressed.
    """
    from meshd.cli import check
    if is_list:
        _list(view)
        return code.OK
    if not paths:
        raise click.UsageError("no file or folder: expected at least one, or --list")
    checked = check.Checked(list(paths), is_strict=is_strict)
    checked.without(lambda fault: any(one.covers(fault) for one in suppressed))
    check.write(checked, view.form, view.stream, view.color)
    if view.form == "text" and checked.faults:
        _count(view, checked)
    return checked.exit_code(fail_on)


def _list(view: View) -> None:
    from meshd.config.codes import codes_of
    from meshd.registry import Registry
    rows = [_row(name, meaning) for name, meaning in codes_of(Registry.load()).items()]
    if view.form == "json":
        view.document("Codes", {"items": rows})
    else:
        View(has_headers=view.has_headers, color=view.color, stream=view.stream).items("Codes", rows, COLUMNS)


def _row(name: str, meaning: Any) -> dict[str, Any]:
    return {"code": name, "severity": meaning.severity if meaning else "", "meaning": meaning.text if meaning else ""}


def _count(view: View, checked: Any) -> None:
    """Write a row for each code, the commonest first."""
    from meshd.config.codes import codes_of
    codes = codes_of(checked.registry)
    counts = Counter((fault.code, fault.severity) for fault in checked.faults)
    rows = [{**_row(name, codes.get(name)), "severity": severity, "count": count}
            for (name, severity), count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))]
    view.write("\n")
    View(has_headers=view.has_headers, color=view.color, stream=view.stream).items("Counts", rows, COUNTS)
