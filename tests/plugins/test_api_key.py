"""api_key: a key is found where it may stand, and only there."""

import hashlib
import os
import tempfile
import unittest

from meshd.api import ConfigurationError, Denied
from meshd.testing.contract.http import AuthenticatorContract
from meshd.testing.exchange import FakeExchange
from meshd_plugins.authentication.api_key import ApiKey
from tests.plugins.caller import KEY, api_key
from tests.plugins.reading import read


class ApiKeyContract(AuthenticatorContract, unittest.TestCase):
    def make(self):
        return api_key()

    def good(self):
        return FakeExchange(headers=[(b"x-api-key", KEY.encode())])

    def bad(self):
        return FakeExchange(headers=[(b"x-api-key", b"another")])


class Keys(unittest.TestCase):
    def known(self, one, target=b"/", *headers):
        try:
            identity = one.authenticate(FakeExchange(b"GET", target, headers))
        except Denied:
            return "denied"
        return identity and identity.name

    def test_a_hash_may_stand_for_the_key(self):
        one = api_key(keys=(("robot", "sha256:" + hashlib.sha256(b"long random key").hexdigest()),))
        self.assertEqual(self.known(one, b"/", (b"x-api-key", b"long random key")), "robot")

    def file(self, text):
        """Return the path of a file with ``text``."""
        with tempfile.NamedTemporaryFile("w", delete=False) as file:
            file.write(text)
        self.addCleanup(os.unlink, file.name)
        return file.name

    def test_keys_may_stand_in_a_file(self):
        digest = hashlib.sha256(b"long random key").hexdigest()
        one = api_key(keys=(), file=self.file(f"# callers\n\nrobot:{KEY}\nother:sha256:{digest}\n"))
        self.assertEqual(self.known(one, b"/", (b"x-api-key", KEY.encode())), "robot")
        self.assertEqual(self.known(one, b"/", (b"x-api-key", b"long random key")), "other")

    def test_bad_lines_of_a_file_are_named_without_what_they_hold(self):
        for text, expected in (
            (f"a:{KEY}\nb:short\n", r":2: expected a key of 16 to 4096 characters$"),
            ("a:sha256:xyz\n", r":1: expected sha256: and 64 hexadecimal digits$"),
            (f"robot:{KEY}\nb:{KEY}\n", r"b: expected a key of its own, got that of another caller$"),
        ):
            self.assertRaisesRegex(ConfigurationError, expected, api_key, keys=(), file=self.file(text))

    def test_each_place_is_read(self):
        key = KEY.encode()
        one = api_key(query="key", cookie="key")
        rows = (
            (b"/", (b"x-api-key", key)), (b"/?a&key=" + key,), (b"/?key=" + key.replace(b"-", b"%2d"),),
            (b"/", (b"cookie", b"a=b; key=" + key)),
        )
        for row in rows:
            with self.subTest(row):
                self.assertEqual(self.known(one, *row), "robot")

    def test_a_bearer_token_is_read_from_authorization(self):
        one = api_key(header="authorization")
        self.assertEqual(self.known(one, b"/", (b"authorization", b"bearer " + KEY.encode())), "robot")
        self.assertIsNone(self.known(one, b"/", (b"authorization", b"Basic abc")))

    def test_several_keys_in_one_place_are_denied(self):
        one = api_key(query="key", cookie="key")
        key = KEY.encode()
        for row in (
            (b"/", (b"x-api-key", key), (b"x-api-key", key)), (b"/?key=%b&key=%b" % (key, key),),
            (b"/", (b"cookie", b"key=%b; key=%b" % (key, key))),
        ):
            with self.subTest(row):
                self.assertEqual(self.known(one, *row), "denied")

    def test_a_monstrous_key_is_denied_unhashed(self):
        self.assertEqual(self.known(api_key(), b"/", (b"x-api-key", b"k" * 5000)), "denied")


class Configuration(unittest.TestCase):
    def test_api_key_names_faults(self):
        for text in (
            f"keys: {{a: {KEY}}}", "keys: {}\nheader: x", "keys: {a: short}\nheader: x",
            f"keys: {{a: {KEY}, b: {KEY}}}\nheader: x", "keys: {a: 'sha256:0123456789'}\nheader: x",
        ):
            with self.subTest(text):
                self.assertEqual(len(read(ApiKey, text)[1]), 1)
