"""A service manager in a few lines: runs a command, again whenever it dies, until it ends with 0 or is told to end.

``Daemon(..., prefix=MANAGED)`` runs the daemon under it; ``managed(daemon)`` is the process id of the one that runs.
"""

import signal
import subprocess
import sys
import time

MANAGED = (sys.executable, "-S", __file__)
RESTART_S = 0.1
"""systemd's default of RestartSec=."""


def managed(daemon):
    """Return the process id of what the manager runs now, or None between two lives."""
    pid = daemon.process.pid
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        children = file.read().split()
    return int(children[0]) if children else None


def main(command):
    """Run it; return its last exit code."""
    is_told = []

    def tell(number, frame):
        is_told.append(number)
        process.terminate()

    process = subprocess.Popen(command)
    signal.signal(signal.SIGTERM, tell)
    while (code := process.wait()) and not is_told:
        time.sleep(RESTART_S)
        process = subprocess.Popen(command)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
