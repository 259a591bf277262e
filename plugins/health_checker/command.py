"""The health checker ``exec``: a command of this machine that ends with 0; for the local workload's probe.

The command is looked after now and then (a few times at first, then ten times a second), never waited for.
"""

import contextlib
import os
import signal
import subprocess

from twisted.internet.defer import Deferred
from zope.interface import implementer

from meshd.api import Checked, IHealthChecker, ListOf, Text, config, option

MAX_BYTES = 512
"""So much of what it writes is kept, for the reason; the rest is thrown away."""
LOOK_S = 0.005
LOOK_MOST_S = 0.1
PIECE_BYTES = 65536
PIECES = 16


@config
class ExecCheckOptions:
    """What is run (Kubernetes' ExecAction)."""

    command: tuple[str, ...] = option(
        ListOf(item=Text(minimum=1), minimum=1, maximum=100), doc="program and arguments, without a shell, in /")


@implementer(IHealthChecker)
class ExecChecker:
    """Runs the command; at the timeout it is killed, and what it started in its process group."""

    def __init__(self, options, site):
        self._command = options.command
        self._environment = dict(site.environment)
        self._later = site.clock.call_later

    def check(self, endpoint):
        """Return a Deferred of Checked."""
        running = Running(self._later)
        running.begin(self._command, self._environment)
        return running.answer


class Running:
    """The command while it runs, in a session of its own."""

    def __init__(self, later):
        self.answer = Deferred(lambda _: self._kill())
        self._later = later
        self._process = None
        self._output = b""
        self._wait_s = LOOK_S

    def begin(self, command, environment):
        """Start it; what cannot be run is a failed check."""
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/",
                env=environment, start_new_session=True)
        except OSError as error:
            self._finish(Checked(is_well=False, reason=f"cannot be run: {(error.strerror or 'unknown').lower()}"))
            return
        os.set_blocking(self._process.stdout.fileno(), False)
        self._later(self._wait_s, self._look)

    def _look(self):
        """See whether it has ended."""
        self._read()
        status = self._process.poll()
        if status is None:
            self._wait_s = min(self._wait_s * 2, LOOK_MOST_S)
            self._later(self._wait_s, self._look)
            return
        self._read()
        self._process.stdout.close()
        said = self._output.decode("utf-8", "replace").strip().splitlines()
        how = f"exit code {status}" if status >= 0 else f"signal {-status}"
        self._finish(Checked(is_well=status == 0, reason="" if status == 0 else ": ".join([how, *said[:1]])))

    def _read(self):
        """Take what it has written, so that it need not wait."""
        with contextlib.suppress(BlockingIOError):
            for _ in range(PIECES):
                data = os.read(self._process.stdout.fileno(), PIECE_BYTES)
                if not data:
                    return
                self._output = (self._output + data)[:MAX_BYTES]

    def _kill(self):
        """It takes too long; ``_look`` goes on until it is gone."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _finish(self, found):
        if not self.answer.called:
            self.answer.callback(found)
