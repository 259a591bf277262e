"""The files of ``contrib/share`` by their path there, which is also that below PREFIX/share."""

from meshd.cli.share import completion, man_config, man_ctl, man_daemon


def make_tree() -> dict[str, str]:
    """Return the text of each file by its path."""
    return {
        "man/man1/meshctl.1": man_ctl.make_page(),
        "man/man5/meshd.yaml.5": man_config.make_page(),
        "man/man8/meshd.8": man_daemon.make_page(),
        "bash-completion/completions/meshd": completion.daemon_script("bash"),
        "bash-completion/completions/meshctl": completion.ctl_script("bash"),
        "zsh/site-functions/_meshd": completion.daemon_script("zsh"),
        "zsh/site-functions/_meshctl": completion.ctl_script("zsh"),
        "fish/vendor_completions.d/meshd.fish": completion.daemon_script("fish"),
        "fish/vendor_completions.d/meshctl.fish": completion.ctl_script("fish"),
    }
