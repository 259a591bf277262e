"""A relay of TCP that sits between two proxies and looks at what passes: nothing but records of TLS?"""

import contextlib
import socket
import threading

PIECE = 262144
HEAD = 5
TYPES = range(20, 25)
"""change_cipher_spec, alert, handshake, application_data, heartbeat (RFC 8446 5.1)."""
LONGEST = 16384 + 256
"""A record of TLS 1.3 with its padding and tag (RFC 8446 5.2)."""


class Records:
    """Reads one direction's records. ``count`` of them were whole; ``strange`` is what began like none, or empty."""

    def __init__(self):
        self.count, self.strange = 0, b""
        self._rest = b""

    def take(self, data):
        """Read on."""
        self._rest += data
        while len(self._rest) >= HEAD and not self.strange:
            size = int.from_bytes(self._rest[3:HEAD])
            if self._rest[0] not in TYPES or self._rest[1] != 3 or size > LONGEST:
                self.strange = self._rest[:64]
            elif len(self._rest) < HEAD + size:
                return
            else:
                self._rest = self._rest[HEAD + size:]
                self.count += 1


class Sniffer:
    """Goes to ``target``. ``port`` is where it listens, ``seen`` are the Records of all directions of connections."""

    def __init__(self, target):
        host, _, port = target.rpartition(":")
        self.target = (host, int(port))
        self.seen = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        with contextlib.suppress(OSError):
            while True:
                near = self.listener.accept()[0]
                far = socket.create_connection(self.target, 20)
                far.settimeout(None)
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one, other):
        records = Records()
        self.seen.append(records)
        how = socket.SHUT_RDWR  # of both, where one is reset
        with contextlib.suppress(OSError):
            while data := one.recv(PIECE):
                records.take(data)
                other.sendall(data)
            how = socket.SHUT_WR
        for sock in (other,) if how == socket.SHUT_WR else (one, other):
            with contextlib.suppress(OSError):
                sock.shutdown(how)

    def assert_tls_alone(self):
        """Fail where anything but TLS has passed, or nothing has."""
        assert [one.strange for one in self.seen if one.strange] == []
        assert sum(one.count for one in self.seen) > 10

    def close(self):
        """Take nobody any more."""
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()
