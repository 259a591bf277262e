"""Where a name that a client chose may not lead to."""

import unittest

from meshd_plugins.discovery.guard import Guard

REFUSED = (
    "127.0.0.1", "127.8.9.1", "169.254.169.254", "169.254.0.1", "0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255",
    "100.100.100.200", "168.63.129.16", "192.0.0.192", "::1", "::", "fe80::1", "fe80::1%eth0", "ff02::1",
    "fd00:ec2::254", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "2002:7f00:1::", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
)
ADMITTED = ("10.0.0.1", "192.168.1.1", "203.0.113.9", "fd00::1", "2001:db8::1", "::ffff:10.0.0.1", "64:ff9b::a00:1")


class Guards(unittest.TestCase):
    def test_this_machine_its_link_and_metadata_services_are_refused(self):
        self.assertEqual([one for one in REFUSED if Guard().admits(one)], [])

    def test_the_rest_is_admitted(self):
        self.assertEqual([one for one in ADMITTED if not Guard().admits(one)], [])

    def test_what_is_allowed_is_so(self):
        guard = Guard(allow=("127.0.0.0/8",))
        self.assertTrue(guard.admits("127.0.0.1") and not guard.admits("169.254.169.254"))

    def test_more_may_be_denied(self):
        guard = Guard(deny=("10.0.0.0/8",))
        self.assertFalse(guard.admits("10.0.0.1") or guard.admits("::ffff:10.0.0.1"))
