"""A hand-over that is broken on purpose, from outside: one-file plugins that change a function of the daemon they are
loaded into. A loss test that does not fail with them proves nothing.
"""

FRAME = '''
from meshd.api import hookimpl

{body}

@hookimpl
def meshd_plugins():
    return []
'''

REBINDS_AT_RELOAD = '''
from meshd.downstream.listener import LiveListener

keep = LiveListener.replace

def replace(self, *given):
    """The port is free for a moment, as where a daemon binds anew."""
    result = keep(self, *given)
    self.world.poller.detach(self.socket.fileno())
    self.is_accepting = False
    self.socket.close()
    self.world.call_later(0.1, again, self)
    return result

def again(self):
    self.bind()
    self.start()

LiveListener.replace = replace
'''

CUTS_AT_RELOAD = '''
from meshd.downstream.listener import LiveListener

keep = LiveListener.replace

def replace(self, *given):
    """What is in flight is cut, as where a process is replaced without a drain."""
    result = keep(self, *given)
    self.cut()
    return result

LiveListener.replace = replace
'''

CUTS_AT_DRAIN = '''
from meshd.downstream.listener import LiveListener

drain = LiveListener.drain
LiveListener.drain = lambda self, deadline_s: (self.cut(), drain(self, deadline_s))[1]
'''

SILENT_AT_DRAIN = '''
from meshd.downstream.connection import Connection

complete = Connection.complete
draining = set()

def silently(self, exchange, is_whole):
    """Close after the answer, which did not say so. (The pure classes: compiled ones cannot be changed.)"""
    complete(self, exchange, is_whole)
    if self in draining and self.descriptor.is_open:
        self.close()

Connection.drain = lambda self: draining.add(self)
Connection.complete = silently
'''

BINDS_ANEW_AT_UPGRADE = '''
import socket
import time

from meshd.wire.sockets import Sockets

take = Sockets.take

def taken(self, name, address):
    """The socket that was handed over is thrown away with its queue, and nobody listens for a moment."""
    sock = take(self, name, address)
    if sock is not None:
        sock.shutdown(socket.SHUT_RDWR)
        sock.close()
        time.sleep(0.2)
    return None

Sockets.take = taken
'''


def sabotaged(folder, body):
    """Return the top of a configuration whose daemon is changed by ``body``; ``folder`` is a path of the test's own."""
    folder.chmod(0o755)
    path = folder / "sabotage.py"
    path.write_text(FRAME.format(body=body))
    path.chmod(0o644)
    return {"plugins": {"dir": str(folder)}}
