"""An admin socket that listens already: systemd's, or one that workers share; accepts for Twisted's transports.

Twisted's own ``adoptStreamPort`` would open a unix socket to everybody (mode 0666) and remove its file at the end,
though both are the business of who made it.
"""

import socket
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IListeningPort, IReadDescriptor
from zope.interface import implementer

ACCEPTS = 16
"""Connections taken in one turn."""


@implementer(IListeningPort, IReadDescriptor)
class HandedPort:
    """Owns ``sock``, which does not block; others may accept on it too. ``factory`` is a Twisted factory."""

    def __init__(self, reactor: Any, sock: socket.socket, factory: Any) -> None:
        self._reactor = reactor
        self._socket = sock
        self._factory = factory
        self._host = sock.getsockname()

    def startListening(self) -> None:
        """Accept from now on (IListeningPort)."""
        self._factory.doStart()
        self._reactor.addReader(self)

    def stopListening(self) -> None:
        """Accept no more; the file of a unix socket stays (IListeningPort)."""
        self._reactor.removeReader(self)
        self._socket.close()
        self._factory.doStop()

    def getHost(self) -> Any:
        """Return the address (IListeningPort)."""
        family = self._socket.family
        if family == socket.AF_UNIX:
            return UNIXAddress(self._host)
        return (IPv6Address if family == socket.AF_INET6 else IPv4Address)("TCP", *self._host)

    def fileno(self) -> int:
        """Return the descriptor (IFileDescriptor)."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """Return the name in logs (ILoggingContext)."""
        return "admin"

    def connectionLost(self, reason: Any) -> None:
        """The reactor ends (IFileDescriptor)."""

    def doRead(self) -> None:
        """Somebody wants in (IReadDescriptor)."""
        for _ in range(ACCEPTS):
            try:
                client, _address = self._socket.accept()
            except OSError:
                return  # another worker was quicker, or the client has gone, or descriptors are short for now
            client.setblocking(False)
            try:
                self._reactor.adoptStreamConnection(client.fileno(), client.family, self._factory)
            except OSError:
                pass  # the client has gone already
            finally:
                client.close()  # the reactor has a descriptor of its own
