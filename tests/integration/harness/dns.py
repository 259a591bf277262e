"""A DNS server in a thread, on UDP and TCP of one loopback port, that answers as a test tells it to."""

import contextlib
import socket
import struct
import threading

from twisted.names import dns

SILENT, SERVFAIL, NXDOMAIN, REFUSED, TRUNCATED = "silent", "servfail", "nxdomain", "refused", "truncated"
EMPTY = "empty"
CODES = {SERVFAIL: dns.ESERVER, NXDOMAIN: dns.ENAME, REFUSED: dns.EREFUSED}
TYPES = {dns.A: "A", dns.AAAA: "AAAA", dns.SRV: "SRV"}


class ScriptedDns:
    """``answers[name, "A"]`` is a list of addresses (of (priority, weight, port, target) for SRV) or a word from above;
    a name that is not there does not exist, a type that is not there has no records. ``trouble`` goes before all.

    ``asked`` are (name, type, "udp" or "tcp") of all queries.
    """

    def __init__(self, ttl=60):
        self.answers = {}
        self.ttl = ttl
        self.trouble = None
        self.on_query = None
        self.asked = []
        self.tcp, self.udp = self._bind()
        self.address = "127.0.0.1:%d" % self.udp.getsockname()[1]
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._serve_udp, self._serve_tcp)]
        for thread in self._threads:
            thread.start()

    @staticmethod
    def _bind():
        while True:
            tcp = socket.create_server(("127.0.0.1", 0))
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                udp.bind(tcp.getsockname())
                return tcp, udp
            except OSError:
                tcp.close()
                udp.close()

    def close(self):
        for one in (self.udp, self.tcp):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def count(self, name, kind="A"):
        return sum(one[:2] == (name, kind) for one in list(self.asked))

    def _serve_udp(self):
        with contextlib.suppress(OSError):
            while True:
                data, peer = self.udp.recvfrom(4096)
                if not peer:
                    return
                reply = self._reply(data, "udp")
                if reply is not None:
                    self.udp.sendto(reply, peer)

    def _serve_tcp(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.tcp.accept()
                threading.Thread(target=self._serve_one, args=(connection,), daemon=True).start()

    def _serve_one(self, connection):
        with connection, contextlib.suppress(OSError, struct.error), connection.makefile("rb") as reader:
            while True:
                (size,) = struct.unpack("!H", reader.read(2))
                reply = self._reply(reader.read(size), "tcp")
                if reply is not None:
                    connection.sendall(struct.pack("!H", len(reply)) + reply)

    def _reply(self, data, way):
        message = dns.Message()
        message.fromStr(data)
        name, kind = message.queries[0].name.name.decode(), TYPES.get(message.queries[0].type, "?")
        self.asked.append((name, kind, way))
        if self.on_query is not None:
            self.on_query(self)
        found = self.trouble or self.answers.get((name, kind))
        if found is None:
            found = [] if any(one == name for one, _ in self.answers) else NXDOMAIN
        if found == SILENT:
            return None
        message.answer, message.recAv = True, True
        if found == EMPTY:
            found = []
        if isinstance(found, tuple) and found[0] == TRUNCATED:
            message.trunc, found = way == "udp", [] if way == "udp" else found[1]
        if isinstance(found, str):
            message.rCode = CODES[found]
        else:
            message.answers = [self._record(name, kind, one) for one in found]
        return message.toStr()

    def _record(self, name, kind, value):
        if kind == "SRV":
            payload = dns.Record_SRV(*value[:3], value[3], ttl=self.ttl)
        else:
            payload = dns.Record_A(value, self.ttl) if kind == "A" else dns.Record_AAAA(value, self.ttl)
        return dns.RRHeader(name, payload.TYPE, dns.IN, self.ttl, payload)
