"""One TLS connection: a descriptor whose bytes are encrypted on the wire.

Strategy: OpenSSL works on two memory BIOs (``ssl.SSLObject``), which costs a third of what pyOpenSSL's and Twisted's
layers do for small records. It is a descriptor itself and not something above one, so a read or write makes no call
more than it must, and its owner cannot tell it from a plain one. Each read of the socket is decrypted whole, so nothing
readable ever waits in here; what is written in one batch becomes one record where it fits.

First it shakes hands, within the time that ``begin`` is told. Its owner, who then has to put another one in
its own place, hears ``secured(protocol)`` once, with the protocol that was agreed on (ALPN, "" for none), or
``lost(reason)``. The peer's close_notify is ``received_eof``; an end of the
socket without one is too, and sets ``is_cut``. Renegotiation is off (contexts see to that).
"""

import ssl
from typing import Any

from meshd.hot import io
from meshd.wire import nobody
from meshd.wire.descriptor import PUT_OFF_BYTES, Descriptor
from meshd.wire.poller import Poller
from meshd.wire.tls.security import Security

RECORD_BYTES = 16384
"""A record holds no more (RFC 8446 5.1)."""
ANSWERS = 64
"""Times in a row that a read made OpenSSL answer (a key update) while nothing can be written: then it ends."""


