"""Runs a command line in this process and takes what it writes."""

import contextlib
import io


def run(main, *arguments):
    """Return (exit code, stdout, stderr) of ``main([...])``."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(list(arguments))
        except SystemExit as ended:
            code = ended.code
    return code, out.getvalue(), err.getvalue()
