"""A real daemon in a machine of a ``Pair``, where connections are led to it; programs of other people at both ends."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import pytest

from tests.integration.harness.capture import PROXY
from tests.integration.harness.daemon import Daemon
from tests.integration.process import wait_for

ANYWHERE = {"original_destination": {"allow": ["0.0.0.0/0", "::/0"]}}
"""A captured client might have gone there by itself."""
PASSTHROUGH, INBOUND = "PassthroughCluster", "InboundPassthroughCluster"
CLUSTERS = [
    {"name": PASSTHROUGH, "endpoints": [], "load_balancer": ANYWHERE},
    {"name": INBOUND, "endpoints": [], "load_balancer": ANYWHERE, "source_addresses": ["127.0.0.6", "::6"]},
]


class Sidecar(Daemon):
    """It runs as the user whose connections are not captured; ``transparent`` gives it what TPROXY needs."""

    def __init__(self, machine, configuration, *, transparent=False, **options):
        more = ("net_admin",) if transparent else ()
        super().__init__(configuration, prefix=machine.prefix(PROXY, *more), **options)

    def write(self, configuration):
        """Write the file so that this user can read it."""
        os.chmod(self.folder, 0o777)
        super().write(configuration)


class Nginx:
    """An unmodified server in a machine; it says who has come and what Host it was asked for. ``words`` stand behind
    its ports (``http2``, say).
    """

    def __init__(self, machine, port, folder, words=""):
        if not shutil.which("nginx"):
            pytest.skip("nginx is not installed")
        path = folder / f"nginx-{machine.name}.conf"
        path.write_text(
            f"daemon off; master_process off; pid {folder}/{machine.name}.pid; error_log /dev/null;\n"
            "events {}\nhttp { access_log off; server { "
            f"listen 0.0.0.0:{port} {words}; listen [::]:{port} {words}; "
            "location / { return 200 \"$remote_addr $http_host $uri\\n\"; } } }\n")
        self.process = subprocess.Popen([*machine.prefix(), "nginx", "-c", str(path)], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        wait_for(lambda: f":{port} " in machine.run("ss", "-ltn").stdout, "nginx")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)


def curl(machine, url, *words, uid=0):
    """Return what an unmodified client says of an answer: its status, and its body."""
    done = machine.run("curl", "-sS", "--noproxy", "*", "-m", "10", "-w", "%{http_code}", *words, url, uid=uid)
    body, status = done.stdout[:-3], done.stdout[-3:]
    return int(status or 0), body.strip() or done.stderr.strip()


def istio(folder, name, *texts, **node):
    """Return a configuration of Istio's documents for a captured sidecar."""
    place = folder / name
    place.mkdir()
    place.chmod(0o755)
    for number, text in enumerate(texts):
        (place / f"{number}.yaml").write_text(text)
    return {"node": {"id": name, "role": "sidecar", "interception_mode": "redirect", **node}, "documents": [str(place)]}


@contextlib.contextmanager
def resolver(machine, address):
    """Let the programs of a machine ask this server: ``ip netns exec`` has its files in the place of the system's."""
    folder = pathlib.Path("/etc/netns") / machine.name
    folder.mkdir(parents=True)
    try:
        (folder / "resolv.conf").write_text(f"nameserver {address}\noptions timeout:1 attempts:1\n")
        yield
    finally:
        shutil.rmtree(folder)
        with contextlib.suppress(OSError):
            folder.parent.rmdir()


@contextlib.contextmanager
def open_folder():
    """Yield a new folder that the proxies' user can look into."""
    with tempfile.TemporaryDirectory(prefix="meshd-") as name:
        os.chmod(name, 0o755)
        yield pathlib.Path(name)


def readable(folder):
    """Let the proxies' user read a folder of secrets."""
    for place, _, files in os.walk(folder):
        for name in (place, *(os.path.join(place, one) for one in files)):
            shutil.chown(name, PROXY, PROXY)
