"""``meshctl completion``: the script that makes a shell complete its verbs and options."""

import click
from click.shell_completion import get_completion_class


@click.command(epilog="\b\nexamples:\n  source <(meshctl completion bash)\n"
               "  meshctl completion zsh > ~/.zfunc/_meshctl\n"
               "  meshctl completion fish > ~/.config/fish/completions/meshctl.fish")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell."""
    made = get_completion_class(shell)(ctx.find_root().command, {}, "meshctl", "_MESHCTL_COMPLETE")
    click.echo(made.source())
