"""How a main process was started: its arguments, what systemd gave it, what the generation before left."""

from typing import NamedTuple

from meshd.host.activation import NOTHING_HANDED, Activation
from meshd.host.handover import Testament
from meshd.host.notify import Notify


class Launch(NamedTuple):
    """``arguments`` are those of the command line, for an heir. A worker and a test have none of it."""

    arguments: tuple[str, ...] = ()
    testament: Testament = Testament({})
    notify: Notify = Notify()
    handed: Activation = NOTHING_HANDED
