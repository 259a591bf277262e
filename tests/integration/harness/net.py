"""A network namespace at the far end of a link, for upstreams whose network is to fail. Takes root and ``ip``.

    with Away() as away, Echo(away.host, away.prefix) as echo, Daemon(one_cluster(echo.address)) as daemon:
        away.darken()  # what comes in is lost without a word
        away.lighten()

``Cable`` is an ``Away`` whose link is slow and loses packets: two TUN devices with a relay in a process between them
(netem would do the same, but kernels without that module are common). A test is skipped where there can be none.
"""

import os
import random
import shutil
import subprocess
import sys

import pytest

from tests.integration.harness.relay import tun
from tests.tree import ROOT


def run(*command):
    """Run a program; CalledProcessError where it fails."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class Away:
    """``host`` is an address in the namespace, ``prefix`` a command that runs the next one there.

    Its addresses are of 198.18.0.0/15, which RFC 2544 keeps for tests.
    """

    def __init__(self):
        if os.geteuid() or not shutil.which("ip"):
            pytest.skip("namespaces take root and iproute2")
        draw = random.SystemRandom()
        block = draw.randrange(0, 1 << 15) * 4
        word = f"{draw.randrange(1 << 40):x}"
        self.name = f"meshd-{word}"
        self.near, self.far = f"n{word}", f"f{word}"
        self.here, self.host = (f"198.{18 + (block >> 16)}.{block >> 8 & 255}.{block + one & 255}" for one in (1, 2))
        self.prefix = ("ip", "netns", "exec", self.name)
        try:
            run("ip", "netns", "add", self.name)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network namespaces: {error.stderr.strip()}")
        try:
            run("ip", "-n", self.name, "link", "set", "lo", "up")
            self.join()
        except BaseException:
            self.close()
            raise

    def join(self):
        """Make the link."""
        run("ip", "link", "add", self.near, "type", "veth", "peer", "name", self.far, "netns", self.name)
        self.address()

    def address(self):
        """Give both ends their addresses."""
        run("ip", "addr", "add", f"{self.here}/30", "dev", self.near)
        run("ip", "-n", self.name, "addr", "add", f"{self.host}/30", "dev", self.far)
        run("ip", "link", "set", self.near, "up")
        run("ip", "-n", self.name, "link", "set", self.far, "up")

    def darken(self):
        """Nothing leaves the namespace any more, not even a refusal: what comes in is lost without a word."""
        run("ip", "-n", self.name, "route", "add", "blackhole", f"{self.here}/32")

    def lighten(self):
        """Undo it."""
        run("ip", "-n", self.name, "route", "del", "blackhole", f"{self.here}/32")

    def close(self):
        """Remove all of it."""
        subprocess.run(["ip", "link", "del", self.near], capture_output=True)
        run("ip", "netns", "del", self.name)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


class Cable(Away):
    """Each packet takes ``delay_s``, in both directions, and a share of ``loss`` of them never comes."""

    def __init__(self, delay_s, loss, seed=1):
        self._options = (str(delay_s), str(loss), str(seed))
        self._relay = None
        super().__init__()

    def join(self):
        """Make both devices, and the relay between them."""
        try:
            number = tun(self.near)
        except OSError as error:
            self.close()
            pytest.skip(f"no TUN device: {error}")
        command = [*self.prefix, sys.executable, "-S", "-m", "tests.integration.harness.relay", str(number), self.far]
        self._relay = subprocess.Popen([*command, *self._options], pass_fds=[number], stdout=subprocess.PIPE,
                                       cwd=ROOT)
        os.close(number)
        assert self._relay.stdout.readline(), "the relay has ended"
        self.address()

    def close(self):
        """End the relay, and remove all of it."""
        if self._relay is not None:
            self._relay.kill()
            self._relay.wait()
            self._relay.stdout.close()
        super().close()
