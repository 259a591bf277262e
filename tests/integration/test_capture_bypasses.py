"""Ways past capture, each shown by ``meshctl capture status``; and a change that fails in the middle."""

import os
import stat
import subprocess
import sys

import pytest

from tests.integration.harness.capture import PROXY, STRANGER, Pair, status

APP = 8080
UDP = ("import socket\nsock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nsock.settimeout(3)\n"
       "sock.sendto(b'quic', ({host!r}, 443))\nprint(sock.recv(100).decode())")
SERVE = ("import socket\nsock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nsock.bind(('', 443))\n"
         "print('ready', flush=True)\ndata, peer = sock.recvfrom(100)\nsock.sendto(b'past it', peer)")


@pytest.fixture
def pair():
    """Two machines with an application each, and a mirror in meshd's place on the near one."""
    with Pair() as made:
        for one in (made.near, made.far):
            one.mirror(APP, f"6:{APP}", uid=STRANGER, word="app")
        made.near.mirror(15001, 15006)
        yield made


def test_each_way_past_is_counted(pair):
    near, far = pair.near, pair.far
    near.enable()

    def hits():
        return {row["key"]: row["hits"] for row in status(near)["bypasses"]}

    for key, ask in (
            ("meshd", lambda: near.ask(far.address, APP, uid=PROXY)),
            ("loopback", lambda: near.ask(near.address, APP)),
            ("loopback", lambda: near.ask("127.0.0.1", APP)),
            ("ipv6", lambda: near.ask(far.address6, APP))):
        before = hits()[key]
        assert ask().startswith("app"), key
        assert hits()[key] > before, key
    assert far.ask(near.address, 15006).startswith("proxy"), "meshd itself refuses what was not captured"
    assert hits()["ports of meshd"] == 1


def test_udp_goes_past_it(pair):
    near, far = pair.near, pair.far
    near.enable()
    with subprocess.Popen([*far.prefix(), sys.executable, "-c", SERVE], stdout=subprocess.PIPE) as server:
        assert server.stdout.readline() == b"ready\n"
        done = near.run(sys.executable, "-c", UDP.format(host=far.address), uid=STRANGER)
        assert done.stdout == "past it\n"


@pytest.mark.parametrize("mode", ["redirect", "tproxy"])
def test_nft_that_fails_in_the_middle_changes_nothing(pair, tmp_path, mode):
    """The check passes, then the rules cannot be loaded: the routing that was added before is taken away again."""
    near = pair.near
    before = near.rules()
    program = tmp_path / "nft"
    program.write_text("#!/bin/sh\ncase \"$*\" in '-f -') echo 'Error: no room' >&2; exit 1;; esac\n"
                       "PATH=/usr/sbin:/usr/bin:/sbin:/bin exec nft \"$@\"\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    done = near.ctl("enable", "--user", str(PROXY), "--mode", mode, "--ipv6", "on", "--force",
                    "--confirm-within", "60s", environment={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert done.returncode == 1 and "no room" in done.stderr
    assert near.rules() == before
    assert near.ctl("confirm").returncode == 1, "nobody waits for a confirmation"
