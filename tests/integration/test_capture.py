"""``meshctl capture`` in two network namespaces; a mirror in meshd's place tells where connections meant to go."""

import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from meshd.capture import path
from meshd.capture.reading import read
from tests.integration.harness.capture import PROXY, STRANGER, Pair, status, wait_until_off
from tests.integration.process import wait_for

OTHERS = """
table ip filter { chain input { type filter hook input priority 0; policy accept; tcp dport 1 drop; }; }
table ip nat { chain DOCKER { }; 
  chain PREROUTING { type nat hook prerouting priority -100; fib daddr type local jump DOCKER; }; }
table inet early { chain before { type nat hook output priority -150; }; }
"""
"""Rules that a machine has already."""
APP, SSH = 8080, 2222
SESSION = {"SSH_CONNECTION": f"198.18.0.2 50000 198.18.0.1 {SSH}"}


@pytest.fixture
def pair():
    """Two machines; on both an application on its ports, and on the near one a mirror on meshd's."""
    with Pair() as made:
        for one in (made.near, made.far):
            one.mirror(APP, SSH, 81, f"6:{APP}", uid=STRANGER, word="app")
        made.near.mirror(15001, 15006)
        yield made


def test_what_leaves_goes_to_the_outbound_port_and_knows_where_it_was_going(pair):
    near, far = pair.near, pair.far
    assert near.ask(far.address, APP).split()[:4] == ["app", str(APP), far.address, str(APP)]
    near.enable()
    assert near.ask(far.address, APP).split()[:4] == ["proxy", "15001", far.address, str(APP)]
    assert near.ask("203.0.113.9", 99).split()[:4] == ["proxy", "15001", "203.0.113.9", "99"]


def test_what_comes_in_goes_to_the_inbound_port(pair):
    pair.near.enable()
    words = pair.far.ask(pair.near.address, APP).split()
    assert words == ["proxy", "15006", pair.near.address, str(APP), pair.far.address]


def test_who_is_exempt_goes_its_own_way(pair):
    near, far = pair.near, pair.far
    near.enable("--exclude-outbound-ports", "81", "--exclude-inbound-ports", "81", environment=SESSION)
    assert near.ask(far.address, APP, uid=PROXY).startswith("app"), "meshd itself"
    assert near.ask(far.address, 81).startswith("app"), "a port that is excluded"
    assert far.ask(near.address, 81).startswith("app"), "a port of this machine that is excluded"
    assert far.ask(near.address, SSH).startswith("app"), "the session's port"
    assert near.ask(near.address, APP).startswith("app"), "an application that calls itself"
    assert near.ask("127.0.0.1", APP).startswith("app"), "loopback"
    assert near.ask(far.address6, APP).startswith("app"), "IPv6, on which nobody listens"
    found = {one["key"]: one for one in status(near)["bypasses"]}
    assert found["excluded outbound port"]["hits"] == found["excluded inbound port"]["hits"] == 1
    assert found["ssh"]["which"] == str(SSH) and found["ssh"]["hits"] == 1
    assert found["ipv6"]["hits"] > 0 and found["meshd"]["hits"] > 0


def test_meshd_that_calls_this_machine_comes_in_and_is_not_captured_on_its_way_to_the_workload(pair):
    near = pair.near
    near.enable()
    assert near.ask(near.address, APP, uid=PROXY).split()[:4] == ["proxy", "15006", near.address, str(APP)]
    assert near.ask(near.address, APP, uid=PROXY, source="127.0.0.6").startswith("app")


def test_ipv6_is_captured_where_meshd_listens_on_it(pair):
    near, far = pair.near, pair.far
    near.mirror("6:15001", "6:15006")
    near.enable()
    assert near.ask(far.address6, APP).split()[:4] == ["proxy", "15001", far.address6, str(APP)]
    assert far.ask(near.address6, APP).split()[:4] == ["proxy", "15006", near.address6, str(APP)]


def test_networks_and_ports_choose(pair):
    near, far = pair.near, pair.far
    near.enable("--include-outbound-cidrs", "203.0.113.0/24", "--include-outbound-ports", "81",
                "--include-inbound-ports", "81,9000-9100")
    assert near.ask(far.address, APP).startswith("app")
    assert near.ask(far.address, 81).startswith("proxy 15001")
    assert near.ask("203.0.113.9", 99).startswith("proxy 15001")
    assert far.ask(near.address, APP).startswith("app")
    assert far.ask(near.address, 81).startswith("proxy 15006")


@pytest.mark.parametrize("mode", ["redirect", "tproxy"])
def test_disable_restores_everything_byte_for_byte(pair, mode):
    near = pair.near
    assert near.run("nft", "-f", "-", text=OTHERS).returncode == 0
    before, listing = near.rules(), near.run("nft", "list", "ruleset").stdout
    near.enable("--mode", mode)
    assert near.rules() != before
    near.enable("--mode", "redirect", "--exclude-inbound-ports", "81")
    done = near.ctl("disable")
    assert (done.returncode, done.stdout.split()[:2]) == (0, ["capture", "off:"])
    assert near.rules() == before and near.run("nft", "list", "ruleset").stdout == listing
    assert near.ctl("disable").returncode == 0, "there is nothing to do"


