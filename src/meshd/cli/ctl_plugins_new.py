"""``meshctl plugins new``: a ready project of a plugin, with tests that pass."""

import datetime
from pathlib import Path

import click

DESCRIPTION = "Lets some methods pass, and keeps a user at one endpoint"
NEXT = """
next:
  cd {folder}
  python3 -m venv .venv && .venv/bin/pip install -e '.[test]'
  .venv/bin/python -m pytest
"""


@click.command(short_help="Write the project of a new plugin.",
               epilog="\b\nexamples:\n  meshctl plugins new meshd-shop\n"
               "  meshctl plugins new ~/src/meshd-shop --licence mit --author 'Ada Lovelace'")
@click.argument("directory", metavar="DIRECTORY|NAME", type=click.Path(path_type=Path))
@click.option("--name", help="the distribution's name (default: the folder's); begins with meshd-.")
@click.option("--licence", "--license", "licence", default="apache-2.0", show_default=True,
              type=click.Choice(["apache-2.0", "mit", "bsd-3-clause", "none"]), help="the licence of the project.")
@click.option("--author", help="who has the copyright (default: the authors of NAME).")
@click.option("--description", help="one line on what the plugin does.")
def new(directory: Path, name: str | None, licence: str, author: str | None, description: str | None) -> None:
    """Write a project with an HTTP filter and a load balancer, an example configuration and tests that pass.

    The folder must be new or empty: nothing is written over.
    """
    from meshd.cli.plugin.project import Project
    from meshd.cli.plugin.types import load_registry
    name = name or directory.absolute().name
    project = Project(
        name=name, licence=licence, author=author or f"the authors of {name}",
        description=description or DESCRIPTION, year=datetime.date.today().year)
    project.check_free(load_registry())
    try:
        files = project.write(directory)
    except OSError as error:
        raise click.ClickException(f"{error.filename or directory}: {(error.strerror or str(error)).lower()}") from None
    click.echo("".join(f"{directory / file}\n" for file in files), nl=False)
    click.echo(NEXT.format(folder=directory), nl=False, err=True)