class TlsDescriptor(Descriptor):
    """``tls`` is the live settings' object (``meshd.wire.tls.live``); ``security`` says what was agreed on, None until
    then.
    """

    __slots__ = ("tls", "engine", "raw", "incoming", "outgoing", "is_ready", "is_shut", "keeps_session", "timer",
                 "unread", "timeout_s", "session_key")

    def __init__(self, fd: int, poller: Poller, owner: Any, tls: Any) -> None:
        Descriptor.__init__(self, fd, poller, owner)
        self.tls = tls
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.engine: Any = None
        self.raw: Any = None
        self.timer: Any = None
        self.unread = 0
        self.timeout_s = 0.0
        self.session_key: Any = None
        self.is_ready = self.is_shut = self.keeps_session = False

    def begin(self, engine: Any, timer: Any, timeout_s: float, early: bytes = b"") -> None:
        """Shake hands with ``engine``, made over our BIOs, when the peer says something; ``early`` has been read of the
        socket already. Who speaks first calls ``shake`` then.

        It may end, one way or the other, before this returns.
        """
        self.engine = engine
        self.raw = engine._sslobj  # to which it only passes calls on, each through an interpreter's frame
        self.timer = timer
        self.timeout_s = timeout_s
        timer.arm(self.poller.now + timeout_s)
        if early:
            self.incoming.write(early)
            self.shake()

    # The handshake

    def shake(self) -> None:
        """Go on with the handshake."""
        try:
            self.raw.do_handshake()
        except ssl.SSLWantReadError:
            self.put()
            return
        except ssl.SSLError as error:
            self.refuse(self.tls.on_error(error))
            return
        self.security = security = Security(self.engine, self.tls)
        reason = self.tls.judge(security)
        if reason:
            self.refuse(reason)
            return
        self.is_ready = True
        self.rest()
        self.owner.secured(security.alpn)
        self.put_off()
        if self.is_open and self.incoming.pending:
            self.decrypt()

    def put_off(self) -> None:
        """Write the end of the handshake with the first bytes that are sent, at the batch's end at the latest.

        Tickets too: a client without TCP_NODELAY would wait 40 ms for the acknowledgement that goes with them.
        """
        if self.queued is None and self.poller.beat and self.is_open and not self.pending:
            self.queued = b""
            self.poller.unsent.append(self)
        else:
            self.put()

    def refuse(self, reason: str) -> None:
        """End it, with the alert that OpenSSL has made."""
        self.put()
        self.fail(reason)

    def on_late(self, now: float) -> None:
        """The peer has not shaken hands in time."""
        self.fail(self.tls.on_late(self.timeout_s))

    def rest(self) -> None:
        """The handshake's time matters no more."""
        timer, self.timer = self.timer, None
        if timer is not None:
            nobody.rest(timer)

    # In

    def read(self) -> None:
        """Take what has come, once; the poller calls again while there is more."""
        try:
            data = io.recv(self.fd)
        except OSError as error:
            self.fail(error.strerror or "reset")
            return
        if data:
            self.last = self.poller.now
            self.incoming.write(data)
            if self.is_ready:
                self.decrypt()
            else:
                self.shake()
        elif data is not None:
            self.on_fin()

    def decrypt(self) -> None:
        """Give the owner what can be read."""
        raw, incoming = self.raw, self.incoming
        parts: Any = None
        plain = failure = b""
        is_end = False
        try:
            while True:
                data = raw.read(RECORD_BYTES)
                if not data:
                    is_end = True
                    break
                if not plain:
                    plain = data
                elif parts is None:
                    parts = [plain, data]
                else:
                    parts.append(data)
                if not incoming.pending:
                    break
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            is_end = True
        except ssl.SSLError as error:
            failure = self.tls.on_error(error)
        if self.outgoing.pending and self.queued is None:
            self.answer()
        if plain:
            if self.keeps_session:
                self.keeps_session = False
                self.tls.keep(self)
            self.owner.received(plain if parts is None else b"".join(parts))
        if failure:
            self.refuse(failure)
        elif is_end and self.is_open:
            self.over()

    def answer(self) -> None:
        """Send what OpenSSL answers by itself; a peer that makes us answer and reads nothing is given up."""
        self.put()
        self.unread = self.unread + 1 if self.pending else 0
        if self.unread > ANSWERS:
            self.fail("the peer asks without reading the answers")

    def on_fin(self) -> None:
        """The socket has ended without a close_notify."""
        if not self.is_ready:
            self.fail(self.tls.on_cut())
            return
        self.is_cut = True
        self.over()

    def over(self) -> None:
        """The peer will send nothing more."""
        self.doubt()
        self.end()

    def doubt(self) -> None:
        """It ends: where nothing has come, the session that it had offered is not offered again."""
        if self.keeps_session:
            self.keeps_session = False
            self.tls.give_up(self)

    # Out

    def send(self, data: bytes) -> None:
        """Encrypt ``data`` and write it now, or at the batch's end; nothing happens on a closed one."""
        if not self.is_open:
            return
        queued = self.queued
        if not queued:
            poller = self.poller
            if poller.beat and len(data) < PUT_OFF_BYTES and not self.pending:
                self.queued = data
                if queued is None:
                    poller.unsent.append(self)
                return
        else:
            data = queued + data
        self.queued = None
        self.encrypt(data)

    def write_queued(self) -> None:
        """Encrypt and write what was put off."""
        data = self.queued
        if data is not None:
            self.queued = None
            self.encrypt(data)

    def encrypt(self, data: bytes) -> None:
        """Make records of ``data``, and write what there is."""
        if not data or self.seal(data):
            self.put()

    def seal(self, data: bytes) -> bool:
        """Make records of ``data``; say whether that worked."""
        raw = self.raw
        try:
            count = raw.write(data)
            if count < len(data):
                view = memoryview(data)
                while count < len(data):
                    count += raw.write(view[count:])
        except ssl.SSLError as error:
            self.fail(self.tls.on_error(error))
            return False
        return True

    def put(self) -> None:
        """Write what OpenSSL has made."""
        data = self.outgoing.read()
        if not data:
            return
        if self.pending:
            self.pending.append(data)
            self.pending_bytes += len(data)
        elif self.is_open:
            self.write(data)

    # Ends

    def say_end(self) -> None:
        """Send what was put off and close_notify, once and together."""
        if self.is_shut or not self.is_ready or not self.is_open:
            self.write_queued()
            return
        data, self.queued = self.queued, None
        if data and not self.seal(data):
            return
        self.is_shut = True
        try:
            self.raw.shutdown()
        except (ssl.SSLError, OSError):
            pass  # wants the peer's, for which nobody waits
        self.put()

    def half_close(self) -> None:
        """Say that nothing more will be sent, once what is kept has been."""
        self.say_end()
        Descriptor.half_close(self)

    def close(self) -> None:
        """Close once what is kept has been written; ``is_open`` until then."""
        self.say_end()
        Descriptor.close(self)

    def abort(self) -> None:
        """Close at once with a reset, and without close_notify: a cut answer must not look whole."""
        self.write_queued()
        self.is_shut = True
        Descriptor.abort(self)

    def release(self) -> None:
        """Give the descriptor up, with a close_notify where it can be sent at once; the owner is told nothing."""
        if self.is_open and not self.is_shut and not self.pending:
            owner, self.owner = self.owner, nobody.NOBODY
            self.queued = None
            self.say_end()
            self.owner = owner
        if self.is_open:
            self.rest()
            Descriptor.release(self)

    def fail(self, reason: str) -> None:
        """The socket is broken, or TLS is: give it up and tell the owner."""
        self.is_shut = True
        self.doubt()
        Descriptor.fail(self, reason)
