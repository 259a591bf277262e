"""What is done in which order, and that a failure leaves all as it was; the programs are played by the test."""

from unittest import TestCase, mock

from meshd.capture import control, kernel
from meshd.capture.kernel import Step
from meshd.capture.settings import TPROXY, Settings, check
from meshd.errors import MeshdError

PLAIN = check(Settings(proxy_uids=(998,), has_ipv6=False))
THROUGH = check(Settings(proxy_uids=(998,), mode=TPROXY, has_ipv6=False))


class Played:
    """Stands for subprocess.run; ``failing`` are the words of commands that fail."""

    def __init__(self, *failing, says="Error: nothing of the kind"):
        self.failing, self.says, self.calls = failing, says, []

    def __call__(self, words, **options):
        line = " ".join(words).rpartition("/")[2]
        self.calls.append(line)
        is_bad = any(one in line or one in (options.get("input") or "") for one in self.failing)
        return mock.Mock(returncode=int(is_bad), stderr=self.says if is_bad else "", stdout="")


class ControlCase(TestCase):
    def play(self, *failing, **options):
        """Let programs be played; return who plays."""
        played = Played(*failing, **options)
        for name, target in (("run", played),):
            patch = mock.patch.object(kernel.subprocess, name, target)
            patch.start()
            self.addCleanup(patch.stop)
        which = mock.patch.object(kernel.shutil, "which", lambda name, path=None: f"/sbin/{name}")
        which.start()
        self.addCleanup(which.stop)
        return played


class Steps(ControlCase):
    def words(self, steps):
        return [" ".join(one.words) for one in steps]

    def test_routing_is_there_before_the_rules_and_goes_after_them(self):
        there = self.words(control.enabling(THROUGH))
        self.assertEqual(there[-1], "nft -f -")
        self.assertIn("ip -4 rule add fwmark 1337 lookup 133 protocol 133", there)
        back = self.words(control.disabling(THROUGH))
        self.assertEqual(back[0], "nft -f -")
        self.assertIn("ip -4 rule del fwmark 1337 lookup 133 protocol 133", back)

    def test_what_the_new_settings_do_not_need_goes(self):
        gone = self.words(control.enabling(PLAIN, THROUGH))
        self.assertIn("ip -4 rule del fwmark 1337 lookup 133 protocol 133", gone)
        self.assertEqual(self.words(control.enabling(PLAIN, PLAIN)), ["nft -f -"])

    def test_routing_goes_though_somebody_has_flushed_the_rules(self):
        words = self.words(control.disabling(None))
        self.assertNotIn("nft -f -", words)
        for one in ("ip -4 rule del fwmark 1337 lookup 133 protocol 133", "ip -6 addr del ::6/128 dev lo metric 133"):
            self.assertIn(one, words)
        self.assertTrue(all(one.may_fail for one in control.disabling(None)))

    def test_the_way_back_to_what_was_there(self):
        steps = control.restoring(PLAIN, THROUGH, "table inet meshd_capture { }\n")
        self.assertIn("ip -4 rule add fwmark 1337 lookup 133 protocol 133", self.words(steps))
        self.assertTrue(any(one.text.endswith("table inet meshd_capture { }\n") for one in steps))
        self.assertEqual(control.restoring(PLAIN, None, ""), control.disabling(PLAIN))


class Failures(ControlCase):
    def test_what_may_fail_may_have_no_program(self):
        self.play()
        with mock.patch.object(kernel.shutil, "which", lambda name, path=None: None):
            kernel.run(control.disabling(None))
            with self.assertRaisesRegex(MeshdError, "nft: no such program"):
                kernel.run(control.disabling(PLAIN))

    def test_a_failure_in_the_middle_is_undone_and_told(self):
        played = self.play("nft -f")
        undo = [Step(("ip", "rule", "del"), may_fail=True), Step(("ip", "route", "del"), may_fail=True)]
        with self.assertRaisesRegex(MeshdError, "capture: nft -f -: nothing of the kind"):
            control.enable(control.enabling(PLAIN), undo)
        self.assertEqual(played.calls, ["nft -f -", "ip rule del", "ip route del"])

    def test_what_the_kernel_lacks_is_said(self):
        self.play("nft -c", says="x:1:2-3: Error: Could not process rule: Operation not supported\nline")
        with self.assertRaisesRegex(MeshdError, "the kernel may lack nf_tables.*: Could not process rule"):
            kernel.verify("table inet x { }")

    def test_a_table_of_this_name_that_is_not_ours_is_one_clear_error(self):
        with mock.patch.object(kernel, "call", lambda step: mock.Mock(returncode=0, stdout="{}")):
            with self.assertRaisesRegex(MeshdError, "not one that this meshctl has made"):
                kernel.captured()

    def test_no_program(self):
        with mock.patch.object(kernel.shutil, "which", lambda name, path=None: None), \
                mock.patch.object(kernel.os, "geteuid", lambda: 0):
            with self.assertRaisesRegex(MeshdError, "capture: nft: no such program: install nftables"):
                kernel.require()

    def test_not_root(self):
        with mock.patch.object(kernel.os, "geteuid", lambda: 1000):
            with self.assertRaisesRegex(MeshdError, "for root: try sudo"):
                kernel.require()
