"""What becomes of a connection. That the kernel does the same is tests/integration/test_capture.py's."""

from unittest import TestCase

from meshd.capture import path, ruleset
from meshd.capture.settings import Settings, check

MESHD, APP = 998, 1000


def settings(**options):
    """Return settings of a usual machine."""
    return check(Settings(**{"proxy_uids": (MESHD,), "ssh_ports": ("22",), **options}))


class TestPath(TestCase):
    def out(self, address, port=80, uid=APP, **options):
        names = ("is_local", "source", "protocol", "interface", "gid")
        given = {key: options.pop(key) for key in names if key in options}
        return path.outbound(settings(**options), address, port, uid=uid, **given)

    def test_outbound(self):
        self.assertEqual(self.out("10.0.0.1"), path.Verdict(ruleset.OUTBOUND, 15001))
        self.assertEqual(self.out("10.0.0.1", protocol="udp").port, 0)
        self.assertEqual(self.out("10.0.0.1", uid=MESHD).key, ruleset.PROXY)
        self.assertEqual(self.out("10.0.0.1", uid=0, gid=5, proxy_gids=(5,)).key, ruleset.PROXY)
        self.assertEqual(self.out("fd00::1", has_ipv6=False).key, ruleset.IPV6)
        self.assertEqual(self.out("10.0.0.1", interface="eth1", exclude_interfaces=("eth1",)).key, ruleset.INTERFACE)

    def test_this_machine(self):
        self.assertEqual(self.out("127.0.0.1").key, ruleset.LOOPBACK)
        self.assertEqual(self.out("10.0.0.7", is_local=True).key, ruleset.LOOPBACK)
        self.assertEqual(self.out("10.0.0.7", is_local=True, uid=MESHD), path.Verdict(ruleset.SELF, 15006))
        self.assertEqual(self.out("10.0.0.7", is_local=True, uid=MESHD, source="127.0.0.6").key, ruleset.PASSTHROUGH)
        self.assertEqual(self.out("127.0.0.1", uid=MESHD).key, ruleset.PROXY)

    def test_inbound(self):
        found = settings(exclude_inbound_ports=("90-99",))
        self.assertEqual(path.inbound(found, 80), path.Verdict(ruleset.INBOUND, 15006))
        for port, key in ((22, ruleset.SSH), (95, ruleset.INBOUND_PORT), (15021, ruleset.OWN)):
            self.assertEqual(path.inbound(found, port), path.Verdict(key))
        self.assertEqual(path.inbound(found, 80, is_local=False).key, ruleset.FORWARDED)
        self.assertEqual(path.inbound(settings(include_inbound_ports=("80",)), 81).key, path.NOT_INCLUDED)

    def test_each_bypass_has_words(self):
        every = settings(exclude_interfaces=("x",), exclude_outbound_ports=("1",), exclude_inbound_ports=("2",),
                         exclude_outbound_cidrs=("10.0.0.0/8",), has_ipv6=False)
        found = path.bypasses(every)
        self.assertEqual(len(found), 12)
        self.assertTrue(all(key in path.WORDS for key, _ in found))
