"""The README's first command shows what the README promises: etc/meshd.yaml with the real daemon, on free ports."""

import re
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import TestCase

from tests.tree import ROOT

PORTS = ("15000", "8080", "8081")
VARYING = r"date: .*|(?<=request id: )[0-9a-f-]{36}"


def free_ports(count: int) -> list[str]:
    """Return different ports that nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [str(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def promised() -> str:
    """Return the answer that the README shows."""
    return re.search(r"\$ curl -i http://127.0.0.1:8080/hello\n(.*?)```", (ROOT / "README.md").read_text(), re.S)[1]


class TestReadme(TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        text = (ROOT / "etc" / "meshd.yaml").read_text()
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        for name, port in self.ports.items():
            text = text.replace(f"127.0.0.1:{name}", f"127.0.0.1:{port}")
        path = Path(folder.name, "meshd.yaml")
        path.write_text(text)
        self.daemon = subprocess.Popen(
            [sys.executable, "-m", "meshd.cli.daemon", "-c", str(path)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        self.addCleanup(self.daemon.stderr.close)
        self.addCleanup(self.daemon.wait)
        self.addCleanup(self.daemon.kill)
        self.seen = ""
        while " ready" not in self.seen:
            line = self.daemon.stderr.readline()
            self.assertTrue(line, f"the daemon ended: {self.seen}")
            self.seen += line

    def test_curl_shows_what_the_readme_promises(self):
        with socket.create_connection(("127.0.0.1", int(self.ports["8080"])), 10) as client:
            client.sendall(b"GET /hello HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: curl\r\n\r\n")
            got = ""
            while "forwarded for: 127.0.0.1\n" not in got:
                data = client.recv(4096).decode()
                self.assertTrue(data, got)
                got += data.replace("\r\n", "\n")
        self.assertEqual(re.sub(VARYING, "...", got), re.sub(VARYING, "...", promised()))
        self.daemon.send_signal(signal.SIGTERM)
        rest = self.daemon.stderr.read()
        self.assertEqual(self.daemon.wait(20), 0, self.seen + rest)
        self.assertNotIn("Traceback", self.seen + rest)
