"""basic: passwords are hashed once, in a thread, and nobody learns from the time it takes who exists."""

import os
import subprocess
import sys
import tempfile
import unittest

from twisted.logger import formatEvent

from meshd.api import ConfigurationError, Denied, Identity, PluginError
from meshd.testing.contract.http import AuthenticatorContract
from meshd.testing.exchange import FakeExchange, answer_of
from meshd_plugins.authentication.basic import Basic
from meshd_plugins.authentication.password import parse
from tests.plugins.caller import HASH, SHA, CountingSite, asked, basic, basic_pair
from tests.plugins.reading import read


class BasicContract(AuthenticatorContract, unittest.TestCase):
    def make(self):
        return basic()

    def good(self):
        return asked()

    def bad(self):
        return asked(password=b"wrong")


class Passwords(unittest.TestCase):
    def test_both_hash_forms_are_checked(self):
        one = basic()
        self.assertEqual(answer_of(one.authenticate(asked())).name, "ali")
        self.assertEqual(answer_of(one.authenticate(asked(b"old", b"old"))).name, "old")

    def test_malformed_credentials_are_denied(self):
        for value in (b"Basic ???", b"Basic YWJj", b"basic " + b"A" * 8000, b"Basic YTpi YTpi"):
            exchange = FakeExchange(headers=[(b"authorization", value)])
            with self.subTest(value[:20]):
                self.assertRaises(Denied, lambda: answer_of(basic().authenticate(exchange)))

    def test_two_authorization_lines_are_denied(self):
        exchange = FakeExchange(headers=[basic_pair(b"ali", b"open sesame"), basic_pair(b"old", b"old")])
        self.assertRaises(Denied, lambda: answer_of(basic().authenticate(exchange)))

    def test_an_unknown_user_costs_the_same_work(self):
        site = CountingSite()
        one = basic(site)
        for user in (b"ali", b"nobody"):
            self.assertRaises(Denied, lambda: answer_of(one.authenticate(asked(user, b"wrong"))))
        self.assertEqual(site.hashes, 2)

    def test_a_verified_password_is_hashed_once_until_its_time_is_over(self):
        site = CountingSite()
        one = basic(site, cache_ttl_s=60.0)
        answer_of(one.authenticate(asked()))
        self.assertIsInstance(one.authenticate(asked()), Identity)
        site.advance(59.0)
        self.assertIsInstance(one.authenticate(asked()), Identity)
        site.advance(2.0)
        answer_of(one.authenticate(asked()))
        self.assertEqual(site.hashes, 2)

    def test_a_refusal_is_remembered_for_a_short_time_only(self):
        site = CountingSite()
        one = basic(site)
        for advance_s in (0.0, 1.0, 5.0):
            site.advance(advance_s)
            self.assertRaises(Denied, lambda: answer_of(one.authenticate(asked(password=b"wrong"))))
        self.assertEqual(site.hashes, 2)

    def test_what_is_remembered_is_bounded(self):
        one = basic(cache_size=5)
        for number in range(20):
            self.assertRaises(Denied, lambda: answer_of(one.authenticate(asked(b"old", b"%d" % number))))
        self.assertEqual(len(one._memory._rows), 5)

    def test_the_same_credentials_wait_for_one_hash(self):
        site = CountingSite(holds=True)
        one = basic(site)
        waiting = [one.authenticate(asked()) for _ in range(10)]
        self.assertEqual(site.hashes, 1)
        site.held[0]()
        self.assertEqual({answer_of(each).name for each in waiting}, {"ali"})

    def test_a_client_that_leaves_does_not_disturb_the_others(self):
        site = CountingSite(holds=True)
        one = basic(site)
        gone, stays = one.authenticate(asked()), one.authenticate(asked())
        gone.addErrback(lambda failure: None)
        gone.cancel()
        site.held[0]()
        self.assertEqual(answer_of(stays).name, "ali")

    def test_hashes_that_wait_are_bounded(self):
        one = basic(CountingSite(holds=True), max_pending=3)
        for number in range(3):
            one.authenticate(asked(password=b"%d" % number))
        self.assertRaises(PluginError, one.authenticate, asked(password=b"4"))

    def test_no_password_is_kept_in_memory(self):
        one = basic()
        answer_of(one.authenticate(asked()))
        self.assertNotIn(b"sesame", repr(vars(one)).encode())
        self.assertNotIn(b"sesame", repr(one._memory._rows).encode())


class Files(unittest.TestCase):
    def load(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".htpasswd") as file:
            file.write(text)
            file.flush()
            return basic(users=(), file=file.name)

    def test_users_are_read_from_htpasswd_lines(self):
        one = self.load(f"# users\n\nali:{HASH}\nold:{SHA}\n")
        self.assertEqual(answer_of(one.authenticate(asked())).name, "ali")

    def test_a_bad_line_is_named_and_its_hash_is_not_shown(self):
        with self.assertRaisesRegex(ConfigurationError, r":2: unknown password hash: expected scrypt") as caught:
            self.load(f"ali:{HASH}\nbob:$apr1$secret\n")
        self.assertNotIn("apr1", str(caught.exception))

    def test_a_user_given_twice_is_an_error(self):
        self.assertRaises(ConfigurationError, self.load, f"ali:{HASH}\nali:{SHA}\n")

    def test_a_missing_file_is_an_error(self):
        self.assertRaisesRegex(ConfigurationError, "cannot be read", basic, users=(), file="/nonexistent/htpasswd")


class Warnings(unittest.TestCase):
    def test_quick_hashes_are_warned_of(self):
        site = CountingSite()
        basic(site)
        self.assertIn("users with {SHA} hashes: 1", [formatEvent(event)[:26] for event in site.logged])

    def test_slow_hashes_are_not(self):
        site = CountingSite()
        basic(site, users=(("ali", HASH),))
        self.assertEqual(site.logged, [])


class Hashes(unittest.TestCase):
    def test_the_command_prints_a_hash_that_matches(self):
        done = subprocess.run(
            [sys.executable, "-m", "meshd_plugins.authentication"], input="s3cret\n", capture_output=True, text=True,
            check=True, env=os.environ,
        )
        self.assertTrue(parse(done.stdout.strip()).matches(b"s3cret"))
        self.assertFalse(parse(done.stdout.strip()).matches(b"s3cret "))

    def test_costs_that_would_stall_the_machine_are_refused(self):
        tail = HASH.split(":", 4)[4]
        for cost in ("1048576:32:1", "15:8:1", "1:8:1", "16:0:1", "16:8:99", "x:8:1"):
            with self.subTest(cost), self.assertRaises(ValueError):
                parse(f"scrypt:{cost}:{tail}")

    def test_faults_never_show_the_hash(self):
        for text in ("plain secret", "scrypt:16:8:1:secret!:secret!", "{SHA}c2VjcmV0", "$2y$05$secret"):
            with self.subTest(text), self.assertRaises(ValueError) as caught:
                parse(text)
            self.assertNotIn("secret", str(caught.exception))


class Configuration(unittest.TestCase):
    def test_basic_reads_users_and_names_faults(self):
        self.assertEqual(read(Basic, f"users: {{ali: '{HASH}'}}")[0].users, (("ali", HASH),))
        for text in ("{}", "users: {ali: plain}", f"users: {{'a:b': '{HASH}'}}"):
            with self.subTest(text):
                self.assertEqual(len(read(Basic, text)[1]), 1)
