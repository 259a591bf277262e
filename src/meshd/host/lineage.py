"""Where a main process stands among the generations: the one before it, its heir, and who waits for all of them.

The daemon that is one process and the supervisor use it alike; how each waits for the heir's answer is their own.
"""

import os
import signal
import sys
from collections.abc import Mapping

from meshd.host import handover, waiter
from meshd.host.handover import Heir
from meshd.host.launch import Launch


class Lineage:
    """``testament`` is what this process got from the generation before.

    systemd, where it listens, follows the heir by itself; only without it somebody must wait.
    """

    def __init__(self, launch: Launch) -> None:
        self.heir: Heir | None = None
        self.starting: Heir | None = None
        self.testament = launch.testament
        self._arguments = launch.arguments
        self._notify = launch.notify
        self._main_read: int | None = None
        self._owed: set[int] = set()  # signals for the heir that starts, when it serves
        self._is_ending = False

    @property
    def refusal(self) -> str:
        """Why no heir can be started now, "" where one can."""
        if self._is_ending:
            return "upgrade: the daemon is draining"
        if self.heir is not None or self.starting is not None:
            return "upgrade: a new generation has been started already"
        if not self.testament.is_alone():
            return "upgrade: the generation before still drains: a reload follows when it has ended"
        return ""

    def start(self, sockets: handover.Listening, fds: Mapping[str, int | None]) -> Heir:
        """Start the heir, by whatever Python and meshd are installed now; raises OSError."""
        main, made = self.testament.fd("main"), -1
        if main is None and not self._notify.is_on:
            self._main_read, main = os.pipe2(os.O_CLOEXEC)
            made = main
        environment = {**os.environ, **self._notify.environment()}
        command = [sys.executable, "-P", "-m", "meshd.cli.daemon", *self._arguments]
        try:
            self.starting = handover.begin(command, sockets, {**fds, "main": main}, environment)
        except OSError:
            self._wait_for_nobody()
            raise
        finally:
            if made >= 0:
                os.close(made)
        return self.starting

    def answered(self) -> str:
        """The heir has said all, or is given up: return why it does not serve, "" where it does."""
        heir, self.starting = self.starting, None
        fault = heir.fault
        if not fault:
            heir.close()
            self.heir = heir
            for number in sorted(self._owed):
                self.signal(number)
        self._owed.clear()
        return fault

    def give_up(self, heir: Heir) -> None:
        """End an heir that does not serve. This generation stays in force, whatever that one has announced."""
        self.starting = None
        self._owed.clear()
        heir.give_up()
        waiter.announce(self.testament.fd("main"), os.getpid())
        self._wait_for_nobody()

    def _wait_for_nobody(self) -> None:
        if self._main_read is not None:
            os.close(self._main_read)
            self._main_read = None

    def signal(self, number: int) -> bool:
        """Pass a signal on to the heir; say whether one serves.

        An heir that starts is to end with us: it gets SIGTERM at once. Others it gets when it serves: what they ask for
        may have come too late for what it has read and opened.
        """
        if self.heir is not None:
            _kill(self.heir.pid, number)
            return True
        if number == signal.SIGTERM:
            self._is_ending = True
            if self.starting is not None:
                _kill(self.starting.pid, number)
        elif self.starting is not None:
            self._owed.add(number)
        return False

    def serves(self) -> None:
        """This generation serves: say so to the one before, and to the process that waits for all of them."""
        waiter.announce(self.testament.fd("main"), os.getpid())
        self.testament.say()

    def hold_signals(self) -> None:
        """With an heir: keep signals from now on until ``wait``, so that none is lost, or kills the process that waits.

        One that another thread of this process takes goes to the heir at once: no reactor will run again to do it.
        """
        if self.heir is None:
            return
        signal.pthread_sigmask(signal.SIG_BLOCK, waiter.PASSED_ON)
        for number in waiter.PASSED_ON:
            signal.signal(number, lambda number, _: self.signal(number))

    def wait(self) -> None:
        """After the drain of a first generation: become the process that waits for its heirs. Returns if not so.

        What has come since ``hold_signals`` goes to the heir.
        """
        if self.heir is None:
            return
        if self._main_read is None:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, waiter.PASSED_ON)
            return
        waiter.adopt_orphans()
        os.set_inheritable(self._main_read, True)
        os.execv(sys.executable, [
            sys.executable, "-P", "-m", "meshd.host.waiter", str(self.heir.pid), str(self._main_read)])


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
