"""A real PostgreSQL server in a process of its own, on loopback, in a temporary folder, without fsync."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.integration.harness.app import accepts
from tests.integration.process import free_port, wait_for

USER = "tester"
OWNER = "nobody"
"""The server refuses to be root."""


def _folder():
    """Return where the newest server's programs are, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    path = str(found[-1]) if found else shutil.which("initdb")
    return os.path.dirname(path) if path else None


FOLDER = _folder()
needs_postgres = pytest.mark.skipif(
    FOLDER is None or shutil.which("psql") is None, reason="PostgreSQL's server or psql is not installed")


class Postgres:
    """``address`` is where it listens; everybody is let in. ``certificate`` is (file, key): then it speaks TLS too."""

    def __init__(self, certificate):
        self.folder = tempfile.mkdtemp(prefix="meshd-postgres-")
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.user = {"user": OWNER} if os.geteuid() == 0 else {}
        files = [shutil.copy(path, os.path.join(self.folder, name))
                 for path, name in zip(certificate, ("tls.crt", "tls.key"))]
        for path in (self.folder, *files):
            os.chmod(path, 0o700 if path == self.folder else 0o600)
            if self.user:
                os.chown(path, pwd.getpwnam(OWNER).pw_uid, -1)
        data = os.path.join(self.folder, "data")
        subprocess.run([f"{FOLDER}/initdb", "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N"],
                       check=True, capture_output=True, cwd=self.folder, **self.user)
        options = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off",
                   "ssl": "on", "ssl_cert_file": files[0], "ssl_key_file": files[1]}
        command = [f"{FOLDER}/postgres", "-D", data]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with open(os.path.join(self.folder, "log"), "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, **self.user)
        try:
            wait_for(lambda: accepts(self.port), "PostgreSQL", 30)
        except BaseException:
            self.close()
            raise

    def close(self):
        """End it (SIGINT: at once, in order)."""
        self.process.send_signal(2)
        self.process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()
