"""``meshd`` without ``--check``: loads the configuration, installs the reactor, and runs the service to its end."""

import faulthandler
import gc
import json
import os
import resource
import secrets
import signal
import sys
import threading
import time
from typing import Any

import attrs

from meshd.cli import code, terminal
from meshd.cli.check import Checked
from meshd.cli.daemon import DEBUG_HELP
from meshd.cli.log import Log
from meshd.config.outline import worker_count
from meshd.config.transfer import Writer
from meshd.config.wire import KEY_BYTES
from meshd.host import activation, handover, notify, warm
from meshd.host.handover import Testament
from meshd.host.launch import Launch
from meshd.host.notify import Notify
from meshd.hot.ledger import LOCKING
from meshd.overload import heap
from meshd.tls import odd_name

UMASK = 0o027


@attrs.frozen
class Inheritance:
    """What the main process finds in its environment: systemd's socket and its sockets. No plugin is to see it."""

    notify: Notify
    handed: activation.Activation
    variables: dict[str, str]

    @classmethod
    def take(cls, environment: Any) -> "Inheritance":
        """Take it out of the environment."""
        names = (notify.SOCKET, notify.WATCHDOG, notify.WATCHDOG_PID, *activation.VARIABLES)
        variables = {name: environment[name] for name in names if name in environment}
        return cls(Notify.take(environment), activation.take(environment), variables)

    def give_back(self, environment: Any) -> None:
        """Leave it to the program that this process is about to execute."""
        environment.update(self.variables)
        for _, sock in self.handed.sockets:
            sock.set_inheritable(True)


def run(arguments: Any) -> int:
    """Run the daemon; return its exit code."""
    inherited = Inheritance.take(os.environ)
    checked = Checked(arguments.config, builds=False)
    if not checked.is_valid:
        first = next((one for one in checked.faults if one.is_blocking), "bad configuration")
        inherited.notify.status(f"could not start: {first}")
        Testament.read(os.environ).say(f"its configuration has faults: {first}")
        _show(checked.faults, len(checked.files), checked.duration_s, arguments)
        return code.CONFIG
    os.umask(os.umask(UMASK) | UMASK)  # a unit's may be stricter
    raise_limits()
    checked.ages.keep()
    if worker_count(checked.loaded.snapshot) > 1:
        supervise(arguments, checked, inherited)
    log = Log(arguments.log_level, arguments.log_format)
    log.begin()
    return Run(install_reactor(), checked, arguments, log, inherited).run()


def install_reactor() -> Any:
    """Return the process's reactor, and prepare the process for it."""
    heap.keep()
    odd_name.keep_quiet()
    faulthandler.enable()  # systemd's watchdog ends a hung process by SIGABRT: the journal then shows where it hung
    from twisted.internet import epollreactor
    epollreactor.install()
    from twisted.internet import reactor
    reactor.seconds = time.monotonic  # Twisted's own would stand still, or race, where the wall clock is set
    return reactor


def _show(faults: tuple, files: int, duration_s: float, arguments: Any) -> None:
    from meshd.config import render
    outcome = render.Outcome(faults=faults, files=files, duration_s=duration_s)
    sys.stderr.write(render.render_text(outcome, colour=terminal.wants_color(arguments.color, sys.stderr)))


