"""``python -m meshd.cli.worker JSON``: one worker of a supervisor; nobody else starts it.

The JSON names the descriptor that leads to the supervisor, and what the command line of ``meshd`` said. Limits and
umask are the supervisor's.
"""

import json
import signal
import socket
import sys
from typing import Any

from meshd.cli import code
from meshd.cli.log import Log
from meshd.cli.run import install_reactor
from meshd.config.child import settings_of
from meshd.registry import Registry
from meshd.wire.cell import open_arena


class Run:
    """One life of a worker on a reactor."""

    def __init__(self, reactor: Any, told: dict[str, Any], log: Log) -> None:
        from meshd.service.worker import Worker
        self._reactor = reactor
        self._is_ending = False
        registry = Registry.load(settings_of(told["settings"]))
        sock = socket.socket(fileno=told["channel"])
        sock.set_inheritable(False)
        self.worker = Worker(
            reactor, None, registry, told["paths"], log_levels=log, on_end=self._end, sock=sock)

        self.worker.world.arena = open_arena(told["arena"], told["slot"])

    def run(self) -> int:
        """Run the reactor until the worker has ended."""
        self._reactor.callWhenRunning(self._begin)
        self._reactor.run()
        return code.OK

    def _begin(self) -> None:
        signal.signal(signal.SIGTERM, lambda *_: self._reactor.callFromThread(self.worker.recycle, "SIGTERM"))
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)  # the supervisor gets them
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        self.worker.begin()

    def _end(self) -> None:
        if not self._is_ending:
            self._is_ending = True
            done = self.worker.finish()
            done.addCallback(lambda _: self.worker.stopService() if self.worker.running else None)
            done.addBoth(self._stop)

    def _stop(self, result: Any) -> None:
        self.worker.end()
        self._reactor.stop()


def main(arguments: list[str]) -> int:
    """Work until the end; return the exit code."""
    return work(json.loads(arguments[0]))


def work(told: dict[str, Any]) -> int:
    """The same for a process that was forked off one that has imported everything."""
    log = Log(told["log_level"], told["log_format"])
    log.begin()
    return Run(install_reactor(), told, log).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
