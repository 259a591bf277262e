"""``meshctl completion``: the script that makes a shell complete the verbs and options of meshctl or meshd."""

import click

from meshd.cli.share.completion import PROGRAMS, SHELLS, script


@click.command(short_help="Print the completion script of a shell.",
               epilog="\b\nexamples:\n  source <(meshctl completion bash)\n"
               "  source <(meshctl completion bash meshd)\n"
               "  meshctl completion zsh > ~/.zfunc/_meshctl\n"
               "  meshctl completion fish > ~/.config/fish/completions/meshctl.fish")
@click.argument("shell", type=click.Choice(SHELLS))
@click.argument("program", type=click.Choice(PROGRAMS), default=PROGRAMS[0])
def completion(shell: str, program: str) -> None:
    """Print the completion script of a shell, for meshctl or for meshd."""
    click.echo(script(program, shell), nl=False)
