"""An upstream that says back what it was asked, so that a wrong answer is seen. One thread, a process of its own.

A request with a body gets that body, one without gets its own target; what begins with /slow gets it after SLOW_S. An
upgrade is agreed to, and from then on every byte is sent back. Run as a script it is the server and prints its port.
"""

import collections
import re
import select
import socket
import subprocess
import sys
import time

SLOW_S = 0.1
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.I)
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.I)
UPGRADE = re.compile(rb"\r\nupgrade: *websocket", re.I)
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n"


def chunks(data, begin):
    """Return (body, where it ends) of a whole chunked body from ``begin`` on, or (None, begin)."""
    parts, place = [], begin
    while True:
        end = data.find(b"\r\n", place)
        if end < 0:
            return None, begin
        size = int(data[place:end].split(b";")[0], 16)
        place = end + 2
        if len(data) < place + size + 2:
            return None, begin
        if not size:
            return b"".join(parts), place + 2
        parts.append(bytes(data[place:place + size]))
        place += size + 2


class Client:
    """One accepted connection."""

    def __init__(self, sock):
        self.sock = sock
        self.data = bytearray()
        self.out = bytearray()
        self.head = b""
        self.is_tunnel = False
        self.is_over = False

    def take(self, server):
        """Answer all that is whole."""
        while self.data:
            if self.is_tunnel:
                self.out += self.data
                self.data.clear()
                return
            if not self.head and not self._take_head():
                return
            body = self._take_body()
            if body is None:
                return
            self._answer(body, server)

    def _take_head(self):
        end = self.data.find(b"\r\n\r\n")
        if end >= 0:
            self.head = bytes(self.data[:end + 4])
            del self.data[:end + 4]
        return end >= 0

    def _take_body(self):
        if CHUNKED.search(self.head):
            body, end = chunks(self.data, 0)
        else:
            length = LENGTH.search(self.head)
            end = int(length[1]) if length else 0
            body = bytes(self.data[:end]) if len(self.data) >= end else None
        if body is not None:
            del self.data[:end]
        return body

    def _answer(self, body, server):
        head, self.head = self.head, b""
        target = head.split(b" ", 2)[1]
        if UPGRADE.search(head):
            self.is_tunnel = True
            self.out += SWITCH
            return
        body = body if head.startswith(b"POST") else target
        answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        if target.startswith(b"/slow"):
            server.late.append((time.monotonic() + SLOW_S, self, answer))
        else:
            self.out += answer


class Server:
    """Accepts and answers, for ever."""

    def __init__(self, host="127.0.0.1", port=0):
        self.listener = socket.create_server((host, port), backlog=4096)
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.late = collections.deque()
        self._poll = select.epoll()
        self._poll.register(self.listener, select.EPOLLIN)
        self._clients = {}

    def run(self):
        """Serve."""
        while True:
            wait = max(0.0, self.late[0][0] - time.monotonic()) if self.late else None
            for number, mask in self._poll.poll(wait):
                if number == self.listener.fileno():
                    self._accept()
                else:
                    self._serve(self._clients[number], mask)
            while self.late and self.late[0][0] <= time.monotonic():
                _, client, answer = self.late.popleft()
                client.out += answer
                self._flush(client)

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except BlockingIOError:
                return
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._clients[sock.fileno()] = Client(sock)
            self._poll.register(sock, select.EPOLLIN)

    def _serve(self, client, mask):
        if mask & ~select.EPOLLOUT:
            try:
                data = client.sock.recv(262144)
            except OSError:
                data = b""
            if not data:
                self._close(client)
                return
            client.data += data
            client.take(self)
        self._flush(client)

    def _flush(self, client):
        if client.is_over:
            return
        try:
            while client.out:
                del client.out[:client.sock.send(client.out)]
        except BlockingIOError:
            pass
        except OSError:
            self._close(client)
            return
        self._poll.modify(client.sock, select.EPOLLIN | (select.EPOLLOUT if client.out else 0))

    def _close(self, client):
        client.is_over = True
        del self._clients[client.sock.fileno()]
        client.sock.close()


class Echo:
    """The process; ``address`` is where it listens. ``kill`` and ``start`` again keep the address.

    ``prefix`` is a command before its own (``ip netns exec``, say), ``host`` the address that it binds there; with
    0.0.0.0 all of 127.0.0.0/8 is the same upstream.
    """

    def __init__(self, host="127.0.0.1", prefix=()):
        self.host = host
        self.prefix = prefix
        from tests.integration.process import free_port  # not above: as a script this file stands alone

        self.port = free_port()
        self.start()

    @property
    def address(self):
        """HOST:PORT."""
        return f"{self.host}:{self.port}"

    def start(self):
        """Serve, where it did before."""
        command = [*self.prefix, sys.executable, "-S", __file__, self.host, str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())

    def kill(self):
        """Kill -9."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.kill()


if __name__ == "__main__":
    server = Server(sys.argv[1], int(sys.argv[2]))
    print(server.port, flush=True)
    try:
        server.run()
    except KeyboardInterrupt:
        pass
