"""The command ``meshd``: reads its arguments, then checks the configuration or runs the service.

What is imported before it is known what to do is the standard library alone, so that a usage error is quick.
"""

import argparse
import os
import sys
from typing import Any, NoReturn

from meshd.cli import code, terminal

LOCAL_FILE = "etc/meshd.yaml"
SYSTEM_FILE = "/etc/meshd/meshd.yaml"
FORMS = ("text", "json", "github", "sarif")
LEVELS = ("debug", "info", "warn", "error")

DEBUG_HELP = "help: run it again with --debug and report what it shows"

EXAMPLES = """\
examples:
  meshd                                  run with etc/meshd.yaml, or else /etc/meshd/meshd.yaml
  meshd -c mesh.yaml -c conf.d/          run with a file and all files of a folder
  meshd --check -c mesh.yaml             show every fault of the configuration and bind nothing
  meshd --check -o github                the same as annotations of GitHub Actions
  meshd --check --strict --fail-on warning   for a pipeline: what is not in force fails, and every warning
  meshd --print-config                   show every value in use and where it came from
  meshd --schema > meshd.schema.json     JSON Schema for editors, with the sections of all installed plugins

signals:
  HUP reload   TERM, INT drain and exit (twice: at once)   USR1 reopen log files   USR2 dump state to the log

exit codes:
  0 success   1 could not do it   64 usage   65 --check found faults   78 configuration fault at start
  79 --check: analysis has findings as severe as --fail-on
"""


class Parser(argparse.ArgumentParser):
    """Ends with sysexits' code for a usage error."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where help is."""
        sys.stderr.write(f"meshd: {message}\nhelp: meshd --help\n")
        sys.exit(code.USAGE)


def make_parser() -> Parser:
    """Return the parser of ``meshd``."""
    parser = Parser(
        prog="meshd", description="The data plane of a service mesh: takes, filters, routes and balances traffic.",
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
    )
    parser.add_argument(
        "-c", "--config", action="append", metavar="FILE|DIR", default=None,
        help=f"configuration file or folder; may be repeated (default: {LOCAL_FILE} if it exists, else {SYSTEM_FILE})",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("-t", "--check", action="store_true",
                      help="check the configuration, bind nothing, exit 0, 65 or 79")
    what.add_argument("--print-config", action="store_true", help="print every value with its origin, secrets masked")
    what.add_argument("--schema", action="store_true", help="print the JSON Schema of the configuration file")
    what.add_argument("--version", action="store_true", help="print the version and which leaves are compiled")
    parser.add_argument("-o", "--output", choices=FORMS, default="text", help="form of --check")
    parser.add_argument("--fail-on", choices=("info", "warning", "error"), default="error",
                        help="lowest severity of a finding that makes --check exit 79 (default: error)")
    parser.add_argument("--strict", action="store_true",
                        help="with --check: what is accepted and not in force, or not by Istio, is an error")
    parser.add_argument("--log-level", choices=LEVELS, default="info", help="lowest level logged (default: info)")
    parser.add_argument("--log-format", choices=("text", "json"), default="text", help="form of the log on stderr")
    parser.add_argument("--color", choices=terminal.COLOR_CHOICES, default="auto", help="colour in diagnostics")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an unexpected error")
    return parser


def default_paths() -> list[str]:
    """Return the configuration used without ``-c``."""
    return [LOCAL_FILE if os.path.exists(LOCAL_FILE) else SYSTEM_FILE]


def main(argv: list[str] | None = None) -> int:
    """Run ``meshd`` and return its exit code."""
    arguments = make_parser().parse_args(argv)
    arguments.argv = sys.argv[1:] if argv is None else argv
    arguments.config = arguments.config or default_paths()
    try:
        return _dispatch(arguments)
    except KeyboardInterrupt:
        return code.FAILED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader has gone: nothing is left to be flushed to it
        return code.FAILED
    except Exception as error:
        if arguments.debug:
            raise
        return _unexpected(error)


def _dispatch(arguments: Any) -> int:
    if arguments.version:
        from meshd.cli.version import text
        print(text())
        return code.OK
    if arguments.check or arguments.print_config or arguments.schema:
        from meshd.cli import check
        return check.run(arguments)
    from meshd.cli.run import run
    return run(arguments)


def _unexpected(error: Exception) -> int:
    from meshd.errors import MeshdError
    if isinstance(error, MeshdError):
        sys.stderr.write(f"meshd: {error}\n")
    else:
        line = " ".join(f"{type(error).__name__}: {error}".split())
        sys.stderr.write(f"meshd: unexpected error: {line}\n{DEBUG_HELP}\n")
    return code.FAILED


if __name__ == "__main__":
    sys.exit(main())
