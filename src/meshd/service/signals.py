"""Signals as calls in the reactor's thread; installed by the command line.

A Python signal handler may run between any two bytecodes, so it only posts: ``callFromThread`` queues and wakes the
reactor. Handlers are set before the reactor runs (an early SIGHUP must not kill) and once more after, for its own.
"""

import signal
from typing import Any

from twisted.logger import Logger

log = Logger(namespace="meshd.signal")


def table(daemon: Any) -> dict[int, Any]:
    """Return what each signal does."""
    return {
        signal.SIGHUP: daemon.request_reload, signal.SIGTERM: daemon.quit, signal.SIGINT: daemon.quit,
        signal.SIGUSR1: daemon.reopen, signal.SIGUSR2: daemon.dump,
    }


def install(reactor: Any, daemon: Any) -> None:
    """Handle the signals of ``table`` from now on."""
    actions = table(daemon)

    def post(number: int, frame: Any) -> None:
        reactor.callFromThread(_act, actions[number], number)

    for number in actions:
        signal.signal(number, post)


def _act(action: Any, number: int) -> None:
    log.info("signal {name}", name=signal.Signals(number).name)
    action()