def raise_limits() -> None:
    """Allow as many descriptors as the system lets us, and no core files: they would hold keys and requests."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def supervise(arguments: Any, checked: Checked, inherited: Inheritance) -> None:
    """Become the supervisor of several workers: a small process that imports the standard library alone."""
    told = {
        "paths": arguments.config, "argv": arguments.argv, "log_level": arguments.log_level,
        "log_format": arguments.log_format, "workers": worker_count(checked.loaded.snapshot),
        "settings": attrs.asdict(checked.loaded.snapshot.plugins), "locking": LOCKING,
    }
    told["reading"] = _reading(checked)
    checked.forget()  # what is forked below would keep it for ever, beside what it is told
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # none may be lost, or kill, before it listens
    sys.stderr.flush()
    told["warm"] = _warm_up(told["workers"])
    inherited.give_back(os.environ)  # not before: the workers are to know nothing of it
    os.execv(sys.executable, [sys.executable, "-P", "-m", "meshd.supervisor", json.dumps(told)])


def _warm_up(count: int) -> list[list[int]]:
    """Fork the first workers off this process once it has imported what they need.

    None where a plugin's import has started a thread: a forked process would not have it.
    """
    from meshd.cli import worker
    from meshd.service import worker as _imported  # noqa: F401
    if threading.active_count() > 1:
        return []
    gc.freeze()  # a collection in a worker would copy every page that it looks at

    def work(told: dict[str, Any]) -> int:
        os.environ.pop(handover.VARIABLE, None)  # for the supervisor, which reads it after this
        return worker.work(told)

    return [warm.fork(work) for _ in range(count)]


def _reading(checked: Checked) -> dict[str, Any]:
    """Write what was read into memory, as the reader's child would tell it; return its key and descriptor."""
    key, memory = secrets.token_bytes(KEY_BYTES), os.memfd_create("meshd-configuration", 0)
    with os.fdopen(memory, "wb", closefd=False) as file:
        Writer(key, file.write).loaded(checked.loaded)
    return {"key": key.hex(), "fd": memory}


class Run:
    """One life of the daemon on a reactor."""

    def __init__(self, reactor: Any, checked: Checked, arguments: Any, log: Log, inherited: Inheritance) -> None:
        from meshd.service.daemon import Daemon
        self.code = code.OK
        self._is_ending = False
        self._reactor = reactor
        self._arguments = arguments
        self._log = log
        self._faults = checked.faults
        self._testament = Testament.read(os.environ)
        launch = Launch(tuple(arguments.argv), self._testament, inherited.notify, inherited.handed)
        self._daemon = Daemon(
            reactor, checked.loaded, checked.registry, arguments.config, log_levels=log, on_end=self._end,
            launch=launch)

    def run(self) -> int:
        """Run the reactor until the daemon has ended."""
        from meshd.service import signals
        signals.install(self._reactor, self._daemon)
        self._reactor.callWhenRunning(self._begin)
        self._reactor.run()
        self._daemon.lineage.wait()
        return self.code

    def _begin(self) -> None:
        from twisted.internet.defer import maybeDeferred

        from meshd.service import signals
        signals.install(self._reactor, self._daemon)  # again: the reactor has set its own
        self._warn()
        maybeDeferred(self._daemon.begin).addErrback(self._failed)

    def _warn(self) -> None:
        """Log what the check has found, and leaves that do not fit their source."""
        from twisted.logger import Logger

        from meshd.hot import stale
        from meshd.service.finding import log_findings
        log = Logger(namespace="meshd")
        log_findings(log, self._faults)
        for name in stale():
            log.warn("leaf {name}: its library does not fit its source: expected it to be built again", name=name)

    def _failed(self, failure: Any) -> None:
        """The start failed: say why in the words of the command line, and end."""
        from meshd.errors import ConfigurationError, MeshdError
        from meshd.service.daemon import Failed
        error = failure.value
        self._testament.say(str(error) or type(error).__name__)
        self._daemon.systemd.failed(str(error))
        is_configuration = isinstance(error, ConfigurationError) or getattr(error, "is_configuration", False)
        self.code = code.CONFIG if is_configuration else code.FAILED
        if getattr(error, "faults", ()):
            _show(error.faults, len(self._arguments.config), 0.0, self._arguments)
        elif isinstance(error, Failed | MeshdError | OSError):
            sys.stderr.write(f"meshd: {error.strerror if isinstance(error, OSError) and error.strerror else error}\n")
        elif self._arguments.debug:
            failure.printTraceback(sys.stderr)
        else:
            line = " ".join(f"{type(error).__name__}: {error}".split())
            sys.stderr.write(f"meshd: unexpected error: {line}\n{DEBUG_HELP}\n")
        self._end()

    def _end(self) -> None:
        from twisted.internet.defer import maybeDeferred
        if not self._is_ending:
            self._is_ending = True
            maybeDeferred(self._daemon.stopService).addBoth(self._stop)

    def _stop(self, result: Any) -> None:
        self._daemon.lineage.hold_signals()
        self._reactor.callFromThread(self._finish)  # behind the signals that have been posted: they are the heir's

    def _finish(self) -> None:
        self._daemon.end()
        self._reactor.stop()
