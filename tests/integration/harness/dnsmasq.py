"""A real DNS server: dnsmasq of the system, on loopback, with records that a test may change."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile

from tests.integration.process import free_port, wait_for

PROGRAM = shutil.which("dnsmasq") or shutil.which("dnsmasq", path="/usr/sbin")


class Dnsmasq:
    """``hosts`` is a dict of name -> addresses; ``options`` are more of its command line."""

    def __init__(self, hosts, *options, ttl=1):
        self.folder = tempfile.mkdtemp(prefix="dnsmasq-")
        self.path = os.path.join(self.folder, "hosts")
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._options = [f"--local-ttl={ttl}", *options]
        self._write(hosts)
        self.start()

    def start(self):
        """Serve."""
        self.process = subprocess.Popen(
            [PROGRAM, "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file=",
             "--bind-interfaces", "--listen-address=127.0.0.1", f"--port={self.port}", f"--addn-hosts={self.path}",
             "--user=root" if os.geteuid() == 0 else "--no-poll", "--local=/test/", *self._options],
            stderr=subprocess.DEVNULL)
        wait_for(self._is_open, "dnsmasq")

    def _is_open(self):
        assert self.process.poll() is None, "dnsmasq has ended"
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def _write(self, hosts):
        with open(self.path, "w") as file:
            file.writelines(f"{address} {name}\n" for name, addresses in hosts.items() for address in addresses)

    def change(self, hosts):
        """Say something else from now on."""
        self._write(hosts)
        self.process.send_signal(signal.SIGHUP)

    def stop(self):
        """Serve no more."""
        self.process.terminate()  # which ends its children too; they have its sockets
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
