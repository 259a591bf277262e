"""``python -m meshd.supervisor JSON``: what ``meshd`` executes itself as where more than one worker is wanted."""

import json
import os
import signal
import sys
import time

from meshd.host import activation
from meshd.host.handover import Testament
from meshd.host.launch import Launch
from meshd.host.notify import Notify
from meshd.supervisor.log import Log
from meshd.supervisor.loop import Loop
from meshd.supervisor.supervisor import Supervisor


def main(arguments: list[str]) -> int:
    """Supervise until the end; return the exit code."""
    told = json.loads(arguments[0])
    log = Log(told["log_level"], told["log_format"], time.time)
    loop = Loop(log.bug, time.monotonic, time.time)
    launch = Launch(
        tuple(told["argv"]), Testament.read(os.environ), Notify.take(os.environ), activation.take(os.environ))
    supervisor = Supervisor(loop, log, told, launch)
    supervisor.begin()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    loop.run()
    supervisor.lineage.hold_signals()
    if supervisor.lineage.heir is not None:
        loop.take_signals()  # those that came before they were held: they are the heir's
    supervisor.lineage.wait()
    return supervisor.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
