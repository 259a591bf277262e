"""``meshctl plugins check`` and ``schema``: what can be said of the installed plugins without a daemon."""

import json
from typing import Any

import click

from meshd.cli import code
from meshd.cli.ctl_option import shows
from meshd.cli.output import View
from meshd.cli.plugin.complete import plugin_names, type_names
from meshd.cli.plugin.report import finding_text


@click.command(short_help="Load the installed plugins without a daemon; exit 1 where something is wrong.",
               epilog="\b\nexamples:\n  meshctl plugins check\n  meshctl plugins check meshd-hello\n"
               "  meshctl plugins check -o json   (exit 1 where there is an error)")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=plugin_names)
@click.option("--dir", "folder", metavar="FOLDER", help="look at one-file plugins in this folder too (plugins.dir).")
@shows("text", "json", "yaml")
def check(view: View, names: tuple[str, ...], folder: str | None) -> int:
    """Load every installed plugin, or those that are named (by entry point or distribution), and say what is wrong.

    Looks at the plugin API's version, hooks, names that are taken, requirements, each type's interface as far as
    it can be built with defaults, and what is deprecated. Configurations are checked by: meshd --check
    """
    from meshd.cli.plugin.finding import chosen, examine
    rows = [one.as_dict() for one in chosen(examine(folder), names)]
    is_valid = not any(row["errors"] for row in rows)
    if view.form == "text":
        for row in rows:
            view.write(finding_text(row, view))
        view.write(f"\n{_counts(rows)}\n")
    else:
        view.document("PluginCheck", {"valid": is_valid, "items": rows})
    return code.OK if is_valid else code.FAILED


def _counts(rows: list[dict]) -> str:
    counts = {"plugin": len(rows), "error": sum(len(row["errors"]) for row in rows),
              "warning": sum(len(row["warnings"]) for row in rows)}
    return ", ".join(f"{count} {what}{'' if count == 1 else 's'}" for what, count in counts.items())


@click.command(short_help="JSON Schema of a plugin's configuration section.",
               epilog="\b\nexamples:\n  meshctl plugins schema rate_limit\n"
               "  meshctl plugins schema http_filter/rate_limit -o yaml")
@click.argument("name", shell_complete=type_names)
@shows("json", "yaml")
def schema(view: View, name: str) -> None:
    """Print the JSON Schema of the section that configures the plugin type NAME, or KIND/NAME."""
    from meshd.config.schema import make_type_schema
    registry, one = _type(name)
    found = make_type_schema(registry, one)
    if view.form == "yaml":
        import yaml
        view.write(yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=120))
    else:
        view.write(json.dumps(found, indent=2, ensure_ascii=False) + "\n")


def _type(name: str) -> tuple[Any, Any]:
    """Return (registry, the type that ``name`` means)."""
    from meshd.cli.plugin.types import installed_types
    from meshd.document.nearest import nearest
    registry, types = installed_types()
    kind, _, short = name.rpartition("/")
    found = [one for one in types if one.name == short and kind in ("", one.kind)]
    if len(found) == 1:
        return registry, found[0]
    if found:
        listed = ", ".join(f"{one.kind}/{one.name}" for one in found)
        raise click.ClickException(f"plugin type {name!r}: means more than one: expected one of: {listed}")
    known = {spelling for one in types for spelling in (one.name, f"{one.kind}/{one.name}")}
    guess = nearest(name, sorted(known))
    hint = f"did you mean {guess}?" if guess else "meshctl plugins list --local -o wide has all"
    raise click.ClickException(f"plugin type {name!r}: no installed plugin offers it\nhelp: {hint}")
