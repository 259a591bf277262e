"""What systemd is to a service: a datagram socket that is read, with the descriptors that come along."""

import os
import select
import shutil
import socket
import tempfile
import time


class Systemd:
    """``address`` is for NOTIFY_SOCKET. ``abstract``: a name without a file."""

    def __init__(self, abstract=False):
        self.folder = tempfile.mkdtemp(prefix="meshd-notify-")
        path = os.path.join(self.folder, "notify")
        self.address = f"@{path}" if abstract else path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind("\0" + path if abstract else path)
        self.seen = []
        self.stored = {}

    def read(self):
        """Take in what has come; return all messages so far, each a dict."""
        while True:
            try:
                data, ancillary, _, _ = self.socket.recvmsg(65536, socket.CMSG_SPACE(64))
            except BlockingIOError:
                return self.seen
            fields = dict(line.split("=", 1) for line in data.decode().split("\n"))
            self._keep(fields, ancillary)
            self.seen.append(fields)

    def _keep(self, fields, ancillary):
        """Keep stored sockets as systemd does."""
        for _, _, data in ancillary:
            sock = socket.socket(fileno=int.from_bytes(data[:4], "little"))
            known = {os.fstat(one.fileno()).st_ino for one in self.stored.values()}
            if "FDSTORE" in fields and os.fstat(sock.fileno()).st_ino not in known:
                self.stored[fields["FDNAME"]] = sock
            else:
                sock.close()
        if "FDSTOREREMOVE" in fields:
            self.stored.pop(fields["FDNAME"]).close()

    def wait(self, condition, what, limit_s=30.0):
        """Read until ``condition(messages)`` is true, and return what it is."""
        until = time.monotonic() + limit_s
        while not (found := condition(self.read())):
            left_s = until - time.monotonic()
            assert left_s > 0, f"waited {limit_s} s for {what}: {self.seen}"
            select.select([self.socket], [], [], left_s)
        return found

    def close(self):
        """Be gone."""
        self.socket.close()
        for sock in self.stored.values():
            sock.close()
        shutil.rmtree(self.folder, ignore_errors=True)
