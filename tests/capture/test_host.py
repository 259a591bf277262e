"""What is read of a /proc that the test makes."""

import tempfile
from ipaddress import ip_address
from pathlib import Path
from unittest import TestCase

from meshd.capture import control, host
from meshd.capture.settings import Settings

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def line(address, port, state, inode):
    """Return a line of /proc/net/tcp; the address in hexadecimal."""
    return f"   0: {address}:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 0 0 {inode} 1 0\n"


class TestHost(TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.proc = Path(folder.name)
        self.net("tcp", line("0100007F", 15001, "0A", 11), line("00000000", 15006, "0A", 12),
                 line("0100007F", 2222, "01", 13), line("00000000", 2200, "0A", 14))
        self.net("tcp6", line("00000000000000000000000001000000", 15001, "0A", 15))

    def net(self, name, *lines):
        path = self.proc / "self/net" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HEAD + "".join(lines))

    def process(self, pid, name, parent=1, environment=b"", inodes=(), user=0, group=0):
        folder = self.proc / str(pid)
        (folder / "fd").mkdir(parents=True)
        (folder / "comm").write_text(f"{name}\n")
        (folder / "stat").write_text(f"{pid} ({name} x)) S {parent} 1 1")
        (folder / "environ").write_bytes(environment)
        (folder / "status").write_text(f"Name:\t{name}\nUid:\t0\t0\t0\t{user}\nGid:\t0\t0\t0\t{group}\n")
        for number, inode in enumerate(inodes):
            (folder / "fd" / str(number)).symlink_to(f"socket:[{inode}]")

    def ssh(self, pid=1, **environment):
        return host.ssh_ports(environment, self.proc, pid)

    def test_sockets(self):
        found = host.sockets(self.proc)
        self.assertEqual([str(one.address) for one in found], ["127.0.0.1", "0.0.0.0", "127.0.0.1", "0.0.0.0", "::1"])
        self.assertEqual(len(host.servers(found, "tcp", 15001, 4, is_loopback=True)), 1)
        self.assertEqual(host.servers(found, "tcp", 15001, 4, is_loopback=False), [])
        self.assertEqual(found[-1].address, ip_address("::1"))

    def test_the_session_is_told_by_its_environment(self):
        self.assertIn("2022", self.ssh(SSH_CONNECTION="192.0.2.1 50000 192.0.2.2 2022"))
        self.assertEqual(list(self.ssh(SSH_CONNECTION="nonsense")), ["22"])

    def test_by_an_ancestors_environment_where_sudo_has_emptied_it(self):
        self.process(50, "bash", environment=b"A=b\0SSH_CONNECTION=192.0.2.1 5 192.0.2.2 2022\0")
        self.process(60, "sudo", 50)
        self.process(70, "meshctl", 60)
        self.assertEqual(list(self.ssh(70)), ["2022"])

    def test_by_the_socket_of_the_server_above(self):
        self.process(40, "sshd", inodes=[13])
        self.process(50, "bash", 40)
        self.assertEqual(list(self.ssh(50)), ["2222"])

    def test_by_servers_that_listen(self):
        self.process(40, "sshd", inodes=[14, 99])
        self.assertEqual(list(self.ssh()), ["2200"])

    def test_22_where_nobody_knows(self):
        self.assertEqual(list(self.ssh()), ["22"])

    def test_who_listens_is_who_has_the_socket_open(self):
        self.process(1, "systemd", inodes=[11, 12])
        self.process(80, "meshd", inodes=[11], user=998, group=5)
        self.assertEqual(host.holders(host.sockets(self.proc), self.proc), {(998, 5)})

    def test_nobody_listens(self):
        found = control.problems(Settings(proxy_uids=(1,), has_ipv6=False), [])
        self.assertEqual(found, ["outbound: tcp port 15001: nobody listens: expected meshd on 127.0.0.1 or 0.0.0.0",
                                 "inbound: tcp port 15006: nobody listens: expected meshd on 0.0.0.0"])

    def test_resolvers(self):
        path = self.proc / "resolv.conf"
        path.write_text("# x\nnameserver 127.0.0.53\nsearch a\nnameserver fe80::1%eth0\n")
        self.assertEqual(host.dns_servers(path), ("127.0.0.53", "fe80::1"))
