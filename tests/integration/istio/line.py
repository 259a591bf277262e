"""The ``tcp-echo`` of Istio's tasks: each line comes back with a word before it."""

import socketserver
import threading


class Lines(socketserver.ThreadingTCPServer):
    """``word`` is what it puts before each line; ``port`` where it listens."""

    allow_reuse_address = daemon_threads = True
    request_queue_size = 256

    def __init__(self, word):
        super().__init__(("127.0.0.1", 0), Handler)
        self.word = word.encode()
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def __exit__(self, *error):
        self.shutdown()
        super().__exit__(*error)


class Tunnels(Lines):
    """A proxy in front of it, which is asked by CONNECT first; ``asked`` are the request lines."""

    def __init__(self, word):
        self.asked = []
        super().__init__(word)


class Handler(socketserver.StreamRequestHandler):
    """One connection."""

    def handle(self):
        if isinstance(self.server, Tunnels):
            self.server.asked.append(self.rfile.readline().strip().decode())
            while self.rfile.readline().strip():
                pass
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for line in self.rfile:
            self.wfile.write(self.server.word + b" " + line)
