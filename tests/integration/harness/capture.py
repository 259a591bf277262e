"""Two machines with a link between them, each a network namespace, for tests of capture. Takes root, ip, nft, setpriv.

    with Pair() as pair:
        pair.near.run("meshctl", "capture", "enable")
"""

import json
import os
import random
import shutil
import subprocess
import sys

import pytest

from tests.integration.process import wait_for
from tests.tree import ROOT

PROXY, STRANGER = 61999, 61998
"""Users that nobody is."""
NEEDED = ("ip", "nft", "setpriv")


class Machine:
    """``address`` and ``address6`` are what the other reaches it by."""

    def __init__(self, name, address, address6):
        self.name, self.address, self.address6 = name, address, address6
        self.running = []

    def prefix(self, uid=0, *capabilities):
        """Return the command that runs the next one here as a user. It may read all: Python and meshd may be installed
        where root alone gets at them."""
        more = "".join(f",+{name}" for name in capabilities)
        who = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", f"--inh-caps=+dac_read_search{more}",
               f"--ambient-caps=+dac_read_search{more}") if uid else ()
        return ("ip", "netns", "exec", self.name, *who)

    def run(self, *words, uid=0, environment=(), text=None):
        """Run a program here; return it when it has ended."""
        return subprocess.run([*self.prefix(uid), *words], input=text, capture_output=True, text=True, timeout=60,
                              cwd=ROOT, env={**os.environ, **dict(environment)})

    def ctl(self, *words, environment=()):
        """Run ``meshctl capture``."""
        return self.run(sys.executable, "-m", "meshd.cli.ctl", "capture", *words, environment=environment)

    def enable(self, *words, environment=()):
        """Enable capture; it must be possible."""
        done = self.ctl("enable", "--user", str(PROXY), *words, environment=environment)
        assert done.returncode == 0, done.stderr
        return done

    def rules(self):
        """Return all rules and what TPROXY needs beside them."""
        return [self.run(*words.split()).stdout for words in (
            "nft -s list ruleset", "ip rule", "ip -6 rule", "ip route show table 133", "ip -6 route show table 133",
            "ip -6 -o addr show dev lo")]

    def mirror(self, *ports, uid=PROXY, word="proxy", transparent=False):
        """Take connections on ports of all addresses; of IPv6 where the port is a text with ``6:`` before it."""
        start = subprocess.Popen(
            [*self.prefix(), sys.executable, "-S", "-m", "tests.integration.harness.mirror", word, str(uid),
             str(int(transparent)), *map(str, ports)], stdout=subprocess.PIPE, cwd=ROOT)
        self.running.append(start)
        assert start.stdout.readline() == b"ready\n"

    def ask(self, host, port, uid=STRANGER, source=""):
        """Return what a mirror answers to a connection from here, or why there was none."""
        code = ("import socket, sys\n"
                f"try: sock = socket.create_connection(({host!r}, {port}), 3, {(source, 0) if source else None!r})\n"
                "except OSError as error: sys.exit(error.strerror or 'timeout')\n"
                "print(sock.makefile().read().strip())")
        done = self.run(sys.executable, "-S", "-c", code, uid=uid)
        return done.stdout.strip() or done.stderr.strip()

    def close(self):
        """End what runs here."""
        for one in self.running:
            one.kill()
            one.wait()
            one.stdout.close()


class Pair:
    """``near`` and ``far``."""

    def __init__(self):
        missing = [one for one in NEEDED if not shutil.which(one, path=os.environ["PATH"] + ":/usr/sbin:/sbin")]
        if os.geteuid() or missing:
            pytest.skip(f"capture takes root and {', '.join(missing or NEEDED)}")
        word = f"{random.SystemRandom().randrange(1 << 40):x}"
        self.near = Machine(f"meshd-n{word}", "198.18.0.1", "fd00:2544::1")
        self.far = Machine(f"meshd-f{word}", "198.18.0.2", "fd00:2544::2")
        try:
            self.make()
        except BaseException:
            self.close()
            raise

    def make(self):
        """Make both and the link."""
        for one in (self.near, self.far):
            done = subprocess.run(["ip", "netns", "add", one.name], capture_output=True, text=True)
            if done.returncode:
                pytest.skip(f"no network namespaces: {done.stderr.strip()}")
        self.ip("link", "add", "eth0", "netns", self.near.name, "type", "veth", "peer", "name", "eth0", "netns",
                self.far.name)
        for one in (self.near, self.far):
            for words in (("link", "set", "lo", "up"), ("addr", "add", f"{one.address}/30", "dev", "eth0"),
                          ("-6", "addr", "add", f"{one.address6}/64", "dev", "eth0", "nodad"),
                          ("link", "set", "eth0", "up")):
                self.ip("-n", one.name, *words)
            other = self.far if one is self.near else self.near
            self.ip("-n", one.name, "route", "add", "default", "via", other.address)
            self.ip("-n", one.name, "-6", "route", "add", "default", "via", other.address6)
        if self.near.run("nft", "-c", "-f", "-", text="table inet x { chain y { fib daddr type local; }; }").returncode:
            pytest.skip("the kernel has no nf_tables with fib")

    def ip(self, *words):
        """Run ip(8)."""
        subprocess.run(["ip", *words], check=True, capture_output=True, text=True)

    def close(self):
        """Remove all of it."""
        for one in (self.near, self.far):
            one.close()
            subprocess.run(["ip", "netns", "del", one.name], capture_output=True)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


def status(machine):
    """Return ``meshctl capture status`` as a document."""
    return json.loads(machine.ctl("status", "-o", "json").stdout)


def wait_until_off(machine, limit_s=10.0):
    """Wait until nothing is captured."""
    wait_for(lambda: machine.run("nft", "list", "table", "inet", "meshd_capture").returncode, "no rules", limit_s)

