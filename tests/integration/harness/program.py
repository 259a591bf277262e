"""An upstream in a process of its own, to be killed or stopped. Run as a script it is the server and prints its port.

The path says what it does: /length /chunked /close begin an answer and stop in the middle, /silent says nothing, /drip
says a byte each second, /big?N answers N bytes, everything else is ``ok``.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time

PIECE = b"x" * 65536


def run(sock):
    """Serve one connection."""
    data = b""
    while True:
        while b"\r\n\r\n" not in data:
            piece = sock.recv(65536)
            if not piece:
                return
            data += piece
        head, _, data = data.partition(b"\r\n\r\n")
        answer(sock, head.split()[1].decode())


def answer(sock, path):
    """Answer one request."""
    begin = b"HTTP/1.1 200 OK\r\n"
    if path == "/length":
        sock.sendall(begin + b"content-length: 1000000\r\n\r\n" + PIECE)
        time.sleep(100)
    elif path == "/chunked":
        sock.sendall(begin + b"transfer-encoding: chunked\r\n\r\n10000\r\n" + PIECE + b"\r\n")
        time.sleep(100)
    elif path == "/close":
        sock.sendall(begin + b"connection: close\r\n\r\n" + PIECE)
        time.sleep(100)
    elif path == "/silent":
        time.sleep(100)
    elif path == "/drip":
        sock.sendall(begin + b"content-length: 100\r\n\r\n")
        for _ in range(100):
            sock.sendall(b"x")
            time.sleep(1)
    elif path.startswith("/big?"):
        big(sock, int(path[5:]))
    else:
        sock.sendall(begin + b"content-length: 2\r\n\r\nok")


def big(sock, size):
    """Answer so many bytes."""
    sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
    piece = b"x" * 1048576
    while size > 0:
        sock.sendall(piece[:size])
        size -= len(piece)


def serve():
    """Accept for ever."""
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1]) if sys.argv[1:] else 0), backlog=1024)
    print(listener.getsockname()[1], flush=True)
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=run, args=(sock,), daemon=True).start()


class Program:
    """The process. ``address`` is where it listens."""

    def __init__(self):
        self.process = subprocess.Popen([sys.executable, "-S", os.path.abspath(__file__)], stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL)
        self.address = f"127.0.0.1:{int(self.process.stdout.readline())}"

    def kill(self):
        """Kill -9."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """SIGSTOP; returns when every thread stands still (the kernel stops them one by one, after the call)."""
        from tests.integration.process import wait_for  # not above: as a script this file stands alone
        self.process.send_signal(signal.SIGSTOP)
        wait_for(lambda: set(self._states()) == {"T"}, "the program's threads to stop")

    def _states(self):
        """Yield the state letter of each thread (proc(5): the field behind the name)."""
        folder = f"/proc/{self.process.pid}/task"
        for task in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError), open(f"{folder}/{task}/stat") as file:
                yield file.read().rpartition(")")[2].split()[0]

    def go_on(self):
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.kill()
        self.process.stdout.close()


if __name__ == "__main__":
    serve()
