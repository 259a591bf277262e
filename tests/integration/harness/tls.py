"""Certificates in a folder, clients and peers that speak TLS, for tests with the real daemon."""

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
from pathlib import Path
from unittest import SkipTest

from tests.integration.harness.app import running
from tests.integration.process import free_port
from tests.pki import Authority

SERVER_ID = "spiffe://mesh.test/ns/shop/sa/server"
CLIENT_ID = "spiffe://mesh.test/ns/shop/sa/client"


class Mesh:
    """A folder of secrets: ``server`` and ``client``, each with ``ca.crt``; gone after the ``with``."""

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="meshd-tls-"))
        self.root = Authority("mesh root")
        self.issue("server", "localhost", "shop.test", "ip:127.0.0.1", f"uri:{SERVER_ID}")
        self.issue("client", f"uri:{CLIENT_ID}", "client.test")
        self.ca = str(self.folder / "server" / "ca.crt")
        return self

    def __exit__(self, *error):
        shutil.rmtree(self.folder, ignore_errors=True)

    def issue(self, name, *names, root=None, **how):
        """Make a secret's folder, or renew it as an operator would: new files, renamed into place; return the leaf."""
        root = root or self.root
        leaf = root.leaf(*names, **how)
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        for file, data in (("tls.key", leaf.key_pem), ("tls.crt", leaf.pem), ("ca.crt", root.pem)):
            new = folder / f"{file}.new"
            new.write_bytes(data)
            new.chmod(0o600)
            os.replace(new, folder / file)
        return leaf

    def files(self, name):
        """Return the paths of a secret's certificate and key."""
        return str(self.folder / name / "tls.crt"), str(self.folder / name / "tls.key")

    def pems(self, name):
        """Return the bytes of a secret's certificate, key and root."""
        return tuple((self.folder / name / file).read_bytes() for file in ("tls.crt", "tls.key", "ca.crt"))

    def settings(self, poll="50ms"):
        """Return the top level's ``secrets``."""
        return {"directory": str(self.folder), "poll": poll}

    def serving(self, client_certificate="none", **more):
        """Return a listener's ``tls``."""
        asks = {} if client_certificate == "none" else {
            "client_certificate": client_certificate, "validation": {"secret": "server"}}
        return {"certificates": [{"secret": "server"}], **asks, **more}

    def calling(self, **more):
        """Return a cluster's ``tls`` for mutual TLS."""
        return {"validation": {"secret": "client"}, "certificate": {"secret": "client"}, "sni": "shop.test", **more}

    def context(self, client=None):
        """Return a client's context that trusts the root, and shows the secret ``client``."""
        context = ssl.create_default_context(cafile=self.ca)
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # Python 3.13 asks for the issuer's key id
        if client is not None:
            context.load_cert_chain(*self.files(client))
        return context


def call(port, context, name="shop.test", data=b"GET / HTTP/1.1\r\nhost: shop.test\r\nconnection: close\r\n\r\n"):
    """Return (all bytes of the answer, the TLS socket) of a connection of its own."""
    with socket.create_connection(("127.0.0.1", port), 20) as plain:
        with context.wrap_socket(plain, server_hostname=name) as sock:
            sock.sendall(data)
            parts = []
            while piece := sock.recv(65536):
                parts.append(piece)
            return b"".join(parts), sock


def program(name):
    """Return the path of a program; skips where there is none."""
    path = shutil.which(name)
    if path is None:
        raise SkipTest(f"{name} is not installed")
    return path


def curl(*arguments):
    """Return (exit code, output) of curl."""
    done = subprocess.run([program("curl"), "-sS", "--max-time", "20", *arguments], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def s_client(port, *arguments):
    """Return what ``openssl s_client`` says of a connection that ends at once."""
    command = [program("openssl"), "s_client", "-connect", f"127.0.0.1:{port}", *arguments]
    done = subprocess.run(command, input=b"", capture_output=True, timeout=20)
    return (done.stdout + done.stderr).decode("latin-1")


@contextlib.contextmanager
def nginx(folder, server):
    """Yield the address of nginx with one server block; ``%(port)s`` in it is its port."""
    port = free_port()
    path = os.path.join(folder, "nginx.conf")
    with open(path, "w") as file:
        file.write(NGINX.replace("SERVER", server) % {"folder": folder, "port": port})
    with running([program("nginx"), "-p", str(folder), "-c", path, "-e", os.path.join(folder, "log")], port) as address:
        yield address


NGINX = """
daemon off; worker_processes 1; pid %(folder)s/pid; user root;
events { worker_connections 256; }
http { access_log off; client_body_temp_path %(folder)s/temp; SERVER }
"""