def test_routing_goes_too_where_others_have_flushed_the_rules(pair):
    near = pair.near
    before = near.rules()
    near.enable("--mode", "tproxy", "--ipv6", "on", "--force")
    near.run("nft", "flush", "ruleset")
    assert near.rules() != before
    assert json.loads(near.ctl("disable", "--dry-run", "-o", "json").stdout)["kind"] == "CapturePlan"
    assert near.ctl("disable").returncode == 0
    assert near.rules() == before


ALIKE = ("-4 rule add fwmark 1337 lookup 133", "-4 route add local 0.0.0.0/0 dev lo table 133",
         "-6 rule add fwmark 1337 lookup 133", "-6 route add local ::/0 dev lo table 133", "-6 addr add ::6/128 dev lo")


@pytest.mark.parametrize("is_flushed", [False, True])
@pytest.mark.parametrize("count", [0, len(ALIKE)])
def test_routing_of_another_program_stays_though_it_is_the_same(pair, is_flushed, count):
    near = pair.near
    for line in ALIKE[:count]:
        assert near.run("ip", *line.split()).returncode == 0
    before, addresses = near.rules(), near.run("ip", "-6", "addr", "show", "dev", "lo").stdout
    assert near.ctl("disable").returncode == 0, "there is nothing to do"
    assert near.rules() == before
    for mode in ("tproxy", "tproxy", "redirect", "tproxy"):
        near.enable("--mode", mode, "--ipv6", "on", "--force")
    assert near.rules() != before
    if is_flushed:
        near.run("nft", "flush", "ruleset")
    assert near.ctl("disable").returncode == 0
    assert near.rules() == before
    assert near.run("ip", "-6", "addr", "show", "dev", "lo").stdout == addresses


def test_rules_that_others_have_emptied_are_a_problem(pair):
    near = pair.near
    near.enable()
    near.run("nft", "flush", "table", "inet", "meshd_capture")
    done = near.ctl("status")
    assert (done.returncode, "it leads nowhere, somebody has changed it" in done.stdout) == (1, True)


def test_the_path_knows_by_which_interface_it_goes(pair):
    near = pair.near
    for option, goes in (("--exclude-interfaces", "its own way"), ("--exclude-outbound-ports", "to meshd, port 15001")):
        near.enable(option, "eth0" if "interfaces" in option else "81")
        found = json.loads(near.ctl("path", f"{pair.far.address}:{APP}", "-o", "json").stdout)["items"][0]
        assert found["goes"] == goes


def test_networks_that_overlap_and_all_of_ipv4(pair):
    near, far = pair.near, pair.far
    near.enable("--include-outbound-cidrs", "0.0.0.0/0,198.18.0.0/15", "--exclude-outbound-cidrs",
                "203.0.113.0/24,203.0.113.0/28")
    assert status(near)["settings"]["exclude_outbound_cidrs"] == ["203.0.113.0/24"]
    assert near.ask(far.address, APP).startswith("proxy 15001")
    assert near.ask("127.0.0.1", APP).startswith("app")


def test_rules_of_others_are_named_by_priority(pair):
    near = pair.near
    wall = "table inet fw { chain in { type filter hook input priority 0; policy drop; }; }"
    near.run("nft", "-f", "-", text=OTHERS + wall)
    near.enable()
    found = [f"{one['severity']} {one['text']}" for one in status(near)["conflicts"]]
    for text in ("warning table inet early, chain before: priority -150 comes before",
                 "note table ip nat, chain PREROUTING: priority -100 comes after",
                 "warning table inet fw, chain in: drops by default: it must accept port 15006"):
        assert any(one.startswith(text) for one in found), (text, found)


def test_what_is_not_confirmed_is_undone_and_what_is_stays(pair):
    near = pair.near
    before = near.rules()
    near.enable("--confirm-within", "1s")
    wait_until_off(near)
    assert near.rules() == before
    near.enable("--confirm-within", "60s")
    assert 0 < status(near)["undone_in_s"] <= 60
    assert near.ctl("enable", "--user", str(PROXY)).returncode == 1, "one change at a time"
    assert near.ctl("confirm").returncode == 0
    assert status(near)["undone_in_s"] is None
    done = near.ctl("confirm")
    assert (done.returncode, done.stderr) == (1, "meshctl: capture: nothing waits for a confirmation\n")


def test_what_is_not_confirmed_becomes_what_it_was(pair):
    near = pair.near
    near.enable("--exclude-inbound-ports", "81", "--mode", "tproxy")
    before = near.rules()
    near.enable("--include-outbound-cidrs", "203.0.113.0/24", "--confirm-within", "1s")
    while status(near)["undone_in_s"] is not None:
        pass
    assert near.rules() == before


