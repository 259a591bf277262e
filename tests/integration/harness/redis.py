"""A real redis-server in a process of its own, without persistence, to be killed, stopped and started again."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest

from tests.integration.process import free_port, wait_for

PROGRAM = shutil.which("redis-server")
needs_redis = pytest.mark.skipif(PROGRAM is None, reason="redis-server is not installed")


class Redis:
    """``address`` is where it listens, ``ask(*words)`` a command's raw answer (bytes)."""

    def __init__(self, *options):
        self.folder = tempfile.mkdtemp(prefix="meshd-redis-")
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.options = options
        self.process = None
        self.start()

    def start(self):
        """Start it, empty, where it was before."""
        command = [PROGRAM, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                   "--dir", self.folder, "--loglevel", "warning", *self.options]
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for(self.is_there, "redis-server")

    def is_there(self):
        """Say whether it answers, be it that it wants a password."""
        try:
            return self.ask("PING")[:1] in (b"+", b"-")
        except OSError:
            return False

    def ask(self, *words, login=()):
        """Return the answer to a command, after ``login``'s words as another one."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as sock:
            answer = b""
            for one in filter(None, (login, words)):
                parts = [str(word).encode() if not isinstance(word, bytes) else word for word in one]
                sock.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts))
                answer = sock.recv(1 << 20)
            return answer

    def clients(self):
        """Return how many connections it has, ours not counted."""
        return self.ask("CLIENT", "LIST").count(b" addr=") - 1

    def kill(self):
        """Kill -9."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """SIGSTOP: it is there and says nothing."""
        self.process.send_signal(signal.SIGSTOP)
        wait_for(lambda: self.state() == "T", "redis-server to stop")

    def state(self):
        """Return its state letter."""
        with open(f"/proc/{self.process.pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]

    def go_on(self):
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
