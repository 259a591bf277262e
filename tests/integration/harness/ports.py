"""Servers that say on which port they were asked: for tests of which endpoint was picked."""

import socket
import threading

ANSWER = b"HTTP/1.1 200 OK\r\nx-port: %d\r\ncontent-length: 0\r\n\r\n"


class Ports:
    """A server for each of some ports; every answer says which it was."""

    def __init__(self, count):
        self.servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
        self.ports = [server.getsockname()[1] for server in self.servers]
        for server in self.servers:
            threading.Thread(target=self.accept, args=(server,), daemon=True).start()

    def accept(self, server):
        """Serve every connection in a thread of its own."""
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection, server.getsockname()[1]), daemon=True).start()

    def serve(self, connection, port):
        """Answer each head (there are no bodies)."""
        waiting = b""
        with connection:
            while data := connection.recv(65536):
                waiting += data
                while b"\r\n\r\n" in waiting:
                    waiting = waiting.partition(b"\r\n\r\n")[2]
                    connection.sendall(ANSWER % port)

    def close(self):
        """Serve no more."""
        for server in self.servers:
            server.shutdown(socket.SHUT_RDWR)
            server.close()
