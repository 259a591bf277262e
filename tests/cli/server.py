"""The admin site behind a real socket, for meshctl: a thread that passes each request to the memory transport."""

import socket
import threading

from tests.admin.wire import Wire


class AdminServer:
    """Serves ``daemon`` on a free port of loopback, or on a unix socket at ``path``."""

    def __init__(self, daemon, path=None):
        self.daemon = daemon
        if path is None:
            self.socket = socket.create_server(("127.0.0.1", 0))
            self.address = "127.0.0.1:{}".format(self.socket.getsockname()[1])
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(path)
            self.socket.listen()
            self.address = f"unix:{path}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self):
        """Serve no more."""
        self.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self.socket.close()

    def _serve(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            with client:
                data = b""
                while b"\r\n\r\n" not in data:
                    data += client.recv(65536)
                client.sendall(Wire(self.daemon).say(data))
