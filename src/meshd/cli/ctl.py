"""The command ``meshctl``: its verbs, found only when they are used; talks to the daemon's admin API."""

import importlib
import sys
from typing import Any

import click

from meshd.cli import code
from meshd.cli.client import AdminError
from meshd.cli.ctl_option import AdminAddress

VERBS = {
    "status": "meshd.cli.ctl_status:status",
    "reload": "meshd.cli.ctl_reload:reload",
    "upgrade": "meshd.cli.ctl_reload:upgrade",
    "analyze": "meshd.cli.ctl_analyze:analyze",
    "convert": "meshd.cli.ctl_convert:convert",
    "stats": "meshd.cli.ctl_stats:stats",
    "proxy-config": "meshd.cli.ctl_proxy_config:proxy_config",
    "explain": "meshd.cli.ctl_explain:explain",
    "certs": "meshd.cli.ctl_certs:certs",
    "discovery": "meshd.cli.ctl_discovery:discovery",
    "gateway-api": "meshd.cli.ctl_gateway_api:gateway_api",
    "capture": "meshd.cli.ctl_capture:capture",
    "plugins": "meshd.cli.ctl_plugins:plugins",
    "version": "meshd.cli.ctl_version:version",
    "completion": "meshd.cli.ctl_completion:completion",
}
ALIASES = {"pc": "proxy-config", "ps": "status"}

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110}

EPILOG = """\b
examples:
  meshctl status                               how the daemon is, and its last reload
  meshctl reload                               reload; exit 1 and the faults where it is rejected
  meshctl upgrade                              hand over to a new generation, with what is installed now
  meshctl analyze mesh.d/                      what is wrong or doubtful in files; no daemon is asked
  meshctl convert mesh.d/                      the same as native configuration; --to istio for the way back
  meshctl stats --filter upstream_rq -o json   numbers, for scripts
  meshctl pc endpoint                          endpoints and their health
  meshctl certs                                certificates in use, and when they expire
  meshctl discovery users                      what a cluster's source of endpoints has now
  meshctl explain GET http://shop.test/users   what would happen to a request, and why
  meshctl capture enable --confirm-within 60s  lead this machine's connections through meshd
  meshctl pc log --level meshd.plugin=debug    log more, without a restart
  meshctl --admin unix:/run/meshd/admin.sock status

\b
exit codes: 0 success   1 could not do it   64 usage   65 files have faults   79 analysis has findings
"""


class Verbs(click.Group):
    """Loads a verb's module when it is used; verbs of plugins (kind ``meshctl_verb``) stand beside the shipped ones."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all verbs (click.Group)."""
        return [*VERBS, *(name for name in _plugin_verbs() if name not in VERBS)]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return the verb ``name`` (click.Group)."""
        name = ALIASES.get(name, name)
        if name in VERBS:
            module, _, attribute = VERBS[name].partition(":")
            return getattr(importlib.import_module(module), attribute)
        found = _plugin_verbs().get(name)
        return None if found is None else found.build(None, None).command()


_found: dict[str, Any] = {}


def _plugin_verbs() -> dict[str, Any]:
    """Return the plugin types of kind ``meshctl_verb`` by name."""
    if not _found:
        from meshd.registry import Registry
        registry = Registry.load()
        _found.update({name: registry.type("meshctl_verb", name) for name in registry.names("meshctl_verb")})
    return _found


@click.group(cls=Verbs, epilog=EPILOG, context_settings=SETTINGS)
@click.option("--admin", metavar="ADDRESS", type=AdminAddress(), envvar="MESHD_ADMIN",
              help="admin API: HOST:PORT or unix:PATH (MESHD_ADMIN; default 127.0.0.1:15000).")
@click.option("--timeout", type=click.FloatRange(0.1, 3600), default=30.0, show_default=True,
              metavar="SECONDS", help="seconds to wait for an answer.")
@click.option("--debug", is_flag=True, help="show the traceback of an unexpected error.")
@click.pass_context
def root(ctx: click.Context, **options: Any) -> None:
    """See and steer a meshd daemon through its admin API."""
    ctx.obj = options


def main(argv: list[str] | None = None) -> int:
    """Run ``meshctl`` and return its exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    try:
        result = root.main(arguments, prog_name="meshctl", standalone_mode=False)
        return result if isinstance(result, int) else code.OK
    except click.UsageError as error:
        error.show()
        return code.USAGE
    except click.ClickException as error:
        return _say(f"meshctl: {error.format_message()}")
    except (click.Abort, KeyboardInterrupt):
        return code.FAILED
    except BrokenPipeError:
        return _hush()
    except AdminError as error:
        return _say(f"meshctl: {error}")
    except Exception as error:
        if "--debug" in arguments:
            raise
        line = " ".join(f"{type(error).__name__}: {error}".split())
        return _say(f"meshctl: unexpected error: {line}\nhelp: run it again with --debug and report what it shows")


def _say(text: str) -> int:
    sys.stderr.write(text + "\n")
    return code.FAILED


def _hush() -> int:
    """The reader of our output has gone: leave nothing to be flushed to it."""
    import os
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return code.FAILED


if __name__ == "__main__":
    sys.exit(main())