def test_who_watches_outlives_the_session_and_undoes_at_once_when_it_must_end(pair):
    near = pair.near
    before = near.rules()
    near.enable("--confirm-within", "60s")
    pids = subprocess.run(["ip", "netns", "pids", near.name], capture_output=True, text=True).stdout.split()
    (pid,) = [int(one) for one in pids if b"meshd.capture.watch" in pathlib.Path(f"/proc/{one}/cmdline").read_bytes()]
    assert os.getsid(pid) == pid, "it has a session of its own"
    os.kill(pid, signal.SIGHUP)
    assert status(near)["undone_in_s"] > 0
    os.kill(pid, signal.SIGTERM)
    wait_until_off(near)
    wait_for(lambda: near.rules() == before, "the way back")


def test_connections_that_are_open_go_on(pair):
    near, far = pair.near, pair.far
    code = ("import socket, sys\nserver = socket.create_server(('', 9000))\nprint('ready', flush=True)\n"
            "peer, _ = server.accept()\nwhile data := peer.recv(100): peer.sendall(data)")
    with subprocess.Popen([*far.prefix(), sys.executable, "-c", code], stdout=subprocess.PIPE) as server:
        server.stdout.readline()
        talk = ("import socket, sys\nsock = socket.create_connection((sys.argv[1], 9000))\nfor line in sys.stdin:\n"
                " sock.sendall(line.encode()); print(sock.recv(100).decode(), end='', flush=True)")
        with subprocess.Popen([*near.prefix(), sys.executable, "-c", talk, far.address], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) as client:
            for word in ("before\n", "after\n"):
                client.stdin.write(word)
                client.stdin.flush()
                assert client.stdout.readline() == word
                if word == "before\n":
                    near.enable()
            client.stdin.close()


def test_tproxy_brings_the_clients_address_and_the_destination(pair):
    far, near = pair.near, pair.far  # the mirrors of this one are transparent
    near.mirror(15001, uid=PROXY)
    near.mirror(15006, transparent=True)
    near.enable("--mode", "tproxy", "--exclude-inbound-ports", "81")
    assert far.ask(near.address, APP).split() == ["proxy", "15006", near.address, str(APP), far.address]
    assert far.ask(near.address, 81).startswith("app")
    assert near.ask(near.address, APP, uid=PROXY).split()[:2] == ["proxy", "15006"]
    assert near.ask(near.address, APP).startswith("app")


def test_queries_are_led_to_the_dns_port(pair):
    near = pair.near
    near.mirror(15053)
    near.enable("--dns", "--dns-servers", "127.0.0.53,203.0.113.53", "--force")
    for server in ("127.0.0.53", "203.0.113.53"):
        assert near.ask(server, 53).startswith("proxy 15053")
    assert near.ask("203.0.113.54", 53).startswith("proxy 15001")


HOSTS = ("near", "far", "127.0.0.1", "127.0.0.2", "203.0.113.9", "198.51.100.7", "near6", "far6")
CASES = [(host, port, uid) for host in HOSTS for port in (APP, 81) for uid in (PROXY, STRANGER)]


def test_the_path_that_is_told_is_the_path_that_is_taken(pair):
    near = pair.near
    near.enable("--exclude-outbound-ports", "81", "--exclude-outbound-cidrs", "198.51.100.0/24", "--ipv6", "on",
                "--force")
    settings = settings_of(near)
    for host, port, uid in CASES:
        machine = pair.far if host.startswith("far") else near
        address = host if host[0].isdigit() else machine.address6 if host.endswith("6") else machine.address
        before = hits(near)
        code = (f"import socket\nsock = socket.socket(socket.AF_INET6 if ':' in {address!r} else socket.AF_INET)\n"
                f"sock.setblocking(False)\ntry: sock.connect(({address!r}, {port}))\nexcept OSError: pass")
        near.run(sys.executable, "-S", "-c", code, uid=uid)
        held = {key for key, count in hits(near).items() if count > before[key]} - {"established"}
        is_local = host.startswith("near")
        assert held == {path.outbound(settings, address, port, uid=uid, is_local=is_local).key}, (host, port, uid)


def hits(machine):
    """Return how often each outbound rule has held."""
    return capture_of(machine).hits


def settings_of(machine):
    """Return what is in force."""
    return capture_of(machine).settings


def capture_of(machine):
    """Return what the kernel has."""
    return read(json.loads(machine.run("nft", "-j", "list", "table", "inet", "meshd_capture").stdout))


def test_refusals(pair):
    far = pair.far
    done = far.ctl("enable", "--user", str(PROXY))
    assert done.returncode == 1 and "outbound: tcp port 15001: nobody listens" in done.stderr
    far.mirror(15001, 15006, uid=STRANGER)
    done = far.ctl("enable", "--user", str(PROXY))
    assert done.returncode == 1 and f"who listens is uid {STRANGER}, which is not exempt" in done.stderr
    done = far.run(sys.executable, "-m", "meshd.cli.ctl", "capture", "enable", "--user", str(STRANGER), uid=STRANGER)
    assert done.returncode == 1 and "nftables rules are for root" in done.stderr
    assert far.run("nft", "list", "ruleset").stdout == ""
